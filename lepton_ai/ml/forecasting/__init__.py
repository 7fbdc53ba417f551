"""Forecasting on a matrix: windows of history and horizon, calendar, baselines.

A row of features is a window of history, oldest step first: ``(steps, channels)`` laid out flat.
Channels are the series, then, where there is a season, the two of `calendar_channels`. A row of
targets is ``(horizon, series)`` laid out flat. Every forecaster, the baselines here as well as
the networks, takes and gives these rows. A name is imported at its first use: what
serves a model needs windows and calendar, and no scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.ml.forecasting.baselines import HistoricalAverage as HistoricalAverage
    from lepton_ai.ml.forecasting.baselines import Persistence as Persistence
    from lepton_ai.ml.forecasting.baselines import RidgeForecaster as RidgeForecaster
    from lepton_ai.ml.forecasting.baselines import SeasonalNaive as SeasonalNaive
    from lepton_ai.ml.forecasting.calendar import calendar_channels as calendar_channels
    from lepton_ai.ml.forecasting.layout import Layout as Layout
    from lepton_ai.ml.forecasting.profile import seasonal_profile as seasonal_profile
    from lepton_ai.ml.forecasting.signals import running_mean as running_mean
    from lepton_ai.ml.forecasting.signals import settled_mean as settled_mean
    from lepton_ai.ml.forecasting.signals import smoothed as smoothed
    from lepton_ai.ml.forecasting.windows import Windows as Windows
    from lepton_ai.ml.forecasting.windows import cut_windows as cut_windows
    from lepton_ai.ml.forecasting.windows import histories as histories

_PLACES = {
    "baselines": ("HistoricalAverage", "Persistence", "RidgeForecaster", "SeasonalNaive"),
    "calendar": ("calendar_channels",),
    "layout": ("Layout",),
    "profile": ("seasonal_profile",),
    "signals": ("running_mean", "settled_mean", "smoothed"),
    "windows": ("Windows", "cut_windows", "histories"),
}
_NAMES = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
