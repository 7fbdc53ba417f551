"""Counting: how often items come together, two and three at a time, by products of matrices.

FP-growth is fast where items are rare. Where most rows have most items, as readings of sensors
that rise and fall together do, its trees are as large as the data; products take no notice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "counted"]

# When, when or -1, then; how many rows have all of them; confidence and lift.
Found = tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]

_NONE = (np.zeros((0, 3), dtype=np.intp), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
_EXACT = 2**24  # whole numbers that float32 holds


def counted(
    truth: NDArray[np.bool_],
    goals: Sequence[int],
    *,
    longest: int,
    least: tuple[float, float, float],
    most: int,
) -> Found:
    """Return the rules of two items, and of three, of each those with the highest lift first.

    Args:
        truth: bool (rows, items), which row has which item.
        goals: items that rules may lead to.
        longest: 2, or 3.
        least: support, confidence and lift.
        most: rules.

    Returns:
        int (rules, 3): when, when or -1, then; rows; confidence; lift.
    """
    size, items = truth.shape
    there: NDArray[Any] = truth.astype(np.float32 if size < _EXACT else np.float64)
    pairs = there.T @ there
    alone = np.diag(pairs)
    upper = np.triu(np.ones((items, items), dtype=bool), 1)
    kept: list[list[Any]] = []
    for goal in goals:
        share = float(alone[goal]) / size
        kept.append(_passing(pairs[goal][None], alone[None], share, size, least, goal))
        if longest > 2:
            inside: NDArray[Any] = there[truth[:, goal]]
            threes = np.where(upper, inside.T @ inside, 0)
            threes[goal] = threes[:, goal] = 0
            kept.append(_passing(threes, pairs, share, size, least, goal))
        if sum(len(part[1]) for part in kept) > 4 * most:
            kept = [_best(kept, most)]
    places, rows, sure, times = _best(kept, most) if kept else _NONE
    return places, rows, sure, times


def _passing(
    both: NDArray[Any],
    when: NDArray[Any],
    share: float,
    size: int,
    least: tuple[float, float, float],
    goal: int,
) -> list[Any]:
    """Return the rules that lead to one item, of a table of pairs or a row of single items."""
    support, confidence, lift = least
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = both.astype(np.float64) / when
        times = sure / share
        good = (both / size >= support) & (sure >= confidence) & (times >= lift)
    if len(both) == 1:
        good[0, goal] = False
    first, second = np.nonzero(good)
    if len(both) == 1:
        places = np.column_stack([second, np.full(second.size, -1), np.full(second.size, goal)])
    else:
        places = np.column_stack([first, second, np.full(first.size, goal)])
    return [places, both[good].astype(np.int64), sure[good], times[good]]


def _best(kept: Sequence[Sequence[Any]], most: int) -> list[Any]:
    places, rows, sure, times = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    # Rules of two come first: without them none of three can be seen to say no more.
    order = np.lexsort((-rows, -times, places[:, 1] >= 0))[:most]
    return [places[order], rows[order], sure[order], times[order]]
