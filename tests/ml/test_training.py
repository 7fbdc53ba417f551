from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_wine

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import models
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace

from .conftest import paint
from .fitted import CLASSICAL, SMALL

WINE = load_wine(return_X_y=True)


def contents(model: Model) -> dict[str, bytes]:
    return {name: model.bundle.read(name) for name in model.bundle.names}


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_classifier_learns_three_classes(name: str, workspace: Workspace) -> None:
    matrix, codes = WINE
    model = train_classifier(
        (matrix[::2], codes[::2]), model_type=name, workspace=workspace, **SMALL.get(name, {})
    )
    assert model.classes == ("0", "1", "2")
    assert (model.predict(matrix[1::2]) == codes[1::2].astype(str)).mean() > 0.8
    probabilities = model.predict_proba(matrix)
    assert probabilities.shape == (178, 3)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_images_become_features(name: str, painted: ImageSet) -> None:
    train, test = split_data(preprocess_images(painted), test_size=0.25)
    model = train_classifier(train, model_type=name, **SMALL.get(name, {}))
    assert model.signature.kind == "image"
    assert model.description.features == 144
    assert evaluate(model, test, resamples=5) >= 0.5


@pytest.mark.parametrize("form", ["polars", "pandas", "arrow", "lazy", "table", "dictionary"])
def test_tables_of_every_kind_give_the_same_model(
    form: str, loans: pl.DataFrame, workspace: Workspace
) -> None:
    options: dict[str, Any] = {"model_type": "dt", "target": "risk", "name": "loans"}
    expected = train_classifier(loans, workspace=workspace, **options)
    data: Any = {
        "polars": lambda: loans,
        "pandas": loans.to_pandas,
        "arrow": loans.to_arrow,
        "lazy": loans.lazy,
        "table": lambda: read_table(loans, name="loans", workspace=workspace),
        "dictionary": lambda: loans.to_dict(as_series=False),
    }[form]()
    model = train_classifier(data, workspace=workspace, **options)
    assert model.bundle.read("model.onnx") == expected.bundle.read("model.onnx")
    assert model.description.trained_on.content == expected.description.trained_on.content
    skipped = model.predictor.preparation.encoding.skipped
    assert [skip.column for skip in skipped] == ["id"]
    # The target may be there, and gaps and unknown text are taken.
    assert (model.predict(data) == loans["risk"].to_numpy()).mean() > 0.95
    record = {"id": "new", "age": None, "job": "pilot", "amount": 5.0}
    assert model.predict([record])[0] in ("bad", "good")


def test_labels_may_be_numbers_text_or_truth_values(workspace: Workspace) -> None:
    matrix = np.arange(24.0).reshape(12, 2)
    for labels, classes in (
        ([10, 9] * 6, ("9", "10")),
        (np.array([1.0, 0.0] * 6), ("0", "1")),
        ([True, False] * 6, ("false", "true")),
        (["b", "a"] * 6, ("a", "b")),
    ):
        model = train_classifier((matrix, labels), model_type="dt", workspace=workspace)
        assert model.classes == classes
        assert model.predict(matrix).tolist() == [classes[1], classes[0]] * 6


@pytest.mark.parametrize(
    "name",
    ["svm", "random forest", "multilayer perceptron", "histogram gradient boosting", "k-nearest"],
)
def test_training_again_ends_in_the_same_bytes(
    name: str, tmp_path: Path, workspace: Workspace
) -> None:
    def train(place: Workspace) -> Model:
        data = load_wine(return_X_y=True)
        chosen = SMALL.get(name, {})
        return train_classifier(data, model_type=name, name="wine", workspace=place, **chosen)

    first = train(workspace)
    assert train(workspace).node == first.node
    assert len(models("wine", workspace)) == 1
    elsewhere = Workspace.open(tmp_path / "elsewhere")
    other = train(elsewhere)
    mine, theirs = contents(first), contents(other)
    # Each workspace signs with its own key; all else is equal to the byte.
    assert mine.pop("signature.json") != theirs.pop("signature.json")
    assert mine == theirs
    elsewhere.close()


def test_another_seed_or_parameter_is_another_version(workspace: Workspace) -> None:
    chosen: list[dict[str, Any]] = [{}, {"seed": 1}, {"max_depth": 2}, {"seed": 1}, {}]
    trained = [
        train_classifier(
            WINE, model_type="decision tree", name="wine", workspace=workspace, **options
        ).version
        for options in [*chosen, {"max_depth": np.int64(2)}]
    ]
    assert trained == [1, 2, 3, 2, 1, 3]


