from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting import (
    HistoricalAverage,
    Persistence,
    RidgeForecaster,
    SeasonalNaive,
    calendar_channels,
    cut_windows,
)

QUARTERS = 4


def four_a_day(days: int) -> np.ndarray:
    """Return the calendar of six-hourly moments from a Monday on."""
    moments = np.datetime64("2024-01-01T00:00") + np.arange(days * 4) * np.timedelta64(6, "h")
    return calendar_channels(moments)


@parametrize_with_checks(
    [Persistence(), SeasonalNaive(), HistoricalAverage(), RidgeForecaster()],
)
@pytest.mark.filterwarnings("ignore:.*SCIPY_ARRAY_API:UserWarning")
def test_the_baseline_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_persistence_repeats_the_last_step_of_each_series() -> None:
    rows = cut_windows(np.arange(12).reshape(6, 2), history=2, horizon=2)
    fitted = Persistence(shape=(2, 2)).fit(rows.features, rows.targets)
    assert fitted.predict([[0, 0, 5, 7]]).tolist() == [[5, 7, 5, 7]]


def test_the_seasonal_naive_forecast_repeats_the_last_cycle() -> None:
    rows = cut_windows(np.arange(20.0)[:, np.newaxis], history=4, horizon=5)
    fitted = SeasonalNaive(shape=(4, 1), cycle=3).fit(rows.features, rows.targets)
    assert fitted.predict([[9, 1, 2, 3]]).tolist() == [[1, 2, 3, 1, 2]]


def test_a_cycle_longer_than_the_history_is_refused() -> None:
    rows = cut_windows(np.arange(20.0)[:, np.newaxis], history=4, horizon=2)
    with pytest.raises(InvalidInput, match="cycle of 5 steps"):
        SeasonalNaive(shape=(4, 1), cycle=5).fit(rows.features, rows.targets)


def test_the_historical_average_knows_workdays_from_weekends() -> None:
    calendar = four_a_day(21)
    slot = np.rint(calendar[:, 0] * 4)
    values = 10 * slot + np.where(calendar[:, 1] >= 5, 3, 0)
    rows = cut_windows(values[:, np.newaxis], history=2, horizon=3, calendar=calendar)
    fitted = HistoricalAverage(shape=(2, 3), season=QUARTERS).fit(rows.features, rows.targets)
    # A Friday at 12:00: 18:00 is a workday's, then midnight and 06:00 are of Saturday.
    assert fitted.predict([[0, 0.25, 4, 0, 0.5, 4]]).tolist() == [[30, 3, 13]]


def test_the_historical_average_is_a_mean_over_days() -> None:
    calendar = four_a_day(4)
    values = np.repeat([1.0, 2.0, 6.0, 7.0], 4)[:, np.newaxis]
    rows = cut_windows(values, history=4, horizon=4, calendar=calendar)
    fitted = HistoricalAverage(shape=(4, 3), season=QUARTERS).fit(rows.features, rows.targets)
    # Midnights of Tuesday to Thursday follow in 1, 4 and 4 windows and count once in each.
    assert fitted.profile_[0, 0] == pytest.approx((2 + 4 * 6 + 4 * 7) / 9)


def test_a_weekend_never_seen_takes_workdays() -> None:
    calendar = four_a_day(4)
    values = np.rint(calendar[:, :1] * 4)
    rows = cut_windows(values, history=1, horizon=1, calendar=calendar)
    fitted = HistoricalAverage(shape=(1, 3), season=QUARTERS).fit(rows.features, rows.targets)
    assert fitted.predict([[0, 0.25, 6]]).tolist() == [[2]]


def test_the_ridge_is_scikit_learns_on_history_and_averages() -> None:
    rng = np.random.default_rng(0)
    calendar = four_a_day(30)
    values = rng.normal(size=(120, 2)).cumsum(axis=0)
    rows = cut_windows(values, history=3, horizon=2, calendar=calendar)
    shape: dict[str, Any] = {"shape": (3, 4), "season": QUARTERS}
    average = HistoricalAverage(**shape).fit(rows.features, rows.targets).profile_
    fitted = RidgeForecaster(**shape, alpha=1e-9).fit(rows.features, rows.targets)
    slot = np.rint(calendar[:, 0] * 4).astype(int) + 4 * (calendar[:, 1] >= 5)
    inputs, known = [], []
    for origin in rows.origins:
        for series in range(2):
            usual = average[slot[origin - 3 : origin], series]
            follows = average[slot[origin + 1], series]
            inputs.append([*values[origin - 3 : origin, series], *usual, follows])
            known.append(values[origin + 1, series])
    other = Ridge(alpha=1e-9).fit(inputs, known).predict(inputs).reshape(-1, 2)
    found = fitted.predict(rows.features)[:, 2:]
    np.testing.assert_allclose(found, other, atol=1e-3)


def test_the_ridge_beats_persistence_and_average_on_a_daily_course_with_moods() -> None:
    rng = np.random.default_rng(0)
    calendar = four_a_day(120)
    mood = np.zeros(480)
    for step in range(1, 480):
        mood[step] = 0.8 * mood[step - 1] + rng.normal()
    values = (10 * np.sin(2 * np.pi * calendar[:, 0]) + mood)[:, np.newaxis]
    rows = cut_windows(values, history=4, horizon=2, calendar=calendar)
    errors = {
        kind: np.abs(
            kind(shape=(4, 3), season=QUARTERS)
            .fit(rows.features[:300], rows.targets[:300])
            .predict(rows.features[310:])
            - rows.targets[310:]
        ).mean()
        for kind in (Persistence, HistoricalAverage, RidgeForecaster)
    }
    assert errors[RidgeForecaster] < 0.9 * min(errors[Persistence], errors[HistoricalAverage])


def test_a_shape_that_does_not_fold_the_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="does not fold rows of 4 features"):
        Persistence(shape=(3, 2)).fit(np.zeros((5, 4)), np.zeros(5))


def test_a_season_without_calendar_channels_is_refused() -> None:
    with pytest.raises(InvalidInput, match="last 2 are the calendar's"):
        Persistence(shape=(2, 2), season=4).fit(np.zeros((5, 4)), np.zeros(5))


def test_targets_that_are_no_whole_steps_are_refused() -> None:
    with pytest.raises(InvalidInput, match="holds 3 numbers"):
        Persistence(shape=(2, 2)).fit(np.zeros((5, 4)), np.zeros((5, 3)))
