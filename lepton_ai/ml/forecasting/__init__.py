"""Forecasting on a matrix: windows of history and horizon, calendar, baselines.

A row of features is a window of history, oldest step first: ``(steps, channels)`` laid out flat.
Channels are the series, then, where there is a season, the two of `calendar_channels`. A row of
targets is ``(horizon, series)`` laid out flat. Every forecaster, the baselines here as well as
the networks, takes and gives these rows.
"""

from lepton_ai.ml.forecasting.baselines import (
    HistoricalAverage,
    Persistence,
    RidgeForecaster,
    SeasonalNaive,
)
from lepton_ai.ml.forecasting.calendar import calendar_channels
from lepton_ai.ml.forecasting.layout import Layout
from lepton_ai.ml.forecasting.profile import seasonal_profile
from lepton_ai.ml.forecasting.signals import running_mean, settled_mean, smoothed
from lepton_ai.ml.forecasting.windows import Windows, cut_windows, histories

__all__ = [
    "HistoricalAverage",
    "Layout",
    "Persistence",
    "RidgeForecaster",
    "SeasonalNaive",
    "Windows",
    "calendar_channels",
    "cut_windows",
    "histories",
    "running_mean",
    "seasonal_profile",
    "settled_mean",
    "smoothed",
]
