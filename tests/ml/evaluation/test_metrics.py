"""Every figure is compared with scikit-learn's on random answers, with ties and rare classes."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from lepton_ai.ml.evaluation.metrics import (
    Measure,
    bootstrap,
    confusion_matrix,
    precision_recall_f1,
    reliability,
    roc_curve,
    winners,
)


def answers(classes: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(classes), rng.integers(classes, size=rows - classes)]
    score = rng.normal(size=(rows, classes))
    score[np.arange(rows), truth] += 1
    # Two decimals: many equal scores.
    odds = np.exp(np.round(score, 1))
    return truth, odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_figures_are_scikit_learns(seed: int, weighted: bool) -> None:
    truth, probabilities = answers(2, 80, seed)
    weights = np.ones(80)
    if weighted:
        weights = np.random.default_rng(seed).integers(0, 4, 80).astype(float)
    given = winners(probabilities)
    for positive in (0, 1):
        found = Measure(truth, probabilities, positive)(weights)
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
                "log_loss": reference.log_loss(truth, probabilities, sample_weight=weights),
                "calibration_error": found["calibration_error"],
            }
        )


@pytest.mark.parametrize("seed", range(5))
def test_multiclass_figures_are_scikit_learns(seed: int) -> None:
    truth, probabilities = answers(4, 120, seed)
    given = winners(probabilities)
    measure = Measure(truth, probabilities, None)
    found = measure(np.ones(120))
    macro = {"average": "macro", "zero_division": 0}
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, given),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, given),
            "precision": reference.precision_score(truth, given, **macro),
            "recall": reference.recall_score(truth, given, **macro),
            "f1": reference.f1_score(truth, given, **macro),
            "auc": reference.roc_auc_score(truth, probabilities, multi_class="ovr"),
            "log_loss": reference.log_loss(truth, probabilities),
            "calibration_error": found["calibration_error"],
        }
    )
    single = [reference.roc_auc_score(truth == code, probabilities[:, code]) for code in range(4)]
    assert measure.areas() == pytest.approx(single)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_per_class_figures_and_confusion_are_scikit_learns(classes: int) -> None:
    truth, probabilities = answers(classes, 60, 1)
    given = winners(probabilities)
    confusion = confusion_matrix(truth, given, classes, np.ones(60))
    assert (confusion == reference.confusion_matrix(truth, given)).all()
    expected = reference.precision_recall_fscore_support(truth, given, zero_division=0)
    for ours, theirs in zip(precision_recall_f1(confusion), expected, strict=False):
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_error_is_that_of_scikit_learns_curve(seed: int) -> None:
    truth, probabilities = answers(3, 200, seed)
    given = winners(probabilities)
    confidence, right = probabilities.max(axis=1), given == truth
    accuracy, stated = calibration_curve(right, confidence, n_bins=15)
    place = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
    counts = np.bincount(place, minlength=15)
    expected = np.abs(accuracy - stated) @ counts[counts > 0] / 200
    assert Measure(truth, probabilities, None)(np.ones(200))["calibration_error"] == pytest.approx(
        expected
    )
    bins = reliability(truth, probabilities, np.ones(200))
    full = bins[bins[:, 0] > 0]
    assert full[:, 0].tolist() == counts[counts > 0].tolist()
    assert full[:, 1] == pytest.approx(stated)
    assert full[:, 2] == pytest.approx(accuracy)


def test_calibration_error_by_hand() -> None:
    # Nine tenths sure, right in one of two: off by 0.4; wholly sure and right: off by 0.
    truth = np.array([0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.0, 1.0]])
    found = Measure(truth, probabilities, 1)(np.ones(3))
    assert found["calibration_error"] == pytest.approx((2 * 0.4 + 0) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_roc_curve_is_scikit_learns(seed: int) -> None:
    truth, probabilities = answers(2, 70, seed)
    alarms, hits = roc_curve(truth == 1, probabilities[:, 1])
    expected = reference.roc_curve(truth, probabilities[:, 1], drop_intermediate=False)
    assert alarms == pytest.approx(expected[0])
    assert hits == pytest.approx(expected[1])


def test_an_absent_class_leaves_the_auc_undefined() -> None:
    found = Measure(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]), 1)(np.ones(2))
    assert np.isnan(found["auc"])
    assert found["accuracy"] == found["balanced_accuracy"] == 0.5


def test_ties_within_float32_go_to_the_first_class() -> None:
    assert winners(np.array([[0.5 - 1e-8, 0.5 + 1e-8], [0.499, 0.501]])).tolist() == [0, 1]


def test_a_weight_is_a_repetition() -> None:
    truth, probabilities = answers(3, 50, 3)
    times = np.random.default_rng(0).integers(1, 4, 50)
    repeated = Measure(np.repeat(truth, times), np.repeat(probabilities, times, axis=0), None)
    weighted = Measure(truth, probabilities, None)(times.astype(float))
    assert weighted == pytest.approx(repeated(np.ones(times.sum())))


def test_the_bootstrap_finds_the_spread_of_a_proportion() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros(400, dtype=int)
    right = rng.random(400) < 0.8
    probabilities = np.where(right[:, None], [[0.7, 0.3]], [[0.3, 0.7]])
    measure = Measure(truth, probabilities, 1)
    low, high = bootstrap(measure, np.arange(400), resamples=1000, confidence=0.95, seed=0)[
        "accuracy"
    ]
    share = right.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert low == pytest.approx(share - half, abs=0.006)
    assert high == pytest.approx(share + half, abs=0.006)
    # Ten rows a group that are right or wrong together are worth a tenth of the rows.
    grouped = np.repeat(right[:40], 10)
    measure = Measure(truth, np.where(grouped[:, None], [[0.7, 0.3]], [[0.3, 0.7]]), 1)
    groups = np.repeat(np.arange(40), 10)
    wide = bootstrap(measure, groups, resamples=1000, confidence=0.95, seed=0)["accuracy"]
    assert 2.4 < (wide[1] - wide[0]) / (high - low) < 4


def test_no_error_among_few_is_no_proof() -> None:
    truth = np.repeat([0, 1], [20, 12])
    probabilities = np.where(truth[:, None] == 0, [[0.9, 0.1]], [[0.2, 0.8]])
    groups = np.repeat(np.arange(16), 2)  # ten groups of the first class, six of the second
    found = bootstrap(
        Measure(truth, probabilities, 1), groups, resamples=100, confidence=0.95, seed=0
    )
    for name, count in {"accuracy": 16, "recall": 6, "precision": 6, "f1": 6, "auc": 6}.items():
        exact = binomtest(count, count).proportion_ci(0.95, method="exact")
        assert found[name] == pytest.approx((exact.low, 1)), name
    assert found["balanced_accuracy"] == found["recall"]
    assert found["log_loss"][0] < found["log_loss"][1] < 0.3