def test_lineage_leads_from_the_model_to_its_source_files(painted: ImageSet) -> None:
    train, test = split_data(painted, test_size=0.25)
    model = train_classifier(train, model_type="nb")
    lineage = model.workspace.lineage
    nodes = lineage.nodes(
        {link.parent for link in lineage.ancestors(model.node.id)} | {model.node.id}
    )
    kinds = sorted({node.kind for node in nodes.values()})
    assert kinds == ["dataset", "model", "run", "source", "split"]
    (run,) = [node for node in nodes.values() if node.kind == "run"]
    roles = dict(lineage.parents(run.id))
    assert (roles["training"], roles["held-out"]) == (train.node, test.node)
    assert model.training_data().ids == train.ids
    assert model.description.trained_on.held_out == len(test)
    assert model.baseline.predictions.rows == "held-out"


def test_a_selection_is_recorded_too(painted: ImageSet) -> None:
    model = train_classifier(painted[5:17], model_type="nb")
    assert model.training_data().ids == painted.ids[5:17]
    assert model.description.trained_on.held_out == 0


def test_a_grouped_table_keeps_its_groups_out_of_the_features(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    table = read_table(
        loans.with_columns(household=pl.Series([f"h{n // 3}" for n in range(200)])),
        name="loans",
        workspace=workspace,
    )
    train, test = split_data(table, target="risk", group="household")
    model = train_classifier(train, target="risk", model_type="svm")
    assert model.description.grouped_by == "household"
    assert "household" not in [field.name for field in model.signature.inputs]
    evaluation = evaluate(model, test, resamples=20)
    assert evaluation.groups == len(set(test["household"]))
    named = train_classifier(table, target="risk", groups="household", model_type="svm")
    assert named.description.trained_on.groups == 67


def test_an_unfaithful_export_is_not_served(workspace: Workspace) -> None:
    matrix, codes = load_breast_cancer(return_X_y=True)
    model = train_classifier(
        (matrix, codes), model_type="knn", weights="distance", workspace=workspace
    )
    description = model.description
    assert (description.format, model.predictor.format) == ("skops", "skops")
    assert description.parity is not None
    assert description.parity.difference > 0.01
    assert "answers otherwise" in description.reason
    assert "answers otherwise" in model.card()
    assert "model.onnx" not in model.bundle.names
    assert model.predict_proba(matrix)[0].max() == 1.0


def test_the_gate_measures_training_and_held_out_rows(painted: ImageSet) -> None:
    train, test = split_data(painted, test_size=0.25)
    parity = train_classifier(train, model_type="svm").description.parity
    assert parity is not None
    assert parity.rows == len(train) + len(test)
    alone = train_classifier(painted, model_type="svm").description.parity
    assert alone is not None
    assert alone.rows == 2 * len(painted)


@pytest.mark.parametrize(("rows", "noted"), [((20, 1), True), ((20, 2), False), ((40, 3), False)])
def test_few_rows_of_a_class_are_learned_and_said(
    rows: tuple[int, int], noted: bool, workspace: Workspace
) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], rows)
    matrix = rng.normal(size=(sum(rows), 3)) + 8 * codes[:, None]
    model = train_classifier((matrix, codes), model_type="SVM", workspace=workspace)
    assert bool(model.description.notes) is noted
    assert ("too few to calibrate" in model.card()) is noted
    assert (model.predict(matrix) == codes.astype(str)).mean() > 0.9


def test_calibrated_probabilities_follow_the_shares(workspace: Workspace) -> None:
    # One row in twenty is of class 1 wherever it lies: the mean probability must say so.
    rng = np.random.default_rng(0)
    codes = (rng.random(600) < 0.05).astype(int)
    matrix = rng.normal(size=(600, 2)) + codes[:, None]
    model = train_classifier((matrix, codes), model_type="SVM", workspace=workspace)
    assert model.predict_proba(matrix)[:, 1].mean() == pytest.approx(codes.mean(), abs=0.02)


def test_class_weights_name_the_classes(loans: pl.DataFrame, workspace: Workspace) -> None:
    options: dict[str, Any] = {"target": "risk", "model_type": "dt", "workspace": workspace}
    plain = train_classifier(loans, max_depth=1, **options)
    heavy = train_classifier(loans, max_depth=1, class_weight={"bad": 50, "good": 1}, **options)
    assert (heavy.predict(loans) == "bad").sum() > (plain.predict(loans) == "bad").sum()
    with pytest.raises(InvalidInput, match=r"classes are \['bad', 'good'\]"):
        train_classifier(loans, class_weight={"bad": 2}, **options)


