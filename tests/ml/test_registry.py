import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from sklearn.datasets import load_wine

from lepton_ai.core.errors import AccessDenied, Conflict, Corrupt, InvalidInput, NotFound
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.read_table import read_table
from lepton_ai.ml.bundle.bundle import FILES, Bundle
from lepton_ai.ml.explanation.counterfactual import counterfactuals
from lepton_ai.ml.explanation.dependences import dependence
from lepton_ai.ml.explanation.importances import importance
from lepton_ai.ml.model import Model
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.registry import check_name, get, models, set_alias
from lepton_ai.ml.training import train_classifier
from lepton_ai.security.grants import grant
from lepton_ai.security.principal import acting_as
from lepton_ai.security.signing import sign, statement
from lepton_ai.storage import Node, Transaction, Workspace
from lepton_ai.storage.schema import aliases

WINE = load_wine(return_X_y=True)


def wine(workspace: Workspace, **options: Any) -> Model:
    options = {"model_type": "decision tree", "name": "wine"} | options
    return train_classifier(WINE, workspace=workspace, **options)


def test_the_first_version_is_champion_until_someone_says_otherwise(workspace: Workspace) -> None:
    first, second = wine(workspace), wine(workspace, max_depth=1)
    assert (first.version, second.version) == (1, 2)
    assert (first.aliases, second.aliases) == (["champion"], [])
    assert get("wine@champion").ref == "wine:1"
    set_alias(second, "champion")
    assert get("wine@champion", workspace).ref == "wine:2"
    # A rerun of the first training must not take the alias back.
    assert wine(workspace).aliases == []
    set_alias("wine:1", "challenger", workspace)
    assert first.aliases == ["challenger"]


def test_models_are_found_by_name_version_alias_and_id(workspace: Workspace) -> None:
    first, second = wine(workspace), wine(workspace, max_depth=1)
    other = wine(workspace, name="other")
    assert get("wine").ref == "wine:2"
    assert get("wine:1").node == first.node
    assert get(second.node.id).node == second.node
    assert [model.ref for model in models()] == ["wine:1", "wine:2", "other:1"]
    assert [model.ref for model in models("other", workspace)] == [other.ref]
    for wrong in ("wines", "wine:3", "wine@best"):
        with pytest.raises(NotFound, match=wrong):
            get(wrong)
    (dataset,) = workspace.lineage.list("dataset", "wine")
    with pytest.raises(NotFound):
        get(dataset.id)
    with pytest.raises(InvalidInput, match="is a dataset, not a model"):
        Model(workspace, dataset)
    assert repr(first) == (
        "Model wine:1: decision tree, 0, 1, 2, trained on 178 rows of wine:1, served as onnx"
    )


