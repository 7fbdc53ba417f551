import numpy as np
import pytest

from lepton_ai.ml.forecasting import RidgeForecaster, calendar_channels, cut_windows
from lepton_ai.ml.runtimes.runtime import load_runtime
from lepton_ai.ml.task import FORECASTING


@pytest.mark.parametrize("season", [None, 24])
def test_the_ridge_forecast_answers_alike_as_onnx(season: int | None) -> None:
    # Ten days from a Thursday: windows reach over midnight, into and out of a weekend.
    moments = np.datetime64("2024-03-07T00:00") + np.arange(240) * np.timedelta64(1, "h")
    rng = np.random.default_rng(0)
    values = 100 + 50 * np.sin(np.arange(240) / 24 * 2 * np.pi)[:, np.newaxis] * [1.0, 0.4, 2.0]
    values = values + rng.normal(0, 5, values.shape)
    calendar = None if season is None else calendar_channels(moments)
    rows = cut_windows(values, history=7, horizon=5, calendar=calendar)
    shape = (7, 3 + 2 * (season is not None))
    fitted = RidgeForecaster(shape=shape, season=season).fit(rows.features, rows.targets)
    served = load_runtime("onnx", fitted.to_onnx(), FORECASTING)
    answers = served.run(rows.features.astype(np.float64))
    assert answers.shape == (len(rows.targets), 15)
    assert np.allclose(answers, fitted.predict(rows.features), atol=1e-3)
