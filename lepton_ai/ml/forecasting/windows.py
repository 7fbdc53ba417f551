"""Windows over series: history with horizon for forecasts, history alone for a unit's state."""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting.calendar import CALENDAR_CHANNELS

__all__ = ["Windows", "cut_windows", "histories"]


class Windows(NamedTuple):
    """Rows to learn a forecast from.

    Attributes:
        features: history, (rows, history * channels).
        targets: what followed, (rows, horizon * series).
        origins: the step at which each row's horizon begins (rows,).
    """

    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    origins: NDArray[np.int64]


def cut_windows(
    values: ArrayLike, *, history: int, horizon: int, calendar: ArrayLike | None = None
) -> Windows:
    """Cut every window of history and horizon out of series without gaps.

    Args:
        values: (steps, series), oldest first, evenly spaced.
        history: steps that a forecast sees.
        horizon: steps that it gives.
        calendar: (steps, 2) of `calendar_channels`; they stand behind the series in each step of
            the history.

    Raises:
        InvalidInput: the series are shorter than one window, or the calendar doesn't fit.
    """
    series = _matrix(values)
    if history < 1 or horizon < 1 or len(series) < history + horizon:
        raise InvalidInput(
            f"a window needs at least 1 step of history and of horizon, and {history} + {horizon} "
            f"steps of series; there are {len(series)}"
        )
    channels = series
    if calendar is not None:
        beside = np.asarray(calendar, dtype=np.float32)
        if beside.shape != (len(series), CALENDAR_CHANNELS):
            raise InvalidInput(
                f"calendar must be ({len(series)}, {CALENDAR_CHANNELS}), as calendar_channels "
                f"gives it; got {beside.shape}"
            )
        channels = np.concatenate([series, beside], axis=1)
    past = _sliding(channels[: len(series) - horizon], history)
    coming = _sliding(series[history:], horizon)
    return Windows(past, coming, np.arange(history, len(series) - horizon + 1))


def histories(channels: ArrayLike, steps: int) -> NDArray[np.float32]:
    """Return the history up to each step of one unit's record (rows, steps * channels).

    Before the record began its first step is repeated, so that a young unit has rows too.

    Args:
        channels: (rows, channels), oldest first.
        steps: length of each history.

    Raises:
        InvalidInput: there is no step to look at.
    """
    record = _matrix(channels)
    if steps < 1 or not len(record):
        raise InvalidInput(f"a history needs a record and 1 step or more; got {steps} steps")
    return _sliding(np.concatenate([np.repeat(record[:1], steps - 1, axis=0), record]), steps)


def _matrix(values: ArrayLike) -> NDArray[np.float32]:
    matrix: NDArray[Any] = np.asarray(values, dtype=np.float32)
    if matrix.ndim != 2:
        raise InvalidInput(
            f"series must be (steps, series); got shape {matrix.shape}; "
            "a single one is values[:, np.newaxis]"
        )
    return matrix


def _sliding(matrix: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    views = sliding_window_view(matrix, length, axis=0).swapaxes(1, 2)
    return np.ascontiguousarray(views).reshape(len(views), -1)