@pytest.mark.parametrize("name", ["lung-ct", "Lung CT 2", "a", "credit_g.v2", "Röntgen", "x+y"])
def test_names_that_a_model_may_have(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "..", ".hidden", "../up", "a/b", "a\\b", "a:1", "a@b", "a\n", "a ", "-x", "x" * 101,
     "a\x00", "a%2e", "<b>", None, 3],
)  # fmt: skip
def test_names_that_a_model_may_not_have(name: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"):
        check_name(name)


def test_a_bundle_holds_safe_files_that_are_signed(workspace: Workspace) -> None:
    model = wine(workspace)
    expected = ["baseline.json", "card.md", "encoding.json", "explanation.json", "model.json"]
    expected.append("model.onnx")
    assert model.bundle.names == [*expected, "signature.json"]
    assert set(model.bundle.names) <= FILES
    envelope = json.loads(model.bundle.read("signature.json"))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    described = json.loads(model.bundle.read("model.json"))
    assert sorted(described["files"]) == [name for name in expected if name != "model.json"]
    assert described["trained_on"]["classes"] == {"0": 59, "1": 71, "2": 48}
    assert described["environment"]["scikit-learn"]
    assert set(workspace.lineage.holds(model.node.id)) == set(model.node.facts["files"].values())


def test_an_exported_bundle_can_be_checked_with_openssl_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    model = wine(workspace)
    written = model.export(tmp_path / "out" / "wine")
    assert {path.name for path in written} == {*model.bundle.names, "public_key.pem"}
    for name in model.bundle.names:
        assert (tmp_path / "out" / "wine" / name).read_bytes() == model.bundle.read(name)
    with pytest.raises(Conflict, match="not empty"):
        model.export(tmp_path / "out" / "wine")
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    envelope = json.loads((tmp_path / "out" / "wine" / "signature.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    key = tmp_path / "out" / "wine" / "public_key.pem"
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin", "-in"]
    command += [str(tmp_path / "signed"), "-sigfile", str(tmp_path / "sig")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def swapped(workspace: Workspace, model: Model, **files: bytes) -> Node:
    """The model's node as it would be if its files were replaced by others."""
    addresses = dict(model.node.facts["files"])
    for name, data in files.items():
        addresses[name.replace("__", ".")] = workspace.objects.put(data)
    return msgspec.structs.replace(model.node, facts={**model.node.facts, "files": addresses})


@pytest.mark.parametrize("name", ["model__onnx", "model__json", "encoding__json"])
def test_a_file_that_was_replaced_is_never_loaded(name: str, workspace: Workspace) -> None:
    first, second = wine(workspace), wine(workspace, max_depth=1)
    stranger = second.bundle.read(name.replace("__", "."))
    if name == "encoding__json":
        stranger = stranger.replace(b'"x0"', b'"x1"') + b" "
    with pytest.raises(Corrupt, match="not the file that was signed"):
        Predictor.load(workspace, swapped(workspace, first, **{name: stranger}))
    Predictor.load(workspace, first.node)


def test_a_signature_of_something_else_does_not_count(workspace: Workspace, tmp_path: Path) -> None:
    model = wine(workspace)
    other = sign(workspace, statement({"model.onnx": "0" * 64}, "https://example.org/v1", {}))
    with pytest.raises(Corrupt, match="not a model bundle"):
        Bundle(workspace, swapped(workspace, model, signature__json=other))
    elsewhere = Workspace.open(tmp_path / "elsewhere")
    foreign = sign(elsewhere, statement({}, "https://example.org/v1", {}))
    elsewhere.close()
    with pytest.raises(Corrupt, match="another workspace signed"):
        Bundle(workspace, swapped(workspace, model, signature__json=foreign))
    with pytest.raises(Corrupt):
        Bundle(workspace, swapped(workspace, model, signature__json=b"{}"))


def test_a_signature_must_cover_every_file(workspace: Workspace) -> None:
    model = wine(workspace)
    predicate = "https://github.com/lepton-ai/lepton-ai/model-bundle/v1"
    partial = sign(workspace, statement({"model.json": "0" * 64}, predicate, {}))
    with pytest.raises(Corrupt, match="does not cover"):
        Bundle(workspace, swapped(workspace, model, signature__json=partial))
    with pytest.raises(Corrupt, match="is no model bundle"):
        Bundle(workspace, swapped(workspace, model, **{"../../evil": b""}))


def test_flipped_bits_on_the_disk_are_found(workspace: Workspace) -> None:
    model = wine(workspace)
    packs = [path for path in (workspace.home / "objects").rglob("*") if path.is_file()]
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        for place in range(0, len(data), 64):
            data[place] ^= 1
        pack.write_bytes(data)
    with pytest.raises(Corrupt):
        Predictor.load(workspace, model.node)


def test_registration_is_one_transaction(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "alias", crash)
        with pytest.raises(RuntimeError, match="power"):
            wine(workspace)
    assert workspace.lineage.list("model") == workspace.lineage.list("run") == []
    assert wine(workspace).version == 1
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(aliases)) == 1


def test_loading_a_model_imports_no_scikit_learn(workspace: Workspace) -> None:
    model = wine(workspace)
    program = f"""
import sys
from lepton_ai.storage import Workspace
from lepton_ai.ml.predictor import Predictor
workspace = Workspace.open({str(workspace.home)!r})
predictor = Predictor.load(workspace, workspace.lineage.get({model.node.id!r}))
import numpy as np
print(predictor.labels(predictor.run(np.zeros((1, 13)))))
heavy = {{"sklearn", "skl2onnx", "skops", "pandas", "polars", "matplotlib", "joblib"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("['")


def test_a_predictor_answers_as_its_model(workspace: Workspace) -> None:
    matrix, codes = WINE
    model = wine(workspace)
    predictor = Predictor.load(workspace, model.node)
    features = predictor.features_from_tensors({"X": matrix})
    probabilities = predictor.run(features)
    assert predictor.labels(probabilities) == codes.astype(str).tolist()
    assert (model.predict_proba(matrix) == probabilities).all()
    assert predictor.signature.kind == "array"
    assert predictor.signature.inputs[0].shape == (-1, 13)
    with pytest.raises(InvalidInput, match="13"):
        predictor.features_from_tensors({"X": np.zeros((1, 12))})
    with pytest.raises(InvalidInput, match="one input 'X'"):
        predictor.features_from_tensors({"Y": matrix})


def test_what_a_model_learned_of_a_masked_column_is_not_told(
    loans: pl.DataFrame, workspace: Workspace, tmp_path: Path
) -> None:
    table = read_table(loans, name="loans")
    data = table[["age", "job", "risk"]]
    model = train_classifier(data, model_type="decision tree", target="risk", name="tagged")
    change_entry(
        workspace, "loans", lambda _: Entry(columns={"job": ColumnEntry(tags=("personal",))})
    )
    row = {"age": 30.0, "job": "nurse"}
    doors = {
        "baseline": lambda: model.baseline,
        "bundle": lambda: model.bundle,
        "export": lambda: model.export(tmp_path / "out"),
        "dependence": lambda: dependence(model, "job"),
        "changes": lambda: counterfactuals(model, row),
        "rules": lambda: importance(model),
    }
    with acting_as("analyst"):
        for door in doors.values():
            with pytest.raises(AccessDenied, match="analyst may not see what tagged:1 learned"):
                door()
        assert list(model.predict([row])) == ["bad"]
        assert model.explain(row).contributions
        assert dependence(model, "age").values
        for found in counterfactuals(model, row, immutable=["job"]):
            assert set(found.changes) == {"age"}
    grant(workspace, "analyst", "personal", "loans")
    with acting_as("analyst"):
        for door in doors.values():
            door()
