import numpy as np
import pytest
from sklearn import metrics as reference

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.detection import assess_detection


def scored(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) % 10 == 0
    return (rng.normal(size=rows) + 2 * truth).round(1), truth


def test_the_figures_are_scikit_learns() -> None:
    scores, truth = scored()
    called = scores >= 1.5
    found = assess_detection(scores, truth, threshold=1.5, resamples=100)
    order = np.argsort(-scores, kind="stable")
    ties = scores == scores[order[39]]
    sure = int(truth[scores > scores[order[39]]].sum())
    part = (40 - (scores > scores[order[39]]).sum()) / ties.sum()
    assert found.figures == pytest.approx(
        {
            "auc": reference.roc_auc_score(truth, scores),
            "average_precision": reference.average_precision_score(truth, scores),
            "precision_at_k": (sure + part * truth[ties].sum()) / 40,
            "precision": reference.precision_score(truth, called),
            "recall": reference.recall_score(truth, called),
            "false_alarms": called[~truth].mean(),
            "alarms": called.mean(),
            "anomalies": 0.1,
        }
    )
    assert found.k == 40
    for name, (low, high) in found.intervals.items():
        assert low <= found.figures[name] <= high
    assert sum(map(sum, found.histogram.counts.values())) == 400


def test_precision_at_k_by_hand() -> None:
    scores, truth = np.array([5, 4, 3, 2, 1.0]), np.array([True, False, True, False, False])
    assert assess_detection(scores, truth, k=1, resamples=2).precision_at_k == 1
    assert assess_detection(scores, truth, k=3, resamples=2).precision_at_k == pytest.approx(2 / 3)
    assert assess_detection(scores, truth, resamples=2).precision_at_k == 0.5


def test_without_labels_there_is_the_distribution() -> None:
    scores, _ = scored()
    found = assess_detection(scores, threshold=2.0, resamples=50)
    assert (found.auc, found.precision, found.k) == (None, None, None)
    assert found.alarms == np.mean(scores >= 2)
    assert found.quantiles[0] == np.median(scores)
    assert np.isnan(float(found))
    assert "AUC" not in str(found)
    bare = assess_detection(scores)
    assert bare.intervals == {}
    assert "no labels" in str(bare)
    assert list(bare.plots()) == ["scores"]


def test_no_false_alarm_among_few_is_no_proof() -> None:
    found = assess_detection([0.0] * 20 + [9.0], [False] * 20 + [True], threshold=5, resamples=50)
    assert found.false_alarms == 0
    assert found.intervals["false_alarms"] == (0, pytest.approx(1 - 0.025 ** (1 / 20)))


def test_slices_of_scores() -> None:
    scores, truth = scored()
    place = np.where(np.arange(400) < 200, "a", "b")
    noisy = np.where(place == "b", np.random.default_rng(1).normal(size=400), scores)
    (found,) = assess_detection(noisy, truth, slices={"place": place}, resamples=50).slices
    assert found.worst == "b"


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a label for each"):
        assess_detection([1.0, 2.0], [True])
    with pytest.raises(InvalidInput, match="k=9"):
        assess_detection([1.0, 2.0], [True, False], k=9)
    with pytest.raises(InvalidInput, match="missing or infinite"):
        assess_detection([1.0, np.nan])
