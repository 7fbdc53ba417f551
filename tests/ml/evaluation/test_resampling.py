import time

import numpy as np
import pytest
from scipy.stats import binomtest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.evaluation.probabilities import ProbabilityMeasure
from lepton_ai.ml.evaluation.resampling import Resampling, interval, unit_codes


def mean_of(values: np.ndarray):
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_the_spread_of_a_proportion_is_that_of_theory() -> None:
    right = np.random.default_rng(0).random(400) < 0.8
    drawn = Resampling.of(400).draws(mean_of(right.astype(float)))["mean"]
    low, high = interval(drawn, 0.95)
    share = right.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert low == pytest.approx(share - half, abs=0.006)
    assert high == pytest.approx(share + half, abs=0.006)
    # Ten rows a group that are right or wrong together are worth a tenth of the rows.
    grouped = np.repeat(right[:40], 10).astype(float)
    wide = Resampling.of(400, groups=np.repeat(np.arange(40), 10)).draws(mean_of(grouped))["mean"]
    assert wide.std() / drawn.std() == pytest.approx(np.sqrt(10), rel=0.35)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(300):
        values = rng.exponential(size=60)
        drawn = Resampling.of(60, resamples=200, confidence=0.9, seed=seed).draws(mean_of(values))
        low, high = interval(drawn["mean"], 0.9)
        held += low <= 1 <= high
    # Percentile intervals of sixty skewed values are somewhat short; far off would be wrong.
    assert 0.83 < held / 300 < 0.95


def test_blocks_keep_what_follows_together() -> None:
    # An autoregression of 0.8 has a mean whose variance is (1 + 0.8) / (1 - 0.8) = 9 times that
    # of independent values of the same spread.
    rng = np.random.default_rng(0)
    values = np.zeros(4000)
    for place in range(1, 4000):
        values[place] = 0.8 * values[place - 1] + rng.normal()
    alone = Resampling.of(4000, resamples=500).draws(mean_of(values))["mean"].var()
    blocks = Resampling.of(4000, resamples=500, block=60).draws(mean_of(values))["mean"].var()
    assert blocks / alone == pytest.approx(9, rel=0.3)


def test_blocks_are_runs_of_units_around_the_end() -> None:
    for weights in Resampling.of(10, block=4, resamples=200).weights():
        assert (weights.sum(axis=1) == 12).all()  # three blocks
        # Two neighbours differ where a block begins or ends: at most six times.
        assert (np.diff(weights, axis=1, append=weights[:, :1]) != 0).sum(axis=1).max() <= 6
    groups = ["b", "b", "a", "c"]
    assert unit_codes(groups).tolist() == [0, 0, 1, 2]
    for weights in Resampling.of(4, groups=groups, block=2, resamples=50).weights():
        assert (weights[:, 0] == weights[:, 1]).all()


def test_chunks_of_draws_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(50.0)
    whole = Resampling.of(50, resamples=64).draws(mean_of(values))["mean"]
    monkeypatch.setattr("lepton_ai.ml.evaluation.resampling._CELLS", 50 * 16)
    assert (Resampling.of(50, resamples=64).draws(mean_of(values))["mean"] == whole).all()


def test_no_error_among_few_is_no_proof() -> None:
    labels = np.repeat(["a", "b"], [20, 12])
    probabilities = np.where(labels[:, None] == "a", [[0.9, 0.1]], [[0.2, 0.8]])
    groups = np.repeat(np.arange(16), 2)  # ten groups of the first class, six of the second
    found = assess_classification(
        labels.tolist(), probabilities, ("a", "b"), groups=groups, resamples=100
    ).intervals
    counts = {"accuracy": 16, "recall": 6, "precision": 6, "f1": 6, "auc": 6, "specificity": 10}
    for name, count in counts.items():
        exact = binomtest(count, count).proportion_ci(0.95, method="exact")
        assert found[name] == pytest.approx((exact.low, 1)), name
    assert found["balanced_accuracy"] == found["recall"]
    assert found["log_loss"][0] < found["log_loss"][1] < 0.3


def test_a_thousand_resamples_of_ten_thousand_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.integers(2, size=10_000), rng.random(10_000)
    probabilities = np.stack([1 - score, score], axis=1)
    measure = ProbabilityMeasure(truth, probabilities, probabilities.argmax(axis=1), 1)
    begin = time.process_time()
    Resampling.of(10_000).draws(measure)
    # About one second on one core; the limit leaves room for a busy machine.
    assert time.process_time() - begin < 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"confidence": 1}, "between 0 and 1"),
        ({"resamples": 0}, "at least 1"),
        ({"block": 0}, "at least 1"),
        ({"groups": ["a"]}, "1 groups were given for 3 rows"),
    ],
)
def test_what_cannot_be_resampled_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Resampling.of(3, **options)
    with pytest.raises(InvalidInput, match="no rows"):
        Resampling.of(0)
