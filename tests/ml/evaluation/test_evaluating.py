from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.data import get_testdata_file
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score, roc_auc_score

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.evaluation.evaluating import SeenInTraining, evaluate
from lepton_ai.ml.evaluation.stored import stored
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace

from ..conftest import paint

WINE, CODES = load_wine(return_X_y=True)


def test_the_figures_are_those_of_the_served_model(workspace: Workspace) -> None:
    model = train_classifier((WINE[::2], CODES[::2]), model_type="nb", workspace=workspace)
    evaluation = evaluate(model, (WINE[1::2], CODES[1::2]), resamples=10)
    probabilities = model.predict_proba(WINE[1::2])
    truth = CODES[1::2]
    assert evaluation.accuracy == accuracy_score(truth, probabilities.argmax(axis=1))
    normal = probabilities / probabilities.sum(axis=1, keepdims=True)
    assert evaluation.auc == pytest.approx(roc_auc_score(truth, normal, multi_class="ovr"))
    assert evaluation == evaluate(model, WINE[1::2], target=CODES[1::2], resamples=10)
    assert evaluation.model == model.ref


def test_an_evaluation_is_kept_once_in_the_lineage(painted: ImageSet) -> None:
    train, test = split_data(preprocess_images(painted), test_size=0.25)
    model = train_classifier(train, model_type="nb")
    evaluation = evaluate(model, test, resamples=10)
    again = evaluate(model, test, resamples=10)
    assert evaluation.node == again.node
    (node,) = model.evaluations()
    assert node.id == evaluation.node
    parents = {role: parent.id for role, parent in painted.workspace.lineage.parents(node.id)}
    assert parents == {"model": model.node.id, "data": test.node.id}
    kept = stored(node.facts["evaluation"])
    assert kept.to_dict() == {**evaluation.to_dict(), "node": None}
    assert evaluation.data == f"{painted.ref}, test side"
    assert f"accuracy | {evaluation.accuracy:.3f}" in model.card()
    assert "Not evaluated yet" in train_classifier(train, model_type="dt").card()


def test_images_that_were_trained_on_are_noticed(tmp_path: Path, workspace: Workspace) -> None:
    images = read_images(paint(tmp_path / "squares"), workspace=workspace)
    train, test = split_data(images, test_size=0.25)
    model = train_classifier(train, model_type="nb")
    assert evaluate(model, test, resamples=5).seen == 0
    with pytest.warns(SeenInTraining, match="18 of 18 test rows equal rows"):
        assert evaluate(model, train, resamples=5).seen == 18
    # The same pixels in another folder are the same images.
    copied = read_images(paint(tmp_path / "copies"), name="copies", workspace=workspace)
    with pytest.warns(SeenInTraining, match="18 of 24"):
        evaluation = evaluate(model, copied, resamples=5)
    assert "18 of the rows were trained on" in str(evaluation)
    assert "18 of these rows" in model.card()


def test_further_images_of_a_trained_patient_are_noticed(
    tmp_path: Path, workspace: Workspace
) -> None:
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    rng = np.random.default_rng(0)
    for number in range(8):
        image = source.copy()
        image.PixelData = rng.integers(0, 99, (128, 128), dtype=np.int16).tobytes()
        image.PatientID = f"P{number // 2}"
        image.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[str(number)])
        image.SeriesInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["s", str(number)])
        folder = tmp_path / "ct" / "ab"[number // 2 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.save_as(folder / f"{number}.dcm")
    images = read_images(tmp_path / "ct", workspace=workspace)
    assert len(images) == 8
    order = np.argsort([entry.meta.patient for entry in images.entries], kind="stable")
    model = train_classifier(images[order[::2]], model_type="nb")
    with pytest.warns(SeenInTraining, match="4 patients of the test data"):
        evaluate(model, images[order[1::2]], resamples=5)


def test_rows_of_a_table_that_were_trained_on_are_noticed(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    table = read_table(loans, name="loans", workspace=workspace)
    train, test = split_data(table, test_size=0.25, target="risk")
    model = train_classifier(train, target="risk")
    assert evaluate(model, test, resamples=5).seen == 0
    with pytest.warns(SeenInTraining, match="150 of 200"):
        evaluate(model, table, resamples=5)
    with pytest.warns(SeenInTraining, match="150 of 200"):
        evaluate(model, loans.to_pandas(), resamples=5)
    assert evaluate(model, test.to_polars(), resamples=5).seen == 0


def test_rows_of_numbers_that_were_trained_on_are_noticed(workspace: Workspace) -> None:
    model = train_classifier((WINE[::2], CODES[::2]), model_type="dt", workspace=workspace)
    with pytest.warns(SeenInTraining, match="89 of 178"):
        evaluate(model, (WINE, CODES), resamples=5)
    # The same numbers under another label are no row that was trained on.
    evaluate(model, (WINE[::2], (CODES[::2] + 1) % 3), resamples=5)


def test_groups_of_a_table_widen_the_intervals(loans: pl.DataFrame, workspace: Workspace) -> None:
    train, test = loans[:100], loans[100:].with_columns(house=pl.int_range(100) // 25)
    model = train_classifier(
        train, target="risk", model_type="dt", max_depth=1, workspace=workspace
    )
    grouped = evaluate(model, test, groups="house", resamples=50)
    assert grouped.groups == 4
    assert evaluate(model, test.drop("house"), resamples=50).groups is None


@pytest.mark.parametrize(
    ("test", "options", "said"),
    [
        (pl.DataFrame({"age": [1.0]}), {}, "'risk' is no column"),
        (pl.DataFrame({"age": [1.0], "risk": ["odd"]}), {}, "missing: 'job'"),
        (
            pl.DataFrame({"age": [1.0], "job": ["x"], "amount": [2], "risk": ["odd"]}),
            {},
            r"does not know: \['odd'\]",
        ),
        ("rows", {"groups": "house"}, "'house' is no column"),
        ("rows", {"target": "job"}, "missing: 'job'"),
        ("rows", {"positive": "odd"}, "must be one of two"),
        ("rows", {"confidence": 1.5}, "between 0 and 1"),
        ("rows", {"resamples": 0}, "at least 1"),
        (3, {}, "expected a pandas"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    test: object, options: dict[str, object], said: str, loans: pl.DataFrame, workspace: Workspace
) -> None:
    model = train_classifier(loans[:100], target="risk", model_type="dt", workspace=workspace)
    data = loans[100:] if isinstance(test, str) else test
    with pytest.raises(InvalidInput, match=said):
        evaluate(model, data, **options)
    assert model.evaluations() == []


def test_rows_of_numbers_need_labels(workspace: Workspace) -> None:
    model = train_classifier((WINE, CODES), model_type="dt", workspace=workspace)
    with pytest.raises(InvalidInput, match="need a label each"):
        evaluate(model, WINE)
