"""The course of a usual day: the average of each series by time of day, on workdays and weekends.

A place of a profile is a kind of day and a slot of it: ``kind * season + slot``, with kind 0 for
Monday to Friday and 1 for Saturday and Sunday.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "places", "seasonal_profile", "seasonal_sums"]

KINDS = 2
_WEEK = 7
_SATURDAY = 5

Floats = NDArray[np.float32] | NDArray[np.float64]


def places(calendar: Floats, ahead: NDArray[np.int64], season: int) -> NDArray[np.int64]:
    """Return the place of steps before or after a moment (rows, ahead).

    Args:
        calendar: share of the day and weekday (rows, 2) of the moment.
        ahead: steps after it, negative before it.
        season: steps of a day.
    """
    slot = np.rint(calendar[:, :1] * season).astype(np.int64) + ahead
    weekday = np.rint(calendar[:, 1:]).astype(np.int64) + slot // season
    return (weekday % _WEEK >= _SATURDAY) * season + slot % season


def seasonal_sums(
    values: Floats, where: NDArray[np.int64], season: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums (places, series) and counts (places,) of values by place.

    Args:
        values: (rows, steps, series).
        where: the place of each step (rows, steps).
        season: steps of a day.
    """
    counts = np.bincount(where.ravel(), minlength=KINDS * season).astype(np.float64)
    sums = np.zeros((len(counts), values.shape[2]))
    for step in range(values.shape[1]):
        np.add.at(sums, where[:, step], values[:, step])
    return sums, counts


def seasonal_profile(
    sums: NDArray[np.float64], counts: NDArray[np.float64], season: int, smoothing: int = 0
) -> NDArray[np.float64]:
    """Return the average of each place (places, series).

    A place that was never seen takes the other kind of day's average, or else the average of all.

    Args:
        sums: (places, series).
        counts: (places,).
        season: steps of a day.
        smoothing: how often each place is first joined by half of each of its neighbours, which
            wipes out chance where days are few.
    """
    total = sums.reshape(KINDS, season, -1)
    seen = counts.reshape(KINDS, season, 1)
    for _ in range(smoothing):
        total, seen = (
            part + (np.roll(part, 1, axis=1) + np.roll(part, -1, axis=1)) / 2
            for part in (total, seen)
        )
    overall = sums.sum(axis=0) / max(counts.sum(), 1.0)
    own, other = (
        np.where(part_seen > 0, part / np.where(part_seen > 0, part_seen, 1.0), np.nan)
        for part, part_seen in ((total, seen), (total[::-1], seen[::-1]))
    )
    filled = np.where(np.isnan(own), np.where(np.isnan(other), overall, other), own)
    return filled.reshape(KINDS * season, -1)