def test_large_and_unequal_images_come_to_one_small_shape(
    tmp_path: Path, workspace: Workspace
) -> None:
    folder = paint(tmp_path / "mixed", count=8, size=200)
    paint(folder, count=16, size=40)
    images = read_images(folder, workspace=workspace)
    assert len({entry.meta.shape for entry in images.entries}) == 2
    model = train_classifier(images, model_type="rf", n_estimators=10)
    assert model.description.features == 64 * 64
    assert (model.predict(images) == images.labels).all()
    # One decoded image at a time gives what the whole set gave.
    single = np.concatenate([model.predict_proba(image) for image in images])
    assert single == pytest.approx(model.predict_proba(images))


def test_principal_components_may_be_asked_for(painted: ImageSet) -> None:
    model = train_classifier(painted, model_type="svm", components=5)
    assert model.description.features == 5
    assert (model.predict(painted) == painted.labels).mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model_type": "forest fire"}, "choose one of"),
        ({"n_estimator": 3}, "did you mean n_estimators"),
        ({"max_depth": -1}, "'max_depth' parameter"),
        ({"criterion": print}, "no model can record"),
        ({"seed": -1}, "seed must be"),
        ({"seed": True}, "seed must be"),
        ({"name": "../etc/passwd"}, "cannot be the name"),
        ({"name": "a:b"}, "cannot be the name"),
        ({"name": ""}, "cannot be the name"),
        ({"target": "risky"}, "is no column"),
        ({"target": None}, "is no column"),
        ({"target": "amount"}, "measurements such as"),
        ({"target": "age"}, "have no label"),
        ({"groups": "risk"}, "no column beside"),
        ({"kinds": {"ages": "number"}}, "not there"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: dict[str, Any], said: str, loans: pl.DataFrame, workspace: Workspace
) -> None:
    with pytest.raises(InvalidInput, match=said):
        train_classifier(loans, **{"target": "risk", "workspace": workspace} | arguments)
    assert models(workspace=workspace) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (([[1.0], [2.0]], ["a", "a"]), "all 2 rows are labelled 'a'"),
        (([[1.0], [2.0]], ["a"]), "as many labels"),
        (([[1.0], [2.0]], ["a", None]), "have no label"),
        (([1.0, 2.0], ["a", "b"]), "rows of numbers"),
        ((np.zeros((0, 2)), []), "rows of numbers"),
        (([["x"], ["y"]], ["a", "b"]), "rows of numbers"),
        (3, "rows of numbers"),
        (([[np.inf], [1.0]], ["a", "b"]), "infinite"),
    ],
)
def test_data_that_cannot_be_learned_is_refused(data: Any, said: str, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match=said):
        train_classifier(data, workspace=workspace)


def test_images_without_labels_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    images = read_images(paint(tmp_path / "squares"), label=None, workspace=workspace)
    with pytest.raises(InvalidInput, match="have no labels"):
        train_classifier(images)
    with pytest.raises(InvalidInput, match="knows its labels"):
        train_classifier(images, target="label")


def test_what_the_estimator_finds_wrong_is_said(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="k-nearest cannot"):
        train_classifier(WINE, model_type="knn", n_neighbors=500, workspace=workspace)


def test_the_sample_programs_accuracy(datasets: Path, workspace: Workspace) -> None:
    images = preprocess_images(
        read_images(datasets / "medical" / "pneumonia_dicom", workspace=workspace)
    )
    train, test = split_data(images, test_size=0.2)
    model = train_classifier(train, model_type="SVM")
    accuracy = evaluate(model, test, resamples=200)
    assert model.description.format == "onnx"
    assert accuracy >= 0.93
    assert accuracy.groups is not None
    assert accuracy.groups < accuracy.rows
    patients = {entry.meta.patient for entry in train.entries}
    assert not patients & {entry.meta.patient for entry in test.entries}


def test_a_table_without_rows_is_refused_in_words(workspace: Any) -> None:
    empty = pl.DataFrame({"x": [], "y": []}, schema={"x": pl.Float64, "y": pl.String})
    with pytest.raises(InvalidInput, match="there are no rows"):
        train_classifier(empty, target="y", workspace=workspace)
