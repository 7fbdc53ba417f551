from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.images.read import read_images
from lepton_ai.ml.model import Model
from lepton_ai.ml.networks.residual import ResidualClassifier
from lepton_ai.ml.networks.weights import loads
from lepton_ai.ml.pretrained.adding import pretrained
from lepton_ai.ml.pretrained.tuning import OtherUnits, fine_tune
from lepton_ai.ml.training import train_classifier, train_forecaster
from lepton_ai.storage import Workspace
from tests.ml.conftest import paint

from .chest import chest_xrays

SMALL: dict[str, Any] = {
    "num_leaves": 4,
    "learning_rate": 0.03,
    "n_estimators": 200,
    "min_child_samples": 10,
}
WEIGHTS = "model.safetensors"


def parents_of(model: Model) -> list[tuple[str, str]]:
    lineage = model.workspace.lineage
    ((_, run),) = lineage.parents(model.node.id)
    return sorted((role, node.ref) for role, node in lineage.parents(run.id))


@pytest.fixture
def nodules(datasets: Path) -> pl.DataFrame:
    frame = pl.read_csv(datasets / "medical/lung_nodules_r4hcr/Nodules.csv")
    named = pl.when(pl.col("malignant") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))
    return frame.with_columns(malignant=named).sample(fraction=1.0, shuffle=True, seed=0)


def test_sixty_xrays_tune_a_network_further_than_they_train_one(
    workspace: Workspace, datasets: Path
) -> None:
    rows = [*range(0, 520, 9)]
    images = chest_xrays(datasets, "val", rows, workspace)
    test = chest_xrays(datasets, "test", range(0, 624, 3), workspace)
    tuned = fine_tune("chest-xray-pneumonia", images, workspace=workspace)
    assert tuned.ref == "chest-xray-pneumonia:2"
    assert parents_of(tuned) == [
        ("fine-tuned from", "chest-xray-pneumonia:1"),
        ("training", images.ref),
    ]
    # The same network with the same settings, on the same few images alone.
    said = pretrained("chest-xray-pneumonia", workspace).description
    alone = ResidualClassifier(shape=(28, 28), random_state=0, threads=1, **said.parameters)
    alone.set_params(batch_size=16)
    alone.fit(tuned.features(images), images.labels)
    sick = test.labels == "pneumonia"
    own = roc_auc_score(sick, alone.predict_proba(tuned.features(test))[:, 1])
    found = roc_auc_score(sick, tuned.predict_proba(test)[:, 1])
    assert found > 0.93
    assert found > own + 0.02
    # The images' origin goes with it.
    assert "CC BY 4.0" in tuned.card()


def test_eighty_nodules_add_trees_to_a_model_of_others(
    workspace: Workspace, nodules: pl.DataFrame
) -> None:
    options: dict[str, Any] = {"target": "malignant", "model_type": "lightgbm", **SMALL}
    base = train_classifier(nodules[:600], name="nodules", workspace=workspace, **options)
    few, test = nodules[600:680], nodules[680:]
    tuned = fine_tune(base, few)
    alone = train_classifier(few, name="alone", workspace=workspace, **options)
    sick = (test["malignant"] == "yes").to_numpy()
    areas = [roc_auc_score(sick, each.predict_proba(test)[:, 1]) for each in (base, tuned, alone)]
    assert areas[1] > areas[2] + 0.02
    assert areas[1] > areas[0] - 0.01
    assert any("trees added to 200" in note for note in tuned.description.notes)
    assert parents_of(tuned)[0] == ("fine-tuned from", "nodules:1")
    # The same rows and seed give the same version.
    assert fine_tune(base, few).node.id == tuned.node.id


def test_other_classes_begin_the_last_layer_afresh(tmp_path: Path, workspace: Workspace) -> None:
    base = train_classifier(
        read_images(paint(tmp_path / "squares"), name="squares", workspace=workspace),
        model_type="cnn", epochs=3, width=8, batch_size=8, workspace=workspace,
    )  # fmt: skip
    folder = paint(tmp_path / "others", seed=1)
    for old, new in (("left", "west"), ("right", "east")):
        (folder / old).rename(folder / new)
    images = read_images(folder, name="others", workspace=workspace)
    tuned = fine_tune(base, images, name="others", epochs=1, learning_rate=1e-7)
    assert (tuned.ref, tuned.classes) == ("others:1", ("east", "west"))
    assert tuned.description.parameters["epochs"] == 1
    before, after = (
        loads(model.bundle.read(WEIGHTS)).graph_.members[0].state_dict() for model in (base, tuned)
    )
    # At this rate nothing moves: what differs began afresh.
    assert np.allclose(before["stem.weight"], after["stem.weight"], atol=1e-5)
    assert not np.allclose(before["head.weight"], after["head.weight"], atol=1e-2)


def test_a_forecaster_learns_what_its_series_became(workspace: Workspace) -> None:
    base = train_forecaster(
        hourly(0, 6, 1.0), time="moment", model_type="graph cnn", epochs=2, width=8, channels=4,
        history=6, horizon=3, name="flow", workspace=workspace,
    )  # fmt: skip
    risen = hourly(7, 7, 1.4)
    tuned = fine_tune(base, risen[:120], learning_rate=5e-3, epochs=6, batch_size=32)
    assert tuned.ref == "flow:2"
    # Windows that end after what was learned from.
    last = np.arange(125, 168 - 3)
    ahead = np.stack([risen[["a", "b"]].to_numpy()[last + step] for step in (1, 2, 3)], axis=1)
    errors = [np.abs(model.predict(risen)[last] - ahead).mean() for model in (base, tuned)]
    assert errors[1] < errors[0]
    with pytest.raises(InvalidInput, match=r"\['b'\] are no columns"):
        fine_tune(base, risen.drop("b"))


