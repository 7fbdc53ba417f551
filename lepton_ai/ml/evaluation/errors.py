"""Errors of predicted numbers, under many weightings of the rows at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = ["ErrorMeasure", "IntervalMeasure", "PinballMeasure", "as_outputs", "weighted_quantile"]

Floats = NDArray[np.float64]


class ErrorMeasure:
    """The figures of predicted numbers, each (draws, outputs).

    ``mae`` (mean absolute error), ``rmse`` (root mean square), ``mape`` (mean of the error's share
    of the truth, over the rows whose truth is not 0), ``r2`` (coefficient of determination, NaN
    where the truth does not vary), ``median_error`` (median absolute error) and ``bias`` (mean of
    prediction less truth).
    """

    def __init__(self, truth: Floats, values: Floats) -> None:
        """Prepare what every weighting shares.

        Args:
            truth: (rows, outputs).
            values: what was predicted (rows, outputs).
        """
        self._outputs = truth.shape[1]
        errors = values - truth
        size = np.abs(errors)
        some = truth != 0
        share = np.divide(size, np.abs(truth), out=np.zeros_like(size), where=some)
        # About the mean, squares of large numbers leave their differences exact.
        centred = truth - truth.mean(axis=0)
        parts = (size, errors**2, errors, share, some, centred, centred**2)
        self._sums = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts], axis=1)
        self._order = np.argsort(size, axis=0, kind="stable")
        self._sizes = np.take_along_axis(size, self._order, axis=0)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures of weights (draws, rows)."""
        total = weights.sum(axis=1)[:, None]
        found = (weights @ self._sums).reshape(len(weights), -1, self._outputs)
        size, square, error, share, some, value, spread = np.moveaxis(found, 1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            varied = spread - value**2 / total
            explained = np.where(varied > 1e-12 * np.maximum(spread, 1e-300), varied, np.nan)
            median = [
                weighted_quantile(self._sizes[:, n], weights[:, self._order[:, n]], 0.5)
                for n in range(self._outputs)
            ]
            return {
                "mae": size / total,
                "rmse": np.sqrt(square / total),
                "mape": share / some,
                "r2": 1 - square / explained,
                "median_error": np.stack(median, axis=1),
                "bias": error / total,
            }


class PinballMeasure:
    """The mean pinball loss of predicted quantiles (Koenker and Bassett, 1978)."""

    def __init__(self, truth: Floats, quantiles: Mapping[float, Floats]) -> None:
        losses = []
        for share, values in quantiles.items():
            missing = truth - values
            losses.append(np.maximum(share * missing, (share - 1) * missing).mean(axis=1))
        self._loss = np.mean(losses, axis=0)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return ``pinball`` (draws,), the mean over the quantiles."""
        return {"pinball": weights @ self._loss / weights.sum(axis=1)}


class IntervalMeasure:
    """How often intervals hold the truth, and how wide they are.

    ``coverage``, ``width`` (mean) and ``interval_score``: the width, and what lies outside times 2
    over the share that may (Gneiting and Raftery, 2007); lower is better, in the target's unit.
    """

    def __init__(self, truth: Floats, low: Floats, high: Floats, level: float) -> None:
        inside = (low <= truth) & (truth <= high)
        width = high - low
        outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        score = width + 2 / (1 - level) * outside
        self._means = np.stack([part.mean(axis=1) for part in (inside, width, score)], axis=1)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures, each (draws,)."""
        coverage, width, score = ((weights @ self._means) / weights.sum(axis=1)[:, None]).T
        return {"coverage": coverage, "width": width, "interval_score": score}


def weighted_quantile(values: Floats, weights: Floats, share: float) -> Floats:
    """Return a quantile of each weighting; between two values, their mean.

    Args:
        values: in ascending order (values,).
        weights: of the values in that order (draws, values).
        share: such as 0.5 for the median.
    """
    sums = weights.cumsum(axis=1)
    # A weight of exactly so much ends between two values.
    target = share * sums[:, -1:]
    slack = 1e-9 * sums[:, -1:]
    last = len(values) - 1
    low = np.minimum((sums < target - slack).sum(axis=1), last)
    high = np.minimum((sums <= target + slack).sum(axis=1), last)
    result: Floats = (values[low] + values[high]) / 2
    return result


def as_outputs(what: str, values: Any, rows: int | None = None) -> Floats:
    """Return numbers as (rows, outputs).

    Raises:
        InvalidInput: they are not finite numbers, or not so many.
    """
    given = np.asarray(values, dtype=np.float64)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or (rows is not None and len(given) != rows):
        expected = "rows" if rows is None else f"{rows} rows"
        raise InvalidInput(
            f"{what} must be ({expected},) or ({expected}, outputs); got {given.shape}"
        )
    wrong = ~np.isfinite(given)
    if wrong.any():
        raise InvalidInput(
            f"{what} has {int(wrong.sum())} values that are missing or infinite, the first in row "
            f"{int(wrong.any(axis=1).argmax())}; leave those rows out"
        )
    return given
