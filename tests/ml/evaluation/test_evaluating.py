from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.data import get_testdata_file
from sklearn.datasets import load_wine, make_blobs
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score, silhouette_score

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.preprocess import preprocess_images
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.evaluation import (
    ClusteringEvaluation,
    DetectionEvaluation,
    LifeEvaluation,
    RegressionEvaluation,
    compare_models,
)
from lepton_ai.ml.evaluation.evaluating import SeenInTraining, evaluate
from lepton_ai.ml.evaluation.stored import stored
from lepton_ai.ml.training import (
    train_classifier,
    train_clusterer,
    train_detector,
    train_regressor,
)
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


def machines(seed: int = 0, count: int = 12) -> pl.DataFrame:
    """Machines whose sensor rises until they fail; the life that is left is to be predicted."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(count):
        length = int(rng.integers(40, 60))
        left = np.arange(length)[::-1]
        heat = 100 - left + rng.normal(size=length)
        rows.append(
            pl.DataFrame(
                {
                    "unit": [f"{seed}-{unit}"] * length,
                    "cycle": np.arange(length),
                    "heat": heat,
                    "hum": rng.normal(size=length),
                    "left": left.astype(float),
                }
            )
        )
    return pl.concat(rows)


def test_a_regressor_is_measured_by_value(workspace: Workspace) -> None:
    train, test = machines(0).drop("unit", "cycle"), machines(1).drop("cycle")
    model = train_regressor(train, target="left", model_type="ridge", workspace=workspace)
    found = evaluate(model, test, slices=["unit"], resamples=50)
    values = model.predict(test.drop("unit"))
    assert isinstance(found, RegressionEvaluation)
    assert found.r2 == pytest.approx(r2_score(test["left"], values))
    assert found == found.r2
    assert len(found.slices[0].slices) == 12
    kept = stored(model.evaluations()[0].facts["evaluation"])
    assert kept.to_dict() == {**found.to_dict(), "node": None}
    assert f"| R² | {found.r2:.3f} |" in model.card()
    with pytest.warns(SeenInTraining, match=f"{len(train)} of {len(train)}"):
        evaluate(model, train, resamples=5)


def test_rows_in_time_are_resampled_in_blocks(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    drift = np.cumsum(rng.normal(size=400)) / 3
    frame = pl.DataFrame({"at": np.arange(400), "x": rng.normal(size=400)})
    frame = frame.with_columns(y=frame["x"] * 5 + drift)
    model = train_regressor(
        frame[:200].drop("at"), target="y", model_type="ridge", workspace=workspace
    )

    def width(test: pl.DataFrame, **options: str) -> float:
        low, high = evaluate(model, test, resamples=300, **options).intervals["mae"]
        return high - low

    test = frame[200:].sample(fraction=1, shuffle=True, seed=0)
    assert width(test, time="at") > 1.4 * width(test.drop("at"))


def test_classes_in_time_are_resampled_in_blocks(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    # Labels that stay for a while, and answers that are wrong for a while.
    label = np.repeat(rng.choice(["a", "b"], 40), 10)
    seen = np.where(np.repeat(rng.random(40) < 0.3, 10), np.roll(label, 10), label)
    x = (seen == "a") + rng.normal(size=400) / 9
    frame = pl.DataFrame({"at": np.arange(400), "x": x, "kind": label})
    model = train_classifier(
        frame[:200].drop("at"), target="kind", model_type="nb", workspace=workspace
    )
    widths = []
    for test in (frame[200:], frame[200:].drop("at")):
        options = {"time": "at"} if "at" in test.columns else {}
        low, high = evaluate(model, test, **options).intervals["accuracy"]
        widths.append(high - low)
    assert widths[0] > 1.4 * widths[1]


def test_remaining_life_is_measured_by_unit(workspace: Workspace) -> None:
    train, test = machines(0), machines(1)
    model = train_regressor(
        train.drop("cycle"), target="left", groups="unit", model_type="ridge", workspace=workspace
    )
    shuffled = test.sample(fraction=1, shuffle=True, seed=0)
    found = evaluate(model, shuffled, time="cycle", limit=10, needed=5, resamples=50)
    assert isinstance(found, LifeEvaluation)
    assert (found.due, found.groups) == (12, 12)
    assert found.warned == 1
    assert found.median_lead == pytest.approx(10, abs=2)
    assert found.rmse < 2


def test_remaining_life_of_windows_is_measured_by_unit(workspace: Workspace) -> None:
    train, test = machines(0), machines(1)
    model = train_regressor(
        train,
        target="left",
        groups="unit",
        time="cycle",
        window=4,
        model_type="ridge",
        workspace=workspace,
    )
    # Columns that windows are cut by stay, named again or not, in whatever order rows come.
    shuffled = test.sample(fraction=1, shuffle=True, seed=0)
    found = evaluate(model, shuffled, limit=10, resamples=20)
    named = evaluate(model, test, groups="unit", time="cycle", limit=10, resamples=20)
    assert found.figures == pytest.approx(named.figures)
    assert (found.due, found.groups) == (12, 12)
    assert found.median_lead == pytest.approx(10, abs=2)


def test_a_clustering_is_measured_with_and_without_labels(workspace: Workspace) -> None:
    matrix, known = make_blobs(200, centers=3, cluster_std=0.6, random_state=1)
    model = train_clusterer(matrix[:100], model_type="k-means", n_clusters=3, workspace=workspace)
    found = evaluate(model, (matrix[100:], known[100:]), refits=3, resamples=50)
    assert isinstance(found, ClusteringEvaluation)
    assert found.adjusted_rand == pytest.approx(1)
    assert found.stability == pytest.approx(1)
    labels = model.predict(matrix[100:])
    assert found.silhouette == pytest.approx(silhouette_score(model.features(matrix[100:]), labels))
    alone = evaluate(model, matrix[100:], refits=0, resamples=20)
    assert (alone.adjusted_rand, alone.stability) == (None, None)
    assert alone.silhouette == found.silhouette


def test_anomalies_are_measured_with_and_without_labels(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    usual, odd = rng.normal(size=(200, 3)), rng.normal(size=(10, 3)) + 6
    model = train_detector(
        usual[:100], model_type="isolation forest", n_estimators=20, workspace=workspace
    )
    test = np.concatenate([usual[100:], odd])
    labels = ["normal"] * 100 + ["fraud"] * 10
    found = evaluate(model, (test, labels), resamples=50)
    assert isinstance(found, DetectionEvaluation)
    assert found.auc > 0.99
    assert found.alarms == pytest.approx(np.mean(model.predict(test) == "anomaly"))
    assert found.k == 10
    assert evaluate(model, (test, labels), positive="fraud", resamples=5).auc == found.auc
    alone = evaluate(model, test, resamples=20)
    assert (alone.auc, alone.alarms) == (None, found.alarms)
    with pytest.raises(InvalidInput, match="says which rows are normal"):
        evaluate(model, (test, ["a"] * 100 + ["b"] * 10))
    with pytest.raises(InvalidInput, match="none of the labels"):
        evaluate(model, (test, labels), positive="theft")


def test_slices_of_a_table_and_of_images(loans: pl.DataFrame, painted: ImageSet) -> None:
    workspace = painted.workspace
    train, test = loans[:100], loans[100:].with_columns(branch=pl.lit("a"))
    model = train_classifier(
        train, target="risk", model_type="dt", max_depth=1, workspace=workspace
    )
    found = evaluate(model, test, slices=["job", "branch"], resamples=20)
    assert [part.column for part in found.slices] == ["job", "branch"]
    assert {part.value for part in found.slices[0].slices} == {"none", "nurse", "driver"}
    assert "By job" in str(found)
    with pytest.raises(InvalidInput, match="'region' is no column"):
        evaluate(model, test, slices=["region"])
    seeing = train_classifier(painted[np.arange(0, 24, 2)], model_type="nb")
    with pytest.raises(InvalidInput, match="no header of"):
        evaluate(seeing, painted[np.arange(1, 24, 2)], slices=["modality"])


def test_two_models_are_compared_on_the_same_rows(
    loans: pl.DataFrame, workspace: Workspace
) -> None:
    train, test = loans[:100], loans[100:]
    good = train_classifier(train, target="risk", model_type="rf", workspace=workspace)
    # Another recipe: without the columns that tell.
    blind = train_classifier(
        train.drop("job", "age"), target="risk", model_type="nb", workspace=workspace, name="blind"
    )
    found = compare_models(good, blind, test, resamples=300)
    assert (found.first, found.second) == (good.ref, blind.ref)
    assert found["accuracy"].first == evaluate(good, test, resamples=5).accuracy
    assert found["auc"].better == "first"
    assert {item.name for item in found.tests} == {"McNemar", "DeLong"}
    with pytest.warns(SeenInTraining) as caught:
        compare_models(good, blind, loans, resamples=5)
    for model, warning in zip((good, blind), caught, strict=True):
        assert f"100 of 200 test rows equal rows that {model.ref}" in str(warning.message)


def test_of_different_tasks_or_classes_there_is_no_comparison(workspace: Workspace) -> None:
    by_class = train_classifier((WINE, CODES), model_type="nb", workspace=workspace)
    by_value = train_regressor((WINE, CODES * 1.5), model_type="ridge", workspace=workspace)
    with pytest.raises(InvalidInput, match="two models of one task"):
        compare_models(by_class, by_value, (WINE, CODES))
    fewer = train_classifier(
        (WINE[CODES < 2], CODES[CODES < 2]), model_type="nb", workspace=workspace, name="fewer"
    )
    with pytest.raises(InvalidInput, match="the same classes"):
        compare_models(by_class, fewer, (WINE, CODES))


def test_regressors_are_compared(workspace: Workspace) -> None:
    train, test = machines(0).drop("unit", "cycle"), machines(1).drop("unit", "cycle")
    first = train_regressor(train, target="left", model_type="ridge", workspace=workspace)
    second = train_regressor(
        train, target="left", model_type="decision tree", max_depth=1, workspace=workspace
    )
    found = compare_models(first, second, test, resamples=200)
    assert found["rmse"].better == "first"
    assert found["mae"].first == pytest.approx(evaluate(first, test, resamples=5).mae)
