import numpy as np
import pytest
from sklearn import metrics as reference

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.errors import ErrorMeasure, weighted_quantile
from lepton_ai.ml.evaluation.regression import assess_regression


def numbers(rows: int, outputs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(50, 10, (rows, outputs)).round(1)
    return truth, truth + rng.normal(1, 3, (rows, outputs)).round(1)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_scikit_learns(outputs: int, seed: int) -> None:
    truth, values = numbers(101, outputs, seed)
    found = assess_regression(truth, values, resamples=5)
    assert found.figures | {"pinball": None} == pytest.approx(
        {
            "r2": reference.r2_score(truth, values),
            "mae": reference.mean_absolute_error(truth, values),
            "rmse": reference.root_mean_squared_error(truth, values),
            "mape": reference.mean_absolute_percentage_error(truth, values),
            "median_error": reference.median_absolute_error(truth, values),
            "bias": (values - truth).mean(),
            "pinball": None,
            "coverage": None,
            "width": None,
            "interval_score": None,
        }
    )
    assert len(found.outputs) == (outputs if outputs > 1 else 0)


def test_weights_are_scikit_learns() -> None:
    truth, values = numbers(60, 1)
    weights = np.random.default_rng(0).integers(0, 4, 60).astype(float)
    found = ErrorMeasure(truth, values)(weights[None])
    for name, score in {
        "r2": reference.r2_score,
        "mae": reference.mean_absolute_error,
        "rmse": reference.root_mean_squared_error,
    }.items():
        assert found[name][0, 0] == pytest.approx(score(truth, values, sample_weight=weights))
    times = weights.astype(int)
    repeated = np.repeat(np.abs(values - truth), times)
    assert found["median_error"][0, 0] == pytest.approx(np.median(repeated))


@pytest.mark.parametrize("count", [4, 5])
def test_a_median_lies_between_two_values_where_it_must(count: int) -> None:
    values = np.arange(count, dtype=float) ** 2
    assert weighted_quantile(values, np.ones((1, count)), 0.5)[0] == np.median(values)


def test_large_numbers_keep_their_differences() -> None:
    truth, values = numbers(50, 1)
    far = assess_regression(truth + 1e9, values + 1e9, resamples=2)
    assert far.r2 == pytest.approx(assess_regression(truth, values, resamples=2).r2, abs=1e-6)


def test_what_is_undefined_is_none() -> None:
    found = assess_regression([0.0, 0.0, 0.0], [1.0, 0.0, 2.0], resamples=10)
    assert (found.r2, found.mape) == (None, None)
    assert found.mae == 1
    assert np.isnan(float(found))
    assert assess_regression([0.0, 2.0], [1.0, 3.0], resamples=2).mape == 0.5


def test_quantiles_and_intervals_by_hand_and_by_scikit_learn() -> None:
    truth, values = numbers(80, 1)
    low, high = values - 2, values + 2
    found = assess_regression(
        truth, values, quantiles={0.1: low, 0.9: high}, intervals_at=(0.8, low, high), resamples=50
    )
    losses = [
        reference.mean_pinball_loss(truth, part, alpha=share)
        for share, part in ((0.1, low), (0.9, high))
    ]
    assert found.pinball == pytest.approx(np.mean(losses))
    assert found.coverage == np.mean((low <= truth) & (truth <= high))
    assert found.width == pytest.approx(4)
    # The interval score is the pinball losses of both ends, over half of what may lie outside.
    assert found.interval_score == pytest.approx(sum(losses) / 0.1)
    # Where every interval holds the truth, that is no proof that each will.
    wide = assess_regression(truth, values, intervals_at=(0.8, low - 90, high + 90), resamples=20)
    assert wide.intervals["coverage"] == (pytest.approx(0.025 ** (1 / 80)), 1)


def test_the_interval_of_the_mean_error_is_that_of_theory() -> None:
    truth, values = numbers(2000, 1)
    found = assess_regression(truth, values, resamples=1000)
    errors = (values - truth).ravel()
    half = 1.96 * errors.std() / np.sqrt(2000)
    assert found.intervals["bias"] == pytest.approx(
        (errors.mean() - half, errors.mean() + half), abs=0.1 * half
    )


def test_what_the_plots_need_counts_every_row() -> None:
    truth, values = numbers(500, 1)
    found = assess_regression(truth, values, resamples=2)
    assert np.sum(found.scatter.counts) == 500
    assert sum(part.rows for part in found.residuals) == 500
    assert sum(found.histogram.counts["residuals"]) == 500


@pytest.mark.parametrize(
    ("truth", "values", "said"),
    [
        ([1.0, 2.0], [1.0], "must be"),
        ([1.0, np.nan], [1.0, 2.0], "1 values that are missing or infinite, the first in row 1"),
        ([1.0], [np.inf], "predictions has 1 values"),
        ([[1.0, 2.0]], [[1.0]], r"\(1, 2\), the predictions \(1, 1\)"),
        ([], [], "no rows"),
    ],
)
def test_what_cannot_be_measured_is_refused(truth: object, values: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        assess_regression(truth, values)
