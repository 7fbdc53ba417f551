"""Calendar features of the moments of a series; a leaf."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = ["CALENDAR_CHANNELS", "calendar_channels"]

# The share of the day that has passed, and the weekday.
CALENDAR_CHANNELS = 2


def calendar_channels(moments: ArrayLike) -> NDArray[np.float32]:
    """Return two channels of each moment (moments, 2).

    The first is the share of the day that has passed, from 0 to below 1; the second the weekday,
    Monday 0 to Sunday 6.

    Args:
        moments: (moments,), numpy's datetime64 or what it reads as such, without a time zone.

    Raises:
        InvalidInput: they are no moments, or one is missing.
    """
    try:
        times: NDArray[Any] = np.asarray(moments).astype("datetime64[ms]")
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"moments must be datetime64, such as np.datetime64('2016-08-07T04:45'): {error}"
        ) from error
    if np.isnat(times).any():
        raise InvalidInput(f"a moment is missing: number {int(np.isnat(times).argmax())}")
    days = times.astype("datetime64[D]")
    share = (times - days).astype(np.int64) / 86_400_000
    # Day 0, 1 January 1970, was a Thursday.
    weekday = (days.astype(np.int64) + 3) % 7
    return np.stack([share, weekday], axis=-1).astype(np.float32)
