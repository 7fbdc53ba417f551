"""Resampling: the bootstrap, of rows, of whole groups, or of blocks of time.

A resample is a weighting of the rows (Efron, 1979), so a measure computes what doesn't depend on
the weights once, and many resamples at a time as products of matrices. A leaf: numpy alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "Interval",
    "Measure",
    "Resampling",
    "block_of",
    "exact",
    "interval",
    "intervals",
    "unit_codes",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Interval = tuple[float, float]

# Weights held at a time: 16 MB, so that a chunk stays near the processor.
_CELLS = 2_000_000


class Measure(Protocol):
    """Figures of answers, as functions of weights on the rows."""

    def __call__(self, weights: Floats, /) -> dict[str, Floats]:
        """Return each figure under each weighting.

        Args:
            weights: (draws, rows), not negative.

        Returns:
            By name, (draws,) or (draws, parts); NaN where a figure is undefined.
        """


class Resampling(Struct, frozen=True):
    """How rows are resampled: the bootstrap's units, how many draws, and the seed.

    Attributes:
        units: int64 (rows,), what each row is drawn with: its own number, or that of its group.
            Rows of one group (a patient's images) are not independent.
        block: how many units that follow each other are drawn together, from a random start, the
            first following the last (circular block bootstrap: Politis and Romano, 1992).
        resamples: how many draws.
        confidence: share of the draws inside an interval.
        seed: of the draws.
    """

    units: Codes
    block: int = 1
    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    @classmethod
    def of(
        cls,
        rows: int,
        *,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        block: int = 1,
        resamples: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> Self:
        """Make one for so many rows.

        Args:
            rows: how many.
            groups: what each row belongs to; every row for itself unless given.
            block: see the class; units are in the order of time then.
            resamples: see the class.
            confidence: see the class.
            seed: see the class.

        Raises:
            InvalidInput: there is no row, or a number is out of its range.
        """
        if rows < 1:
            raise InvalidInput("there are no rows to measure; pass at least one")
        if not 0 < confidence < 1 or resamples < 1 or block < 1:
            raise InvalidInput(
                "confidence must lie between 0 and 1, resamples and block be at least 1; got "
                f"{confidence}, {resamples} and {block}"
            )
        if groups is not None and len(groups) != rows:
            raise InvalidInput(f"{len(groups)} groups were given for {rows} rows; give one a row")
        units = np.arange(rows) if groups is None else unit_codes(groups)
        return cls(units, min(block, int(units.max()) + 1), resamples, confidence, seed)

    @property
    def count(self) -> int:
        """How many units there are."""
        return int(self.units.max()) + 1

    def weights(self) -> Iterator[Floats]:
        """Yield how often each row is drawn, as (draws, rows), some draws at a time."""
        rng = np.random.default_rng(self.seed)
        count, most = self.count, max(1, _CELLS // len(self.units))
        starts = -(-count // self.block)
        for begin in range(0, self.resamples, most):
            draws = min(most, self.resamples - begin)
            drawn = rng.integers(count, size=(draws, starts)) + count * np.arange(draws)[:, None]
            times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
            if self.block > 1:
                times = _spread(times, self.block)
            yield times[:, self.units].astype(np.float64)

    def draws(self, measure: Measure) -> dict[str, Floats]:
        """Return each figure under each draw: (resamples,) or (resamples, parts)."""
        found = [measure(weights) for weights in self.weights()]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def once(self) -> Floats:
        """Return the weighting of the rows as they are, (1, rows)."""
        return np.ones((1, len(self.units)))


def interval(values: Floats, confidence: float) -> Interval | None:
    """Return the percentile interval of a figure's draws, None where none is defined."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, (tail, 1 - tail))
    return float(low), float(high)


def intervals(draws: dict[str, Floats], confidence: float) -> dict[str, Interval]:
    """Return the percentile interval of each figure that is one number."""
    found = {n: interval(v, confidence) for n, v in draws.items() if v.ndim == 1}
    return {name: ends for name, ends in found.items() if ends is not None}


def block_of(rows: int) -> int:
    """Return how many rows that follow each other to draw together: the cube root of all.

    With it the error of the interval falls fastest as rows grow (Hall et al., 1995).
    """
    return max(1, round(float(np.cbrt(rows))))


def exact(
    found: Mapping[str, Interval], support: Mapping[str, int], confidence: float
) -> dict[str, Interval]:
    """Return intervals of shares, mended where no resample differs: nothing failed, or all did.

    The other end is that of the exact interval of so many draws without a failure (Clopper and
    Pearson, 1934): eight patients without an error give 0.63 to 1.

    Args:
        found: percentile intervals.
        support: how many units each share rests on; what is not named stays.
        confidence: level of the intervals.
    """
    tail = (1 - confidence) / 2
    result = dict(found)
    for name, count in support.items():
        if count and result.get(name) == (1, 1):
            result[name] = (tail ** (1 / count), 1.0)
        elif count and result.get(name) == (0, 0):
            result[name] = (0.0, 1 - tail ** (1 / count))
    return result


def unit_codes(groups: Sequence[Any] | NDArray[Any]) -> Codes:
    """Return a number for each name, counted in the order in which they first come."""
    _, first, codes = np.unique(
        np.asarray(groups, dtype=str), return_index=True, return_inverse=True
    )
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    result: Codes = place[codes.ravel()]
    return result


def _spread(starts: NDArray[np.int64], block: int) -> NDArray[np.int64]:
    """Return how often each unit is in a block, of how often each unit begins one."""
    # Unit u lies in the blocks that begin at u - block + 1 to u, around the end.
    around = np.concatenate([starts[:, -(block - 1) :], starts], axis=1)
    sums = np.concatenate([np.zeros((len(starts), 1), np.int64), around.cumsum(axis=1)], axis=1)
    result: NDArray[np.int64] = sums[:, block:] - sums[:, :-block]
    return result
