import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.evaluating import SeenInTraining, evaluate
from lepton_ai.ml.evaluation.forecasting import ForecastEvaluation
from lepton_ai.ml.evaluation.series import season_of
from lepton_ai.ml.training import train_forecaster
from lepton_ai.storage import Workspace


def loads(hours: int = 24 * 20) -> pl.DataFrame:
    """Two series of hours with a daily wave, and the kind of day."""
    rng = np.random.default_rng(0)
    at = np.datetime64("2024-01-01T00", "us") + np.arange(hours) * np.timedelta64(1, "h")
    wave = np.sin(np.arange(hours) * 2 * np.pi / 24)
    return pl.DataFrame(
        {
            "at": at,
            "north": 10 * wave + 50 + rng.normal(size=hours),
            "south": 5 * wave + 20 + rng.normal(size=hours),
        }
    )


def test_forecasts_are_measured_step_by_step(workspace: Workspace) -> None:
    frame = loads()
    train, test = frame[:360], frame[360:]
    model = train_forecaster(
        train, time="at", history=24, horizon=4, model_type="seasonal naive", cycle=24,
        workspace=workspace,
    )  # fmt: skip
    day = test["at"].dt.day().cast(pl.String)
    shuffled = test.with_columns(day=day).sample(fraction=1, shuffle=True, seed=1)
    found = evaluate(model, shuffled, slices=["day"], resamples=50)
    assert isinstance(found, ForecastEvaluation)
    # The model is itself the seasonal-naive forecast.
    assert found.mae == pytest.approx(found.naive_mae)
    assert found.skill == pytest.approx(0, abs=1e-6)
    series = test.select("north", "south").to_numpy()
    last = np.arange(23, 120 - 4)
    assert found.rows == len(last)
    errors = [np.abs(series[last + step] - series[last + step - 24]).mean() for step in range(1, 5)]
    assert [step.mae for step in found.steps] == pytest.approx(errors, rel=1e-5)
    history = train.select("north", "south").to_numpy()
    scale = np.abs(history[24:] - history[:-24]).mean(axis=0)
    off = np.stack([np.abs(series[last + h] - series[last + h - 24]) for h in range(1, 5)])
    assert found.mase == pytest.approx((off / scale).mean(), rel=1e-5)
    assert {part.value for part in found.slices[0].slices} == {"16", "17", "18", "19", "20"}
    # A season of one step repeats the last value, which a daily wave does not.
    assert evaluate(model, test, season=1, resamples=5).naive_mae > 1.5 * found.naive_mae


def test_series_that_cannot_be_forecast_are_refused(workspace: Workspace) -> None:
    frame = loads(120)
    model = train_forecaster(frame, time="at", history=12, horizon=4, workspace=workspace)
    with pytest.raises(InvalidInput, match="needs 12 steps of history and 4 of what came"):
        evaluate(model, frame[:15])
    with pytest.raises(InvalidInput, match=r"series \['south'\] are no columns"):
        evaluate(model, frame.drop("south"))
    with pytest.raises(InvalidInput, match="season must be"):
        evaluate(model, frame, season=0)


def test_windows_that_were_trained_on_are_noticed(workspace: Workspace) -> None:
    frame = loads(120)
    model = train_forecaster(frame, time="at", history=12, horizon=4, workspace=workspace)
    with pytest.warns(SeenInTraining, match="105 of 105"):
        evaluate(model, frame, resamples=5)


@pytest.mark.parametrize(
    ("step", "season"), [("5m", 288), ("1h", 24), ("7h", 1), ("1d", 1), ("2d", 1)]
)
def test_a_season_is_a_day_where_steps_make_one(step: str, season: int) -> None:
    unit = {"m": "m", "h": "h", "d": "D"}[step[-1]]
    stamps = np.datetime64("2024-01-01") + np.arange(5) * np.timedelta64(int(step[:-1]), unit)
    assert season_of(stamps) == season
    assert season_of(np.arange(5)) == 1
    assert season_of(None) == 1