def hourly(first: int, days: int, level: float) -> pl.DataFrame:
    hours = np.arange(24 * days)
    wave = level * (100 + 50 * np.sin(hours / 24 * 2 * np.pi))
    noise = np.random.default_rng(first).normal(0, 3, (2, len(hours)))
    start = datetime(2024, 3, 4) + timedelta(days=first)
    return pl.DataFrame(
        {
            "moment": [start + timedelta(hours=int(hour)) for hour in hours],
            "a": wave + noise[0],
            "b": 0.5 * wave + noise[1],
        }
    )


def test_engines_stay_whole_and_are_known_by_the_models_columns(
    workspace: Workspace, datasets: Path
) -> None:
    import lzma

    names = ["engine", "cycle", "setting1", "setting2", "setting3",
             *(f"sensor{n}" for n in range(1, 22))]  # fmt: skip
    with lzma.open(datasets / "manufacturing/cmapss/test_FD001.txt.xz", "rt") as file:
        frame = pl.DataFrame(np.loadtxt(file), schema=names)
    left = np.loadtxt(datasets / "manufacturing/cmapss/RUL_FD001.txt")
    life = pl.col("cycle").max().over("engine") - pl.col("cycle")
    known = pl.DataFrame({"engine": np.arange(1.0, 101.0), "left": left})
    base = pretrained("turbofan-life", workspace)
    columns = [field.name for field in base.signature.inputs]
    rows = frame.join(known, on="engine").with_columns(
        life=life + pl.col("left"), moment=pl.col("cycle")
    )
    few = rows.filter(pl.col("engine") <= 12).select("engine", "moment", "life", *columns)
    tuned = fine_tune(base, few, epochs=1)
    said = tuned.description
    assert (said.grouped_by, said.time, said.trained_on.groups) == ("engine", "moment", 12)
    test = rows.filter(pl.col("engine") > 12).partition_by("engine", maintain_order=True)
    series = [part.select(columns).to_dicts() for part in test]
    error = np.sqrt(((tuned.predict(series) - left[12:]) ** 2).mean())
    assert error < 20


def test_others_are_trained_anew_by_the_same_recipe(
    workspace: Workspace, loans: pl.DataFrame
) -> None:
    options: dict[str, Any] = {"target": "risk", "model_type": "logistic regression"}
    base = train_classifier(loans[:120], name="loans", C=0.3, workspace=workspace, **options)
    tuned = fine_tune(base, loans[120:])
    assert tuned.ref == "loans:2"
    assert tuned.description.parameters == {"C": 0.3}
    assert parents_of(tuned)[0] == ("fine-tuned from", "loans:1")
    assert "fine-tuned from loans:1" in tuned.description.notes


def test_rows_of_numbers_do_too(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3))
    labels = np.where(rows[:, 0] + rows[:, 1] > 0, "up", "down")
    options: dict[str, Any] = {"model_type": "lightgbm", "workspace": workspace, **SMALL}
    base = train_classifier((rows[:200], labels[:200]), name="numbers", **options)
    tuned = fine_tune(base, (rows[200:280], labels[200:280]))
    assert tuned.ref == "numbers:2"
    assert (tuned.predict(rows[280:]) == labels[280:]).mean() > 0.8


def test_columns_units_and_classes_are_checked(workspace: Workspace, nodules: pl.DataFrame) -> None:
    few = nodules[:80].with_columns(
        malignant=pl.col("malignant").replace({"yes": "malignant", "no": "benign"})
    )
    with pytest.raises(InvalidInput, match=r"missing: 'diameter'.*diameter in millimetres"):
        fine_tune("nodule-malignancy", few.drop("diameter"), workspace=workspace)
    with pytest.raises(InvalidInput, match="target='malignant' is no column"):
        fine_tune("nodule-malignancy", few.drop("malignant"), workspace=workspace)
    with pytest.raises(InvalidInput, match=r"tells benign, malignant apart, the data no, yes"):
        fine_tune("nodule-malignancy", nodules[:80], workspace=workspace)
    alike = few.filter(pl.col("malignant") == "benign")
    with pytest.raises(InvalidInput, match="rows of two classes"):
        fine_tune("nodule-malignancy", alike, workspace=workspace)
    in_metres = few.with_columns(diameter=pl.col("diameter") / 1000)
    with pytest.warns(OtherUnits, match=r"diameter is 0\.0.* between 5 and 15.*other units"):
        fine_tune("nodule-malignancy", in_metres, workspace=workspace)


def test_an_unknown_model_and_a_managed_parameter_are_told(
    workspace: Workspace, nodules: pl.DataFrame
) -> None:
    with pytest.raises(NotFound, match=r"come with the package: chest-xray-pneumonia"):
        fine_tune("nobody", nodules, workspace=workspace)
    with pytest.raises(InvalidInput, match="the platform sets 'n_jobs'"):
        fine_tune("nodule-malignancy", nodules, workspace=workspace, n_jobs=2)
