import numpy as np
import pytest
from sklearn.calibration import calibration_curve as reference

from lepton_ai.ml.evaluation.calibration import calibration_curve
from lepton_ai.ml.evaluation.decision import decision_curve
from lepton_ai.ml.evaluation.resampling import Resampling


def rows(count: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 2, count)
    return rng.random(count) < probability, probability


def test_net_benefit_is_its_definition() -> None:
    positive, probability = rows()
    probability = probability.round(2)  # some rows lie on thresholds
    curve = decision_curve(positive, probability, "sick", Resampling.of(600, resamples=200))
    for place in range(0, 99, 7):
        threshold = curve.thresholds[place]
        called = probability >= threshold - 1e-12
        odds = threshold / (1 - threshold)
        expected = (called & positive).mean() - odds * (called & ~positive).mean()
        assert curve.net_benefit[place] == pytest.approx(expected)
        assert curve.treat_all[place] == pytest.approx(
            positive.mean() - odds * (1 - positive.mean())
        )
        assert curve.low[place] - 1e-12 <= curve.net_benefit[place] <= curve.high[place] + 1e-12


def test_a_model_that_knows_is_worth_the_share_of_the_class() -> None:
    positive, _ = rows()
    curve = decision_curve(positive, positive * 1.0, "sick", Resampling.of(600, resamples=5))
    assert curve.net_benefit == pytest.approx([positive.mean()] * 99)


def test_the_calibration_curve_is_scikit_learns_of_equal_counts() -> None:
    positive, probability = rows(6000)
    curve = calibration_curve(positive, probability, "sick", Resampling.of(6000, resamples=200))
    observed, predicted = reference(positive, probability, n_bins=10, strategy="quantile")
    assert [item.observed for item in curve.bins] == pytest.approx(observed)
    assert [item.predicted for item in curve.bins] == pytest.approx(predicted)
    assert {item.rows for item in curve.bins} == {600}
    # The model is calibrated by construction: nearly every interval holds the prediction.
    held = [item.interval[0] <= item.predicted <= item.interval[1] for item in curve.bins]
    assert sum(held) >= 8


def test_equal_probabilities_share_a_bin() -> None:
    positive = np.array([True, False, True, True])
    curve = calibration_curve(positive, np.full(4, 0.5), "a", Resampling.of(4, resamples=20))
    (only,) = curve.bins
    assert (only.rows, only.predicted, only.observed) == (4, 0.5, 0.75)
