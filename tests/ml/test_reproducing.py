"""Models trained again from their lineage: equal to the byte, or what differs by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.tree import DecisionTreeClassifier

from lepton_ai.apps.cli.main import main
from lepton_ai.core.settings import Settings
from lepton_ai.data.erase.erase import erase_subject
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import Impute, Recipe
from lepton_ai.data.split import split_data
from lepton_ai.ml import reproducing
from lepton_ai.ml.bundle import machine
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import models
from lepton_ai.ml.reproducing import Change, reproduce
from lepton_ai.ml.training import (
    train_classifier,
    train_clusterer,
    train_detector,
    train_forecaster,
    train_regressor,
)
from lepton_ai.storage import Workspace

from .conftest import paint
from .custom.wheels import forget, unpack, wheel

WINE = load_wine(return_X_y=True)


def equal(model: Model, **options: Any) -> None:
    before = len(models(workspace=model.workspace))
    found = reproduce(model, **options)
    assert found.verdict == "equal", found
    assert found.reason == f"all {len(model.bundle.names) - 1} files are equal to the last byte"
    assert len(models(workspace=model.workspace)) == before


def test_tables_come_out_equal(loans: pl.DataFrame, workspace: Workspace) -> None:
    table = read_table(loans, name="loans", workspace=workspace)
    train, _ = split_data(table, target="risk")
    equal(train_classifier(train, target="risk", n_estimators=10))
    # What no encoding tells: kinds of columns, components as a share, a recipe, weights of classes.
    model = train_classifier(
        table,
        model_type="lr",
        target="risk",
        name="lr",
        kinds={"job": "skip", "age": "category"},
        components=0.9,
        balanced=True,
        recipe=Recipe([Impute(columns=["amount"], method="mean")]),
        seed=3,
    )
    assert model.description.asked == {
        "balanced": True,
        "components": 0.9,
        "kinds": {"age": "category", "job": "skip"},
    }
    equal(model)


def test_another_number_of_workers_grows_the_same_forest(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    model = train_classifier(loans, target="risk", workspace=workspace, n_estimators=10)
    for workers in (1, 3):
        equal(model, workers=workers)
    found = reproduce(model, workers=7)
    assert [change.what for change in found.inputs] == ["workers"]


def test_every_task_and_kind_comes_out_equal(painted: ImageSet, workspace: Workspace) -> None:
    equal(train_classifier(WINE, model_type="dt", workspace=workspace))
    rows, values = load_diabetes(return_X_y=True)
    equal(train_regressor((rows, values), model_type="ridge", name="r", workspace=workspace))
    equal(train_clusterer(rows, model_type="k-means", name="c", workspace=workspace))
    equal(train_detector(rows, name="d", contamination=0.1, n_estimators=10, workspace=workspace))
    steps = np.arange(120.0)
    series = pl.DataFrame({"a": np.sin(steps / 4), "b": np.cos(steps / 4)})
    equal(
        train_forecaster(series, target=["b"], history=8, horizon=2, name="f", workspace=workspace)
    )
    train, _ = split_data(preprocess_images(painted))
    equal(train_classifier(train, model_type="knn", name="images"))


def test_the_recorded_version_is_used_not_the_newest(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    table = read_table(loans, name="loans", workspace=workspace)
    model = train_classifier(table, model_type="dt", target="risk")
    array = train_classifier(WINE, model_type="dt", name="wine", workspace=workspace)
    read_table(loans.head(50), name="loans", workspace=workspace)
    train_classifier((WINE[0] + 1, WINE[1]), model_type="dt", name="wine", workspace=workspace)
    versions = len(workspace.lineage.list("dataset"))
    equal(model)
    equal(array)
    assert len(workspace.lineage.list("dataset")) == versions


def test_a_changed_library_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train_classifier(WINE, model_type="dt", name="wine", workspace=workspace)

    def newer(*more: str) -> dict[str, str]:
        return {**model.description.environment, "scikit-learn": "99"}

    from lepton_ai.ml import learning

    monkeypatch.setattr(reproducing, "environment", newer)
    monkeypatch.setattr(learning, "environment", newer)
    found = reproduce(model)
    was = model.description.environment["scikit-learn"]
    assert found.inputs == (Change("scikit-learn", was, "99"),)
    assert found.verdict == "different"
    assert f"scikit-learn: {was} then, 99 now" in found.reason
    (described,) = (file for file in found.files if file.name == "model.json")
    assert "environment.scikit-learn" in described.fields
    # The model itself is the same.
    assert next(file for file in found.files if file.name == "model.onnx").equal
    assert found.answers is None


def test_how_far_answers_lie_apart_is_measured(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train_classifier(WINE, model_type="dt", name="wine", workspace=workspace)
    real = reproducing.wish_of

    def shallower(model: Model) -> Any:
        wish = real(model)
        wish.parameters["max_depth"] = 1
        return wish

    monkeypatch.setattr(reproducing, "wish_of", shallower)
    found = reproduce(model)
    stump = DecisionTreeClassifier(max_depth=1, random_state=0).fit(*WINE)
    assert found.verdict == "different"
    assert "although no recorded input does" in found.reason
    assert found.answers is not None
    assert (found.answers.rows, found.answers.labels) == (
        178,
        int((stump.predict(WINE[0]) != WINE[1]).sum()),
    )
    assert found.answers.difference > 0.5


def test_erased_rows_make_it_impossible(loans: pl.DataFrame, workspace: Workspace) -> None:
    table = read_table(loans, name="loans", workspace=workspace)
    model = train_classifier(table, model_type="dt", target="risk")
    erase_subject(workspace, ["customer 3"], columns=["id"])
    found = reproduce(model)
    assert found.verdict == "impossible"
    assert "cannot be trained again" in found.reason


def test_another_package_makes_it_impossible(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    unpack(wheel(tmp_path), target)
    monkeypatch.syspath_prepend(target)
    try:
        model = train_classifier(
            WINE, model_type="our_models.models:Centres", name="wine", workspace=workspace
        )
        equal(model)
        module = target / "our_models" / "models.py"
        module.write_text(module.read_text() + "\n")
        found = reproduce(Model(workspace, model.node))
        assert found.verdict == "impossible"
        assert "the files of the installed 1.2 are" in found.reason
        assert [change.what for change in found.inputs] == ["our-models files"]
    finally:
        forget("our_models")


def test_the_command_leaves_with_the_verdict(
    loans: pl.DataFrame,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(["reproduce", "loans", *arguments])
        return int(left.value.code or 0)

    table = read_table(loans, name="loans", workspace=workspace)
    train_classifier(table, model_type="dt", target="risk")
    assert run() == 0
    assert "loans:1: equal; all 6 files" in capsys.readouterr().out
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "equal"
    real = machine.machine
    monkeypatch.setattr(reproducing, "machine", lambda workers: real(workers) | {"system": "x"})
    assert run("--workers", "1") == 0
    assert "Input system: " in capsys.readouterr().out
    monkeypatch.setattr(
        reproducing, "wish_of", lambda model: reproducing.replace(real_wish(model), seed=9)
    )
    assert run() == 3
    assert "model.json" in capsys.readouterr().out
    erase_subject(workspace, ["customer 3"], columns=["id"])
    assert run() == 4
    assert run("--workers", "0") == 2


real_wish = reproducing.wish_of


def test_images_of_many_sizes(tmp_path: Path, workspace: Workspace) -> None:
    paint(tmp_path / "squares", count=6, size=12)
    paint(tmp_path / "squares", count=6, size=20, seed=1)
    images = read_images(tmp_path / "squares", workspace=workspace)
    equal(train_classifier(images, model_type="knn", n_neighbors=2))


def test_workers_of_the_settings_are_recorded(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "home", {"LEPTON_WORKERS": "3"})
    workspace = Workspace.open(settings=settings)
    try:
        model = train_classifier(WINE, model_type="dt", name="wine", workspace=workspace)
        run = workspace.lineage.list("run")[0]
        assert run.facts["machine"]["workers"] == 3
        assert run.facts["machine"]["linear algebra"].startswith("openblas")
        equal(model)
    finally:
        workspace.close()
