"""Custom models from really installed packages: trained, measured, served, refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.custom.estimator import CustomFailed
from lepton_ai.ml.custom.package import NotInstalled, PackageDiffers, package_of
from lepton_ai.ml.custom.state import dumps, loads
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.runtimes.runtime import Refused, load_runtime
from lepton_ai.ml.task import REGRESSION
from lepton_ai.ml.training import (
    train_classifier,
    train_clusterer,
    train_detector,
    train_regressor,
)
from lepton_ai.serving.deployment import deploy_model, deployment
from lepton_ai.serving.process import down, up
from lepton_ai.storage import Workspace
from tests.serving.conftest import open_workspace, stop

from .wheels import POINTS, forget, unpack, wheel

ROWS = load_breast_cancer(return_X_y=True)
PATH = "our_models.models"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed the package into."""
    folder = tmp_path_factory.mktemp("pip")
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
               "--disable-pip-version-check", "--target", str(target)]  # fmt: skip
    subprocess.run([*command, str(wheel(folder))], check=True)
    return target


@pytest.fixture
def site(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it on the path, which a test may change."""
    target = tmp_path / "site"
    shutil.copytree(installed, target)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    yield target
    forget("our_models")


def centres(workspace: Workspace, **options: Any) -> Any:
    chosen = {"model_type": f"{PATH}:Centres", "name": "centres"} | options
    return train_classifier(ROWS, workspace=workspace, **chosen)


def test_a_class_is_trained_measured_and_kept(site: Path, workspace: Workspace) -> None:
    rows, codes = ROWS
    model = train_classifier(
        (rows[::2], codes[::2]), model_type=f"{PATH}:Centres", sharpness=2.5, workspace=workspace
    )
    said = model.description
    assert (said.format, said.model_type) == ("custom", f"{PATH}:Centres")
    assert said.reason == "a model of one's own is served by its own package"
    assert said.settings == {"sharpness": 2.5}
    assert said.parameters == {"sharpness": 2.5}
    assert said.environment["our-models"] == "1.2"
    assert said.environment["our-models files"] == package_of(f"{PATH}:Centres").digest
    assert "our-models files" in model.card()
    expected = np.stack([rows[::2][codes[::2] == code].mean(axis=0) for code in (0, 1)])
    stored = loads(model.bundle.read("model.custom.safetensors"))[1]
    assert stored["centres"] == pytest.approx(expected, rel=1e-6)
    assert float(evaluate(model, (rows[1::2], codes[1::2]), resamples=1)) > 0.85
    # The same training is the same version.
    again = train_classifier(
        (rows[::2], codes[::2]), model_type=f"{PATH}:Centres", sharpness=2.5, workspace=workspace
    )
    assert again.ref == model.ref


def test_an_entry_point_names_it(site: Path, workspace: Workspace) -> None:
    assert "nearest centre" in zoo.entries("classification")
    model = centres(workspace, model_type="Nearest Centre")
    assert model.description.model_type == "nearest centre"
    by_path = centres(workspace, name="by path")
    assert (model.answers(ROWS[0]) == by_path.answers(ROWS[0])).all()


def test_every_task(site: Path, workspace: Workspace) -> None:
    rows, values = load_diabetes(return_X_y=True)
    line = train_regressor((rows, values), model_type=f"{PATH}:Line", workspace=workspace)
    exact = np.c_[rows, np.ones(len(rows))]
    exact = exact @ np.linalg.lstsq(exact, values, rcond=None)[0]
    assert line.predict(rows) == pytest.approx(exact, rel=1e-3)
    tree = train_classifier(ROWS, model_type=f"{PATH}:Tree", workspace=workspace)
    assert set(np.unique(tree.answers(ROWS[0]))) == {0.0, 1.0}
    rule = train_classifier(ROWS, model_type=f"{PATH}:first_feature", workspace=workspace)
    assert rule.predict(np.full((1, 30), 20.0)).tolist() == ["1"]
    halves = train_clusterer(ROWS[0], model_type=f"{PATH}:Halves", workspace=workspace)
    assert halves.classes == ("0", "1", "noise")
    assert set(halves.predict(ROWS[0])) == {"0", "1", "noise"}
    far = train_detector(ROWS[0], model_type=f"{PATH}:Distance", workspace=workspace)
    assert far.predict(np.full((1, 30), 1e5)).tolist() == ["anomaly"]
    assert far.answers(np.full((1, 30), 1e5))[0, 0] > far.answers(ROWS[0]).max()


def test_weights_reach_a_class_that_knows_them(site: Path) -> None:
    rows, codes = ROWS
    entry = zoo.find(f"{PATH}:Centres")
    heavy = zoo.create(entry, 0, {}).fit(rows, codes, sample_weight=np.arange(len(rows)) + 1.0)
    plain = zoo.create(entry, 0, {}).fit(rows, codes)
    assert not np.allclose(heavy.model.centres, plain.model.centres)
    with pytest.raises(InvalidInput, match="cannot weigh rows"):
        zoo.create(zoo.find(f"{PATH}:Tree"), 0, {}).fit(rows, codes, sample_weight=rows[:, 0])


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("Locked", Refused, "'lock' holds a .*never stored.*state\\(\\)"),
        ("Failing", CustomFailed, "failed in .*predict_proba: KeyError\\('nothing there'\\)"),
        ("Wide", CustomFailed, "it must give 2 finite numbers for each"),
        ("Line", zoo.UnknownModel, "is for regression, not classification"),
        ("nothing", zoo.UnknownModel, "no model is made of"),
        ("Absent", Refused, "has no 'Absent'"),
    ],
)
def test_what_no_model_can_be_made_of(
    name: str, error: type[Exception], said: str, site: Path, workspace: Workspace
) -> None:
    with pytest.raises(error, match=said):
        centres(workspace, model_type=f"{PATH}:{name}")
    assert workspace.lineage.list("model") == []


def test_parameters_are_checked_as_those_of_the_zoo(site: Path) -> None:
    with pytest.raises(zoo.UnknownParameter, match="did you mean sharpness"):
        zoo.create(zoo.find(f"{PATH}:Centres"), 0, {"sharpnes": 2})
    with pytest.raises(InvalidInput, match="pass seed="):
        zoo.create(zoo.find(f"{PATH}:Centres"), 0, {"random_state": 2})


@pytest.mark.parametrize("path", ["os:system", "builtins:eval", "no_such_module:X", "a b:c"])
def test_only_installed_packages_are_imported(path: str) -> None:
    with pytest.raises(InvalidInput, match=r"no installed|no module|is no package|no model"):
        zoo.find(path)


def test_a_module_that_lies_about_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lying.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NotInstalled, match="pip install -e"):
        zoo.find("lying:Model")
    assert not (tmp_path / "ran").exists()


def test_an_editable_package_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "edited").mkdir(parents=True)
    (source / "edited" / "__init__.py").write_text("def ones(rows):\n    return rows[:, 0] > 0\n")
    info = tmp_path / "edited-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edited\nVersion: 3\n")
    said = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(said))
    for folder in (tmp_path, source):
        monkeypatch.syspath_prepend(folder)
    before = package_of("edited:ones")
    assert (before.distribution, before.version) == ("edited", "3")
    (source / "edited" / "more.py").write_text("")
    assert package_of("edited:ones").digest != before.digest


MARKED = "import pathlib\npathlib.Path({!r}).touch()\ndef rule(rows):\n    return rows[:, 0] > 15\n"


def test_another_package_is_refused_before_it_is_imported(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, target = tmp_path / "imported", tmp_path / "site"
    files = {"marked/__init__.py": MARKED.format(str(mark))}
    unpack(wheel(tmp_path, "marked", "1.0", files, points=""), target)
    monkeypatch.syspath_prepend(target)
    node = train_classifier(ROWS, model_type="marked:rule", workspace=workspace).node

    def load() -> Predictor:
        forget("marked")
        mark.unlink(missing_ok=True)
        return Predictor.load(workspace, node)

    try:
        assert load().run(ROWS[0]).shape == (569, 2)
        assert mark.exists()
        module = target / "marked" / "__init__.py"
        module.write_text(module.read_text().replace("15", "16"))
        with pytest.raises(PackageDiffers, match=r"the files of the installed 1\.0 are"):
            load()
        module.write_text(files["marked/__init__.py"])
        assert load()
        (target / "marked" / "added.py").write_text("")
        with pytest.raises(PackageDiffers, match="the files of the installed"):
            load()
        assert not mark.exists()
        shutil.rmtree(target)
        unpack(wheel(tmp_path, "marked", "1.1", files, points=""), target)
        with pytest.raises(PackageDiffers, match=r"pip install 'marked==1\.0'"):
            load()
        shutil.rmtree(target)
        with pytest.raises(PackageDiffers, match="not installed here"):
            load()
        # One of the same name that lies before it on the path.
        unpack(tmp_path / "marked-1.0-py3-none-any.whl", target)
        (tmp_path / "first" / "marked").mkdir(parents=True)
        (tmp_path / "first" / "marked" / "__init__.py").write_text("rule = print\n")
        monkeypatch.syspath_prepend(tmp_path / "first")
        with pytest.raises(PackageDiffers, match="of another"):
            load()
        assert not mark.exists()
    finally:
        forget("marked")


def test_a_process_that_runs_other_code_says_so(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    for version, edge in (("1", 15), ("2", 16)):
        files = {"twice/__init__.py": f"def rule(rows):\n    return rows[:, 0] > {edge}\n"}
        shutil.rmtree(target, ignore_errors=True)
        unpack(wheel(tmp_path, "twice", version, files, points=""), target)
        monkeypatch.syspath_prepend(target)
        if version == "1":
            train_classifier(ROWS, model_type="twice:rule", workspace=workspace)
    try:
        with pytest.raises(PackageDiffers, match="start the process anew"):
            train_classifier(ROWS, model_type="twice:rule", workspace=workspace)
    finally:
        forget("twice")


STATE = {
    "array": np.arange(6.0).reshape(2, 3),
    "whole": np.array([[1, 2]], dtype=np.int16),
    "single": np.array(3.5),
    "number": np.float32(0.1),
    "mask": np.array([True, False]),
    "words": np.array([["a", "éß"]]),
    "none": None,
    "plain": [1, 2.5, "x", True, None, float("inf")],
    "nested": {"a": (1, [2, {3: "b"}]), 4: np.arange(2)},
    "empty": {},
}


def test_every_value_comes_back_as_it_was() -> None:
    data = dumps({"head": 1}, STATE)
    assert dumps({"head": 1}, STATE) == data
    head, state = loads(data)
    assert head == {"head": 1}
    assert list(state) == sorted(STATE)
    for name in ("array", "whole", "single", "number", "mask", "words"):
        assert state[name].dtype == STATE[name].dtype
        assert state[name].shape == STATE[name].shape
        assert np.array_equal(state[name], STATE[name])
    assert (state["plain"], state["empty"], state["none"]) == (STATE["plain"], {}, None)
    assert state["nested"]["a"] == (1, [2, {3: "b"}])
    assert state["nested"][4].tolist() == [0, 1]
    state["array"][0, 0] = 5  # it can be written to


@pytest.mark.parametrize("value", [{1, 2}, b"x", print, np.array([None]), 1j, object(), Path()])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(Refused, match="never stored"):
        dumps({}, {"a": value})


def test_a_deep_state_is_refused() -> None:
    deep: Any = 0
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Refused, match="nested deeper"):
        dumps({}, {"a": deep})


def test_a_file_of_another_task_is_refused(site: Path, workspace: Workspace) -> None:
    data = centres(workspace).bundle.read("model.custom.safetensors")
    with pytest.raises(Refused, match="is no regressor"):
        load_runtime("custom", data, REGRESSION)


def test_an_endpoint_serves_it_and_comes_back(site: Path, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "home")
    try:
        model = centres(workspace)
        expected = model.answers(ROWS[0][:3])
        live = deploy_model(model, workspace=workspace)
        for restarted in (False, True):
            given = live.predict(ROWS[0][:3])
            assert [list(each.probabilities.values()) for each in given] == expected.tolist()
            if not restarted:
                down(workspace)
                up(workspace)
                live = deployment("centres", workspace=workspace)
    finally:
        stop(workspace)
        forget("our_models")


def test_the_entry_points_of_the_wheel(installed: Path) -> None:
    (info,) = installed.glob("*.dist-info")
    assert (info / "entry_points.txt").read_text() == POINTS
