import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from lepton_ai.core.errors import NotFound
from lepton_ai.data.open.pull import pull
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.pretrained.adding import pretrained
from lepton_ai.ml.pretrained.shelf import read, shelved
from lepton_ai.ml.registry import get
from lepton_ai.ml.retraining import Training
from lepton_ai.storage import Workspace

from .chest import chest_xrays

NODULE = {
    "sex": "F", "age": 71.0, "num.annotated": 1.0, "location": "Right Upper Lobe",
    "spiculate": "Yes", "smoke.status": "current", "diameter": 14.0,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(shelved()))
def test_each_is_registered_with_its_origin_and_again_is_the_same(
    workspace: Workspace, name: str
) -> None:
    model = pretrained(name, workspace)
    assert model.ref == f"{name}:1"
    assert model.aliases == ["champion"]
    assert pretrained(name, workspace).node.id == model.node.id
    lineage = workspace.lineage
    ((_, run),) = lineage.parents(model.node.id)
    ((role, source),) = lineage.parents(run.id)
    assert (role, source.kind) == ("training", "source")
    digests = {file: hashlib.sha256(data).hexdigest() for file, data in read(name).items()}
    assert source.facts["files"] == digests
    assert source.facts["package"] in source.facts["path"]
    assert source.facts["licence"] in model.card()
    # Reading the bundle checks the signature of this workspace's own key.
    assert set(model.bundle.names) == {*digests, "signature.json"}


def test_a_model_that_was_trained_elsewhere_has_no_rows_here(workspace: Workspace) -> None:
    model = pretrained("nodule-malignancy", workspace)
    with pytest.raises(NotFound):
        model.training_data()
    with pytest.raises(NotFound):
        Training.of(model).repeat(workspace)


def test_it_predicts_explains_and_is_found_like_any_other(workspace: Workspace) -> None:
    pretrained("nodule-malignancy", workspace)
    model = get("nodule-malignancy@champion", workspace)
    small = {**NODULE, "diameter": 5.0, "spiculate": "No", "smoke.status": "never"}
    likely, unlikely = model.predict_proba([NODULE, small])[:, 1]
    assert likely > 0.6
    assert unlikely < 0.05
    said = model.explain(NODULE, about="malignant")
    assert not isinstance(said, list)
    most = max(said.contributions, key=lambda each: each.contribution)
    assert most.column in {"diameter", "spiculate"}
    assert model.what_if(NODULE, diameter=5.0).differences[1] < -0.1


def test_credit_risk_is_measured_on_a_table(workspace: Workspace, datasets: Path) -> None:
    model = pretrained("credit-risk", workspace)
    table = pull("credit-g", workspace=workspace, mirror=datasets)
    # It learned from these rows: the figure tells that they are read as in training, no more.
    assert evaluate(model, table, resamples=10).auc > 0.85


def test_chest_xrays_it_never_saw(workspace: Workspace, datasets: Path) -> None:
    model = pretrained("chest-xray-pneumonia", workspace)
    images = chest_xrays(datasets, "test", range(0, 624, 3), workspace)
    found = evaluate(model, images, positive="pneumonia", resamples=10)
    assert found.auc > 0.93
    assert found.accuracy > 0.84
    assert found.seen == 0


def test_engines_it_never_saw(workspace: Workspace, datasets: Path) -> None:
    model = pretrained("turbofan-life", workspace)
    series = engines(datasets, [field.name for field in model.signature.inputs])
    truth = np.loadtxt(datasets / "manufacturing/cmapss/RUL_FD001.txt")
    error = np.sqrt(((model.predict(series) - truth) ** 2).mean())
    assert error < 17.5


def test_traffic_it_never_saw(workspace: Workspace, datasets: Path) -> None:
    model = pretrained("traffic-flow", workspace)
    with np.load(datasets / "city/pems08/pems08_flow_t10713_17855.npz") as file:
        flow = file["flow"][3571 : 3571 + 288].astype(np.float64)
    start = datetime(2016, 8, 7, 4, 45) + timedelta(minutes=5 * 3571)
    frame = pl.DataFrame({f"sensor{n:03}": flow[:, n] for n in range(170)}).with_columns(
        moment=pl.Series([start + timedelta(minutes=5 * step) for step in range(288)])
    )
    last = np.arange(11, 276)
    answers = model.predict(frame)[last]
    truth = np.stack([flow[last + step] for step in range(1, 13)], axis=1)
    still = np.abs(flow[last][:, np.newaxis] - truth).mean()
    assert np.abs(answers - truth).mean() < 0.8 * still


def engines(datasets: Path, columns: list[str]) -> list[list[dict[str, Any]]]:
    """Return the cycles of each test engine of FD001 as records."""
    import lzma

    names = ["engine", "cycle", "setting1", "setting2", "setting3",
             *(f"sensor{n}" for n in range(1, 22))]  # fmt: skip
    with lzma.open(datasets / "manufacturing/cmapss/test_FD001.txt.xz", "rt") as file:
        frame = pl.DataFrame(np.loadtxt(file), schema=names)
    parts = frame.partition_by("engine", maintain_order=True)
    return [part.select(columns).to_dicts() for part in parts]


def test_the_threshold_is_that_of_the_validation_images(
    workspace: Workspace, datasets: Path
) -> None:
    model = pretrained("chest-xray-pneumonia", workspace)
    images = chest_xrays(datasets, "val", range(0, 524, 4), workspace)
    scores = model.predict_proba(images)[:, 1]
    sick = images.labels == "pneumonia"
    assert roc_auc_score(sick, scores) > 0.98
    called = model.predict(images) == "pneumonia"
    assert abs((called & ~sick).sum() / (~sick).sum() - (~called & sick).sum() / sick.sum()) < 0.1
