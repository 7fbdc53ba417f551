"""Conformal prediction: intervals around predicted numbers that hold the truth as often as told.

What is fitted is data (a reach, knots, residuals), applied where a model is served. A leaf.
"""

import math
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "CrossConformal",
    "ScaledConformal",
    "SplitConformal",
    "cross_conformal",
    "scaled_conformal",
    "split_conformal",
]

Floats = NDArray[np.float64]

_KNOTS = 20
_CHUNK = 4_000_000


class SplitConformal(Struct, frozen=True, tag="split"):
    """Intervals of one width (Vovk et al., 2005; Lei et al., 2018).

    Attributes:
        level: the share of intervals that hold the truth, at least, on rows that are exchangeable
            with those of the calibration.
        reach: half the width, of each output.
        rows: of the calibration.
    """

    level: float
    reach: tuple[float, ...]
    rows: int

    def apply(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the lower and upper ends for predictions (rows,) or (rows, outputs)."""
        reach = np.array(self.reach) if values.ndim == 2 else self.reach[0]
        return values - reach, values + reach


class ScaledConformal(Struct, frozen=True, tag="scaled"):
    """Intervals that are wider where predictions were further off (Lei et al., 2018).

    How far off they are is a function of the prediction, linear between knots; no second model
    is needed to serve it.

    Attributes:
        level: see `SplitConformal`.
        reach: how many times the expected error an interval reaches to either side.
        knots: predictions, ascending.
        scales: the expected absolute error at each.
        rows: of the calibration.
    """

    level: float
    reach: float
    knots: tuple[float, ...]
    scales: tuple[float, ...]
    rows: int

    def apply(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the lower and upper ends for predictions (rows,)."""
        reach = self.reach * np.interp(values, self.knots, self.scales)
        return values - reach, values + reach


class CrossConformal(Struct, frozen=True, tag="cross"):
    """CV+ intervals (Barber et al., 2021), from the models of the folds and their residuals.

    No row is set aside: each fold's model was tried on the rows that it had not seen. At least
    ``2 * level - 1`` of the intervals hold the truth, and in practice about ``level`` do.

    Attributes:
        level: see above.
        residuals: the absolute residuals of each fold's rows, under the model without them.
    """

    level: float
    residuals: tuple[tuple[float, ...], ...]

    def apply(self, answers: Floats) -> tuple[Floats, Floats]:
        """Return the lower and upper ends.

        Args:
            answers: the prediction of each fold's model (rows, folds).
        """
        if answers.ndim != 2 or answers.shape[1] != len(self.residuals):
            raise InvalidInput(
                f"expected the answers of {len(self.residuals)} folds (rows, folds); got "
                f"{answers.shape}"
            )
        fold = np.repeat(np.arange(len(self.residuals)), [len(part) for part in self.residuals])
        residuals = np.concatenate([np.array(part) for part in self.residuals])
        count = len(residuals)
        upper = min(count, math.ceil(self.level * (count + 1))) - 1
        lower = count - 1 - upper
        low, high = np.empty(len(answers)), np.empty(len(answers))
        step = max(1, _CHUNK // count)
        for begin in range(0, len(answers), step):
            part = answers[begin : begin + step, fold]
            low[begin : begin + step] = np.partition(part - residuals, lower, axis=1)[:, lower]
            high[begin : begin + step] = np.partition(part + residuals, upper, axis=1)[:, upper]
        return low, high


def split_conformal(truth: Any, values: Any, *, level: float = 0.9) -> SplitConformal:
    """Fit intervals of one width on rows that the model has not seen.

    Args:
        truth: (rows,) or (rows, outputs).
        values: what the model predicted, in the same shape.
        level: the share of intervals that is to hold the truth.

    Raises:
        InvalidInput: there are too few rows for the level, or the shapes differ.
    """
    off = np.abs(_alike(truth, values))
    off = off[:, None] if off.ndim == 1 else off
    rank = _rank(len(off), level)
    return SplitConformal(level, tuple(np.sort(off, axis=0)[rank].tolist()), len(off))


def scaled_conformal(
    truth: Any, values: Any, *, level: float = 0.9, seed: int = 0
) -> ScaledConformal:
    """Fit intervals whose width follows the prediction, on rows that the model has not seen.

    Half of the rows say how far off predictions of each size are, the other half how many times
    as far the intervals must reach.

    Args:
        truth: (rows,).
        values: what the model predicted (rows,).
        level: the share of intervals that is to hold the truth.
        seed: of the halves.

    Raises:
        InvalidInput: there are too few rows for the level, or the shapes differ.
    """
    off = np.abs(_alike(truth, values))
    if off.ndim != 1:
        raise InvalidInput("scaled intervals are fitted on one output at a time; pass (rows,)")
    given = np.asarray(values, dtype=np.float64)
    order = np.random.default_rng(seed).permutation(len(off))
    first, second = order[: len(off) // 2], order[len(off) // 2 :]
    rank = _rank(len(second), level)
    bins = max(1, min(_KNOTS, len(first) // 10))
    parts = np.array_split(first[np.argsort(given[first], kind="stable")], bins)
    knots = np.array([given[part].mean() for part in parts])
    scales = np.array([off[part].mean() for part in parts])
    knots, place = np.unique(knots, return_index=True)
    # A part without any error would claim certainty.
    scales = np.maximum(scales[place], max(1e-3 * off[first].mean(), np.finfo(float).tiny))
    ratio = np.sort(off[second] / np.interp(given[second], knots, scales))
    return ScaledConformal(
        level, float(ratio[rank]), tuple(knots.tolist()), tuple(scales.tolist()), len(off)
    )


def cross_conformal(truth: Any, values: Any, folds: Any, *, level: float = 0.9) -> CrossConformal:
    """Fit CV+ intervals on predictions of rows by the models of the folds they lay outside of.

    Args:
        truth: (rows,).
        values: the prediction of each row by the model that had not seen it (rows,).
        folds: the number of the fold of each row, from 0 (rows,).
        level: the share of intervals that is to hold the truth.

    Raises:
        InvalidInput: there are too few rows for the level, or the shapes differ.
    """
    off = np.abs(_alike(truth, values))
    numbers = np.asarray(folds)
    if off.ndim != 1 or numbers.shape != off.shape:
        raise InvalidInput(f"expected a fold for each of {off.shape} rows; got {numbers.shape}")
    _rank(len(off), level)
    parts = (off[numbers == fold] for fold in range(int(numbers.max()) + 1))
    return CrossConformal(level, tuple(tuple(part.tolist()) for part in parts))


def _alike(truth: Any, values: Any) -> Floats:
    true, given = (np.asarray(part, dtype=np.float64) for part in (truth, values))
    if true.shape != given.shape or not np.isfinite(true).all() or not np.isfinite(given).all():
        raise InvalidInput(
            f"truth and predictions must be finite and of one shape; got {true.shape} and "
            f"{given.shape}"
        )
    return true - given


def _rank(rows: int, level: float) -> int:
    """The place, from 0, of the residual that so many of rows + 1 do not exceed."""
    if not 0 < level < 1:
        raise InvalidInput(f"level must lie between 0 and 1; got {level}")
    rank = math.ceil(level * (rows + 1) - 1e-9)
    if rank > rows:
        needed = math.ceil(level / (1 - level) - 1e-9)
        raise InvalidInput(
            f"intervals at {level:.0%} need at least {needed} rows to be fitted on; got {rows}"
        )
    return rank - 1
