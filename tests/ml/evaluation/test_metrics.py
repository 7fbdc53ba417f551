"""Every figure is compared with scikit-learn's on random answers, with ties and rare classes."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from lepton_ai.ml.evaluation.metrics import (
    confusion_matrix,
    reliability,
    winners,
)
from lepton_ai.ml.evaluation.probabilities import ProbabilityMeasure
from lepton_ai.ml.evaluation.ranking import gain_curve, precision_recall_curve, roc_curve


def answers(classes: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(classes), rng.integers(classes, size=rows - classes)]
    score = rng.normal(size=(rows, classes))
    score[np.arange(rows), truth] += 1
    # Two decimals: many equal scores.
    odds = np.exp(np.round(score, 1))
    return truth, odds / odds.sum(axis=1, keepdims=True)


def measured(
    truth: np.ndarray, probabilities: np.ndarray, positive: int | None, weights: np.ndarray
) -> dict[str, float]:
    measure = ProbabilityMeasure(truth, probabilities, winners(probabilities), positive)
    found = measure(weights[None])
    return {name: float(value[0]) for name, value in found.items() if value.ndim == 1}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_figures_are_scikit_learns(seed: int, weighted: bool) -> None:
    truth, probabilities = answers(2, 80, seed)
    weights = np.ones(80)
    if weighted:
        weights = np.random.default_rng(seed).integers(0, 4, 80).astype(float)
    given = winners(probabilities)
    for positive in (0, 1):
        found = measured(truth, probabilities, positive, weights)
        binary = {"pos_label": positive, "sample_weight": weights}
        assert found == pytest.approx(
            {
                "accuracy": reference.accuracy_score(truth, given, sample_weight=weights),
                "balanced_accuracy": reference.balanced_accuracy_score(
                    truth, given, sample_weight=weights
                ),
                "precision": reference.precision_score(truth, given, **binary),
                "recall": reference.recall_score(truth, given, **binary),
                "f1": reference.f1_score(truth, given, **binary),
                "auc": reference.roc_auc_score(
                    truth == positive, probabilities[:, positive], sample_weight=weights
                ),
                "average_precision": reference.average_precision_score(
                    truth == positive, probabilities[:, positive], sample_weight=weights
                ),
                "specificity": reference.recall_score(
                    truth, given, pos_label=1 - positive, sample_weight=weights
                ),
                "prevalence": np.average(truth == positive, weights=weights),
                "selection_rate": np.average(given == positive, weights=weights),
                "log_loss": reference.log_loss(truth, probabilities, sample_weight=weights),
                "brier": reference.brier_score_loss(
                    truth, probabilities[:, 1], sample_weight=weights
                ),
                "calibration_error": found["calibration_error"],
                "top_decile_lift": found["top_decile_lift"],
            }
        )


@pytest.mark.parametrize("seed", range(5))
def test_multiclass_figures_are_scikit_learns(seed: int) -> None:
    truth, probabilities = answers(4, 120, seed)
    given = winners(probabilities)
    measure = ProbabilityMeasure(truth, probabilities, given, None)
    found = measured(truth, probabilities, None, np.ones(120))
    macro = {"average": "macro", "zero_division": 0}
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, given),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, given),
            "precision": reference.precision_score(truth, given, **macro),
            "recall": reference.recall_score(truth, given, **macro),
            "f1": reference.f1_score(truth, given, **macro),
            "auc": reference.roc_auc_score(truth, probabilities, multi_class="ovr"),
            "average_precision": reference.average_precision_score(
                np.eye(4)[truth], probabilities, average="macro"
            ),
            "log_loss": reference.log_loss(truth, probabilities),
            "brier": reference.brier_score_loss(truth, probabilities, labels=range(4)),
            "calibration_error": found["calibration_error"],
            "top_decile_lift": found["top_decile_lift"],
        }
    )
    single = [reference.roc_auc_score(truth == code, probabilities[:, code]) for code in range(4)]
    assert measure(np.ones((1, 120)))["class_auc"][0] == pytest.approx(single)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_per_class_figures_and_confusion_are_scikit_learns(classes: int) -> None:
    truth, probabilities = answers(classes, 60, 1)
    given = winners(probabilities)
    confusion = confusion_matrix(truth, given, classes, np.ones(60))
    assert (confusion == reference.confusion_matrix(truth, given)).all()
    expected = reference.precision_recall_fscore_support(truth, given, zero_division=0)
    found = ProbabilityMeasure(truth, probabilities, given, 1 if classes == 2 else None)(
        np.ones((1, 60))
    )
    for name, theirs in zip(("precision", "recall", "f1"), expected, strict=False):
        assert found[f"class_{name}"][0] == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_is_that_of_scikit_learns_curve(seed: int) -> None:
    truth, probabilities = answers(3, 200, seed)
    given = winners(probabilities)
    confidence, right = probabilities.max(axis=1), given == truth
    accuracy, stated = calibration_curve(right, confidence, n_bins=15)
    place = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
    counts = np.bincount(place, minlength=15)
    expected = np.abs(accuracy - stated) @ counts[counts > 0] / 200
    found = measured(truth, probabilities, None, np.ones(200))
    assert found["calibration_error"] == pytest.approx(expected)
    bins = reliability(truth, probabilities, np.ones(200))
    full = bins[bins[:, 0] > 0]
    assert full[:, 0].tolist() == counts[counts > 0].tolist()
    assert full[:, 1] == pytest.approx(stated)
    assert full[:, 2] == pytest.approx(accuracy)


def test_calibration_error_by_hand() -> None:
    # Nine tenths sure, right in one of two: off by 0.4; wholly sure and right: off by 0.
    truth = np.array([0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.0, 1.0]])
    found = measured(truth, probabilities, 1, np.ones(3))
    assert found["calibration_error"] == pytest.approx((2 * 0.4 + 0) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_roc_curve_is_scikit_learns(seed: int) -> None:
    truth, probabilities = answers(2, 70, seed)
    alarms, hits = roc_curve(truth == 1, probabilities[:, 1])
    expected = reference.roc_curve(truth, probabilities[:, 1], drop_intermediate=False)
    assert alarms == pytest.approx(expected[0])
    assert hits == pytest.approx(expected[1])


def test_an_absent_class_leaves_the_auc_undefined() -> None:
    found = measured(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]), 1, np.ones(2))
    assert np.isnan(found["auc"])
    assert found["accuracy"] == found["balanced_accuracy"] == 0.5


def test_ties_within_float32_go_to_the_first_class() -> None:
    assert winners(np.array([[0.5 - 1e-8, 0.5 + 1e-8], [0.499, 0.501]])).tolist() == [0, 1]


def test_a_weight_is_a_repetition() -> None:
    truth, probabilities = answers(3, 50, 3)
    times = np.random.default_rng(0).integers(0, 4, 50)
    repeated = np.repeat(truth, times), np.repeat(probabilities, times, axis=0)
    weighted = measured(truth, probabilities, None, times.astype(float))
    assert weighted == pytest.approx(measured(*repeated, None, np.ones(times.sum())))


@pytest.mark.parametrize("seed", range(3))
def test_precision_recall_curve_is_scikit_learns(seed: int) -> None:
    truth, probabilities = answers(2, 70, seed)
    recall, precision = precision_recall_curve(truth == 1, probabilities[:, 1])
    expected = reference.precision_recall_curve(truth, probabilities[:, 1])
    assert recall[1:] == pytest.approx(expected[1][-2::-1])
    assert precision[1:] == pytest.approx(expected[0][-2::-1])


def test_gain_and_lift_by_hand() -> None:
    # Of twenty rows five are positive; the two of the highest scores are, then no more at once.
    positive = np.zeros(20, dtype=bool)
    positive[[0, 1, 5, 10, 19]] = True
    score = np.linspace(1, 0, 20)
    taken, found = gain_curve(positive, score)
    assert (taken[2], found[2]) == (0.1, 0.4)
    assert (taken[-1], found[-1]) == (1, 1)
    truth, probabilities = positive.astype(int), np.stack([1 - score, score], axis=1)
    assert measured(truth, probabilities, 1, np.ones(20))["top_decile_lift"] == pytest.approx(4)
    # Among equal scores no row comes first: a tenth of the rows holds a tenth of the positive.
    flat = np.full((20, 2), 0.5)
    assert measured(truth, flat, 1, np.ones(20))["top_decile_lift"] == pytest.approx(1)
