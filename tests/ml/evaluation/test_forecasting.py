import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.forecasting import (
    assess_forecast,
    naive_scale,
    repeated_season,
    seasonal_naive,
)


def waves(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of history, what came after them, and the series before: two daily waves."""
    rng = np.random.default_rng(seed)
    times = np.arange(1000)
    series = 10 * np.sin(times[:, None] * 2 * np.pi / 24 + np.arange(2)) + 30
    series += rng.normal(size=(1000, 2))
    windows = np.stack([series[i : i + 48] for i in range(700, 900)])
    after = np.stack([series[i + 48 : i + 54] for i in range(700, 900)])
    return windows, after, series[:700]


def test_the_figures_of_two_rows_by_hand() -> None:
    truth = np.array([[1.0, 2.0], [4.0, np.nan]])
    answers = np.array([[2.0, 2.0], [1.0, 9.0]])
    naive = np.array([[0.0, 0.0], [0.0, 0.0]])
    history = np.array([0.0, 2.0, 1.0, 2.0, 0.0])
    found = assess_forecast(truth, answers, naive=naive, history=history, resamples=20)
    assert found.mae == pytest.approx((1 + 0 + 3) / 3)
    assert found.rmse == pytest.approx(np.sqrt((1 + 0 + 9) / 3))
    assert found.mape == pytest.approx((1 + 0 + 3 / 4) / 3)
    assert found.naive_mae == pytest.approx((1 + 2 + 4) / 3)
    assert found.skill == pytest.approx(1 - 4 / 7)
    # One step of the history is off by (2 + 1 + 1 + 2) / 4.
    assert found.mase == pytest.approx((4 / 3) / 1.5)
    first, second = found.steps
    assert (first.mae, first.naive_mae, second.mae) == (2, 2.5, 0)
    assert first.rmse == pytest.approx(np.sqrt(5))


def test_errors_of_series_are_scaled_each_by_its_own() -> None:
    windows, truth, history = waves()
    factors = np.array([1, 100])
    answers = seasonal_naive(windows, 6, 24)
    found = assess_forecast(truth, answers, history=history, season=24, resamples=2)
    larger = assess_forecast(
        truth * factors, answers * factors, history=history * factors, season=24, resamples=2
    )
    assert larger.mase == pytest.approx(found.mase)
    assert larger.mae > 40 * found.mae
    # The naive forecast of later values is about as good as within the history.
    assert found.mase == pytest.approx(1, abs=0.1)


def test_seasonal_naive_repeats_the_last_season() -> None:
    windows = np.arange(10.0).reshape(1, 10)
    assert seasonal_naive(windows, 5, 3)[0, :, 0].tolist() == [7, 8, 9, 7, 8]
    assert seasonal_naive(windows, 3)[0, :, 0].tolist() == [9, 9, 9]
    assert naive_scale(np.array([1, 5, 2, 7.0]), 2).tolist() == [1.5]


def test_a_season_ago_may_lie_before_the_window() -> None:
    series = np.arange(10.0)[:, None]
    found = repeated_season(series, np.array([4, 8]), steps=3, season=5)
    assert found[1, :, 0].tolist() == [4, 5, 6]
    assert found[0, :, 0].tolist() == [0, 1, 2]
    assert np.isnan(repeated_season(series, np.array([2]), 2, 5)[0, 0, 0])
    # Beyond a season the last one is repeated once more.
    assert repeated_season(series, np.array([8]), 4, 2)[0, :, 0].tolist() == [7, 8, 7, 8]


def test_by_step_means_are_the_whole() -> None:
    windows, truth, _ = waves()
    answers = truth + np.random.default_rng(1).normal(size=truth.shape) * np.arange(1, 7)[:, None]
    found = assess_forecast(truth, answers, naive=seasonal_naive(windows, 6, 24), season=24)
    errors = [step.mae for step in found.steps]
    assert np.mean(errors) == pytest.approx(found.mae)
    assert errors == pytest.approx(np.abs(answers - truth).mean(axis=(0, 2)))
    assert errors == sorted(errors)
    for step in found.steps:
        low, high = step.intervals["mae"]
        assert low < step.mae < high
    assert (found.block, found.series, len(found.steps)) == (6, 2, 6)


def test_overlapping_windows_widen_the_interval() -> None:
    windows, truth, _ = waves()
    answers = seasonal_naive(windows, 6, 24)

    def width(**options: int) -> float:
        low, high = assess_forecast(truth, answers, **options).intervals["mae"]
        return high - low

    # An hour's error stands in six windows, so rows taken for independent claim too much.
    assert width() > 1.4 * width(block=1)


def test_slices_of_a_forecast() -> None:
    _, truth, _ = waves()
    night = np.arange(len(truth)) % 24 < 6
    answers = np.where(night[:, None, None], truth + 2, truth + 1)
    (found,) = assess_forecast(truth, answers, slices={"night": night}, resamples=20).slices
    assert {part.value: part.figures["mae"] for part in found.slices} == pytest.approx(
        {"True": 2, "False": 1}
    )
    assert found.worst == "True"


def test_missing_truth_is_left_out_and_none_at_all_refused() -> None:
    truth = np.full((3, 2), np.nan)
    truth[0, 0] = 1
    found = assess_forecast(truth, np.zeros((3, 2)), resamples=5)
    assert (found.mae, found.steps[1].mae) == (1, None)
    with pytest.raises(InvalidInput, match="0 true values are known"):
        assess_forecast(np.full((3, 2), np.nan), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answers": np.zeros((3, 3))}, "forecasts"),
        ({"answers": np.full((3, 2), np.inf)}, "6 forecasts are not finite"),
        ({"naive": np.zeros((2, 2))}, "naive forecasts"),
        ({"history": np.ones(10)}, "repeats itself exactly"),
        ({"history": np.arange(4.0), "season": 4}, "longer history"),
        ({"history": np.random.default_rng(0).normal(size=(9, 2))}, "2 series, the truth 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: dict[str, object], said: str) -> None:
    options = {"truth": np.zeros((3, 2)), "answers": np.zeros((3, 2))} | options
    with pytest.raises(InvalidInput, match=said):
        assess_forecast(**options)
    with pytest.raises(InvalidInput, match="does not fit into windows"):
        seasonal_naive(np.zeros((1, 3)), 2, 4)
