from typing import Any

import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.thresholds import choose_threshold
from lepton_ai.ml.selection.deciding import decide

RNG = np.random.default_rng(0)
ILL = RNG.random(600) < 0.3
SCORE = 1 / (1 + np.exp(-(2.0 * ILL - 1 + RNG.normal(size=600))))
ANSWERS = np.stack([SCORE, 1 - SCORE], axis=1)
LABELS = np.where(ILL, "ill", "well")
# In the order of the columns: the class that is looked for comes first.
CLASSES = ("ill", "well")


def decided(**options: Any) -> Any:
    return decide(LABELS, ANSWERS, CLASSES, **options)


def test_a_wanted_recall_is_reached_by_the_highest_threshold() -> None:
    found = decided(aim={"recall": 0.9}, positive="ill")
    called = np.array(found.outcome.labels(ANSWERS)) == "ill"
    assert called[ILL].mean() >= 0.9
    assert (SCORE[ILL] >= found.outcome.threshold + 0.01).mean() < 0.9
    assert found.threshold.figures["recall"] == pytest.approx(called[ILL].mean())
    low, high = found.threshold.interval
    assert low <= found.outcome.threshold <= high


def test_costs_are_by_class_in_the_order_of_the_classes() -> None:
    # Missing an ill person costs ten times a false alarm.
    found = decided(aim={"costs": [[0, 10], [1, 0]]}, positive="ill")
    other = choose_threshold(ILL, SCORE, costs=[[0, 1], [10, 0]])
    assert found.outcome.threshold == other.value
    assert found.threshold.figures["cost"] == pytest.approx(other.figures["cost"])
    mild = decided(aim={"costs": [[0, 1], [1, 0]]}, positive="ill")
    assert found.outcome.threshold < mild.outcome.threshold


def test_costs_of_three_classes_decide_the_label() -> None:
    answers = RNG.dirichlet([2, 2, 2], 300)
    labels = np.array(["a", "b", "c"])[answers.argmax(axis=1)]
    costs = [[0, 1, 1], [1, 0, 1], [50, 50, 0]]
    found = decide(labels, answers, ("a", "b", "c"), aim={"costs": costs})
    given = np.array(found.outcome.labels(answers))
    expected = np.array(["a", "b", "c"])[(answers @ np.array(costs)).argmin(axis=1)]
    assert (given == expected).all()
    assert (given == "c").mean() > 0.8


def test_a_number_is_the_threshold() -> None:
    found = decided(aim=0.25, positive="ill")
    assert found.threshold is None
    assert found.outcome.labels(ANSWERS) == ["ill" if p >= 0.25 else "well" for p in SCORE]


@pytest.mark.parametrize("method", ["isotonic", "sigmoid", "temperature"])
def test_calibration_brings_probabilities_to_what_comes_true(method: str) -> None:
    # Too sure by far: odds to the third power.
    sure = SCORE**3 / (SCORE**3 + (1 - SCORE) ** 3)
    answers = np.stack([sure, 1 - sure], axis=1)
    found = decide(LABELS, answers, CLASSES, calibrate=method)
    calibrated = found.outcome.settled(answers)
    assert calibrated.sum(axis=1) == pytest.approx(1)
    before, after = (((part[:, 0] - ILL) ** 2).mean() for part in (answers, calibrated))
    assert after < before
    if method != "temperature":
        assert calibrated[:, 0].mean() == pytest.approx(ILL.mean(), abs=0.01)


def test_the_threshold_is_one_of_calibrated_probabilities() -> None:
    found = decided(aim={"precision": 0.7}, calibrate="sigmoid", positive="ill")
    calibrated = found.outcome.settled(ANSWERS)
    called = np.array(found.outcome.labels(calibrated)) == "ill"
    assert (ILL[called]).mean() >= 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aim": {"recall": 0.9, "precision": 0.5}}, "what to choose one by"),
        ({"aim": "high"}, "what to choose one by"),
        ({"aim": 1.5}, "between 0 and 1"),
        ({"aim": {"recall": 0.9, "surely": True}}, "what to choose one by"),
        ({"calibrate": "bins"}, "isotonic, sigmoid, temperature"),
        ({"positive": "dead"}, "must be one of two classes"),
        ({"aim": {"costs": [[0, 1, 2], [1, 0, 1]]}}, "a row for each of 2"),
        ({"aim": {"costs": [["free", 1], [1, 0]]}}, "must be numbers"),
    ],
)
def test_what_cannot_be_decided_says_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        decided(**options)


def test_a_threshold_is_about_two_classes() -> None:
    answers = RNG.dirichlet([1, 1, 1], 60)
    labels = np.array(["a", "b", "c"] * 20)
    for aim in ({"recall": 0.9}, 0.3):
        with pytest.raises(InvalidInput, match="one of two classes; the model has 3"):
            decide(labels, answers, ("a", "b", "c"), aim=aim)
