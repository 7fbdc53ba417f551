"""What a caller asks for, from data to the registered model and its answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import get
from lepton_ai.ml.retraining import Training
from lepton_ai.ml.selection import candidates
from lepton_ai.ml.selection.candidates import Candidate
from lepton_ai.ml.training import train, train_classifier, train_clusterer, train_regressor
from lepton_ai.storage import Workspace

pytest.importorskip("optuna")

QUICK = (
    Candidate(model="baseline"),
    Candidate(model="logistic regression"),
    Candidate(model="ridge"),
    Candidate(model="decision tree", settings=({"max_depth": 3},)),
    Candidate(model="random forest", settings=({"n_estimators": 10},)),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "CANDIDATES", QUICK)


@pytest.fixture
def tumours(workspace: Workspace) -> Any:
    matrix, codes = load_breast_cancer(return_X_y=True)
    frame = pl.DataFrame({f"c{place}": matrix[:, place] for place in range(6)})
    frame = frame.with_columns(tumour=pl.Series(np.where(codes, "benign", "malignant")))
    return read_table(frame, name="tumours", workspace=workspace)


def test_auto_trains_registers_and_serves_what_it_chose(tumours: Any, tmp_path: Path) -> None:
    known, asked = split_data(tumours, 0.3, target="tumour")
    model = train_classifier(known, target="tumour", model_type="Auto", trials=2)
    board = model.leaderboard()
    assert evaluate(model, asked, resamples=5).accuracy > 0.85
    # The figure that was told beforehand holds on rows that nothing was chosen on.
    low, high = board.intervals["auc"]
    assert low - 0.03 <= (evaluate(model, asked, resamples=5).auc or 0) <= high + 0.03
    assert "Leaderboard" in str(board)
    assert board.chosen in str(board)
    assert json.loads(json.dumps(board.to_dict()))["chosen"] == board.chosen
    board.plot(tmp_path / "board.svg")
    assert "<svg" in (tmp_path / "board.svg").read_text()
    assert board.chosen in board._repr_html_()
    # It is kept in the bundle, which the signature covers.
    again = get(model.ref, model.workspace)
    assert again.leaderboard() == board


def test_the_same_trials_give_the_same_version(tumours: Any) -> None:
    options: dict[str, Any] = {"target": "tumour", "model_type": "auto", "trials": 2}
    one = train_classifier(tumours, **options)
    again = train_classifier(tumours, **options)
    assert one.version == again.version == 1
    assert [one.bundle.read(n) for n in one.bundle.names] == [
        again.bundle.read(n) for n in again.bundle.names
    ]


def test_a_named_model_is_tuned(tumours: Any) -> None:
    model = train_classifier(
        tumours, target="tumour", model_type="decision tree", trials=6, criterion="entropy"
    )
    assert model.description.model_type == "decision tree"
    assert model.description.parameters.keys() >= {"max_depth", "min_samples_leaf", "criterion"}
    assert model.description.settings["criterion"] == "entropy"


def test_a_model_that_was_named_has_no_leaderboard(tumours: Any) -> None:
    model = train_classifier(tumours, target="tumour", model_type="naive bayes")
    with pytest.raises(InvalidInput, match="was not chosen among models"):
        model.leaderboard()


def decided(tumours: Any) -> Model:
    known, _ = split_data(tumours, 0.3, target="tumour")
    return train_classifier(
        known,
        target="tumour",
        model_type="naive bayes",
        threshold={"recall": 0.95},
        calibrate="isotonic",
        positive="malignant",
    )


def test_threshold_and_calibration_hold_on_new_rows_and_when_served(tumours: Any) -> None:
    model = decided(tumours)
    _, asked = split_data(tumours, 0.3, target="tumour")
    found = evaluate(model, asked, resamples=5)
    plain = evaluate(
        train_classifier(
            split_data(tumours, 0.3, target="tumour")[0], target="tumour", model_type="naive bayes"
        ),
        asked,
        resamples=5,
    )
    assert (found.recall or 0) > 0.88
    assert (found.recall or 0) >= (plain.recall or 0)
    # Naive Bayes is far too sure, by itself.
    assert found.log_loss < plain.log_loss / 1.3
    chosen = model.description.threshold
    assert chosen is not None
    assert chosen.interval is not None
    shares = model.predict_proba(asked)[:, model.classes.index("malignant")]
    expected = np.where(shares >= chosen.value, "malignant", "benign")
    assert (model.predict(asked) == expected).all()
    assert model.predictor.labels(model.answers(asked)) == expected.tolist()


def test_training_again_decides_again(tumours: Any, workspace: Workspace) -> None:
    model = decided(tumours)
    again = Training.of(model).repeat(workspace)
    assert again.description.threshold == model.description.threshold
    assert again.description.outcome == model.description.outcome


def test_training_an_ensemble_again_needs_no_search(tumours: Any, workspace: Workspace) -> None:
    members = [
        {"model": "logistic regression", "parameters": {"C": 0.5}, "weight": 0.75},
        {"model": "decision tree", "parameters": {"max_depth": 2}, "weight": 0.25},
    ]
    model = train_classifier(tumours, target="tumour", model_type="ensemble", members=members)
    assert model.description.format == "onnx"
    again = Training.of(model).repeat(workspace)
    assert again.bundle.read("model.onnx") == model.bundle.read("model.onnx")


def test_costs_move_the_threshold(tumours: Any) -> None:
    options: dict[str, Any] = {"target": "tumour", "model_type": "naive bayes"}
    cheap, dear = (
        train_classifier(tumours, threshold={"costs": [[0, 1], [cost, 0]]}, **options)
        for cost in (1, 30)
    )
    said = [model.description.threshold for model in (cheap, dear)]
    assert said[0] is not None
    assert said[1] is not None
    # The order of the classes: benign, malignant; missing a malignant one costs 1 or 30.
    assert said[1].value < said[0].value


def test_values_by_auto_with_groups_and_time(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pl.DataFrame({"x": x, "day": np.arange(120), "y": 3 * x + rng.normal(0, 0.1, 120)})
    model = train(frame, target="y", time="day", model_type="auto", trials=1, workspace=workspace)
    assert model.task == "regression"
    assert "later" in model.leaderboard().plan
    assert model.leaderboard().figures["r2"] > 0.9


def test_a_group_alone_cannot_be_divided(workspace: Workspace) -> None:
    frame = pl.DataFrame({"x": range(40), "g": ["one"] * 40, "y": ["a", "b"] * 20})
    with pytest.raises(InvalidInput, match="belong to one group"):
        train_classifier(frame, target="y", groups="g", model_type="auto", workspace=workspace)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "auto", "C": 3}, "chooses parameters itself; leave out C"),
        ({"model_type": "svm", "budget": -1}, "budget is in seconds"),
        ({"model_type": "svm", "threshold": 7}, "what to choose one by"),
        ({"model_type": "naive bayes", "tune": True}, "nothing to tune"),
        ({"model_type": "svm", "positive": "strange", "threshold": 0.3}, "one of two classes"),
    ],
)
def test_what_does_not_go_together_says_so(
    options: dict[str, Any], message: str, tumours: Any
) -> None:
    with pytest.raises(InvalidInput, match=message):
        train_classifier(tumours, target="tumour", **options)


def test_clusters_are_not_chosen(tumours: Any) -> None:
    with pytest.raises(InvalidInput, match="classification and regression, not"):
        train_clusterer(tumours, model_type="auto")


def test_a_regressor_has_no_threshold(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="no parameter 'threshold'"):
        train_regressor(
            (np.eye(8), np.arange(8.0)), model_type="ridge", threshold=0.5, workspace=workspace
        )
