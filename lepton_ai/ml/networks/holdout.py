"""The held-out part that an early stop is decided on; a leaf."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = ["hold_out"]

Rows = NDArray[np.int64]

# The loss of fewer rows is noise: they serve better in training.
_FEWEST = 10


def hold_out(
    rows: int,
    share: float,
    rng: np.random.Generator,
    *,
    classes: NDArray[np.int64] | None = None,
    groups: NDArray[np.generic] | None = None,
    times: NDArray[np.generic] | None = None,
) -> tuple[Rows, Rows]:
    """Divide row numbers into those to learn from and those to stop on.

    Args:
        rows: how many there are.
        share: wanted share of held-out rows, from 0 to below 1.
        rng: source of the random choices.
        classes: class number of each row; without groups and times each class gives its share.
        groups: whole groups are held out, so that no patient or machine stands on both sides.
        times: the last part of time is held out, equal times together; with groups, those
            whose last row is latest.

    Returns:
        Row numbers to learn from, then those held out, each rising. Where fewer than ten rows
        would be held out, or none would be left to learn from, none is held out.

    Raises:
        InvalidInput: the share lies outside [0, 1), or groups or times have another length.
    """
    if not 0 <= share < 1:
        raise InvalidInput(
            f"validation must be a share from 0 to below 1; got {share!r}; 0 holds out nothing"
        )
    for name, values in (("groups", groups), ("times", times)):
        if values is not None and len(values) != rows:
            raise InvalidInput(f"{name} must have one value a row: {rows}; got {len(values)}")
    wanted = round(rows * share)
    if wanted < _FEWEST:
        return np.arange(rows), np.arange(0)
    if groups is not None or times is not None:
        held = _blocks(wanted, rows, rng, groups, times)
    else:
        held = _shares(share, np.zeros(rows, np.int64) if classes is None else classes, rng)
    if not _FEWEST <= held.sum() < rows:
        return np.arange(rows), np.arange(0)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _shares(
    share: float, classes: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Mark the share of each class, at random."""
    held = np.zeros(len(classes), dtype=bool)
    for number in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == number))
        held[members[: round(len(members) * share)]] = True
    return held


def _blocks(
    wanted: int,
    rows: int,
    rng: np.random.Generator,
    groups: NDArray[np.generic] | None,
    times: NDArray[np.generic] | None,
) -> NDArray[np.bool_]:
    """Mark whole blocks, a block being a group or a moment, up to the wanted number of rows."""
    _, moments = np.unique(np.arange(rows) if times is None else times, return_inverse=True)
    _, blocks = np.unique(moments if groups is None else groups, return_inverse=True)
    sizes = np.bincount(blocks)
    if times is None:
        order = rng.permutation(len(sizes))
    else:
        last = np.zeros(len(sizes), dtype=np.int64)
        np.maximum.at(last, blocks, moments)
        order = np.argsort(-last, kind="stable")
    # At least one block, and the last one only where it does not overshoot by more than it helps.
    reached = np.cumsum(sizes[order])
    count = max(1, int(np.argmin(np.abs(reached - wanted))) + 1)
    return np.isin(blocks, order[:count])
