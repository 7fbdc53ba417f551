"""Matrix: columns as features of equal weight, for what measures distances between rows."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.analysis.columns import Column

__all__ = ["Features", "features_of"]

_CATEGORIES = 20
_FAR = 10.0  # spreads from the middle; what is beyond would be all that a distance sees


class Features(Struct, frozen=True, eq=False):
    """Rows as points.

    Attributes:
        matrix: float64 (rows, features), without gaps.
        columns: the place of the column that each feature comes from.
    """

    matrix: NDArray[np.float64]
    columns: tuple[int, ...]


def features_of(columns: Sequence[Column]) -> Features:
    """Return columns as features.

    Numbers and dates lose their mean and get a spread of 1, are cut at ten spreads, and have
    their median where they are missing. Categories become 0 and 1, each column with a spread of
    1 in all, so that one of many categories weighs as much as a number.
    """
    parts: list[NDArray[np.float64]] = []
    origins: list[int] = []
    for place, column in enumerate(columns):
        part = _number(column.numbers) if column.numeric else _category(column.codes)
        parts.append(part)
        origins += [place] * part.shape[1]
    return Features(np.hstack(parts), tuple(origins))


def _number(values: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.nanmax(np.abs(values))
    scaled = values / largest if largest > 1e100 else values
    scaled = np.where(np.isnan(scaled), np.nanmedian(scaled), scaled)
    scaled = scaled - scaled.mean()
    spread = scaled.std()
    result: NDArray[np.float64] = np.clip(scaled / spread, -_FAR, _FAR) if spread else scaled
    return result[:, None]


def _category(codes: NDArray[np.intp]) -> NDArray[np.float64]:
    kept = np.minimum(codes, _CATEGORIES)
    present = np.unique(kept[kept >= 0])
    shown = (kept[:, None] == present[None, :]).astype(np.float64)
    shown -= shown.mean(axis=0)
    spread = np.sqrt((shown**2).mean(axis=0).sum())
    result: NDArray[np.float64] = shown / spread if spread else shown
    return result
