"""Recalibration: maps from a model's probabilities to calibrated ones, as data. A leaf.

`recalibrating` fits them; they are applied where a model is served.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Isotonic", "Platt", "Recalibration", "Temperature", "log_odds"]

Floats = NDArray[np.float64]

# Certainty has no log odds: it is kept this far from 0 and 1.
_SURE = 1e-6


class Isotonic(Struct, frozen=True, tag="isotonic"):
    """A rising function of each class's probability, linear between knots (Zadrozny and Elkan,
    2002).

    Attributes:
        knots: probabilities, ascending, of each class; of two classes, of the second alone.
        values: the calibrated probability at each knot.
    """

    knots: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, ...], ...]

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities (rows, classes)."""
        pairs = zip(self.knots, self.values, strict=True)
        columns = [
            np.interp(column, knots, values)
            for column, (knots, values) in zip(
                _columns(probabilities, len(self.knots)), pairs, strict=True
            )
        ]
        return _together(columns)


class Platt(Struct, frozen=True, tag="platt"):
    """A sigmoid of the log odds of each class's probability (Platt, 1999).

    Attributes:
        slopes: 1 leaves the spread as it is, less makes probabilities less extreme; of each
            class, or of two classes of the second alone.
        offsets: what is added to the log odds.
    """

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities (rows, classes)."""
        columns = [
            # The sigmoid, written so that no exponential overflows.
            (1 + np.tanh((slope * log_odds(column) + offset) / 2)) / 2
            for column, slope, offset in zip(
                _columns(probabilities, len(self.slopes)), self.slopes, self.offsets, strict=True
            )
        ]
        return _together(columns)


class Temperature(Struct, frozen=True, tag="temperature"):
    """Log probabilities divided by one number, for any number of classes (Guo et al., 2017).

    The most probable class stays the same.

    Attributes:
        value: above 1 makes probabilities less extreme.
    """

    value: float

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities (rows, classes)."""
        logs = np.log(np.clip(probabilities, _SURE, None)) / self.value
        odds = np.exp(logs - logs.max(axis=1, keepdims=True))
        calibrated: Floats = odds / odds.sum(axis=1, keepdims=True)
        return calibrated


Recalibration = Isotonic | Platt | Temperature


def log_odds(probability: Floats) -> Floats:
    """Return the logarithm of p / (1 - p), certainty kept a millionth off."""
    kept = np.clip(probability, _SURE, 1 - _SURE)
    odds: Floats = np.log(kept / (1 - kept))
    return odds


def _columns(probabilities: Floats, maps: int) -> Floats:
    return probabilities[:, 1:].T if maps == 1 else probabilities.T


def _together(columns: list[Floats]) -> Floats:
    if len(columns) == 1:
        return np.stack([1 - columns[0], columns[0]], axis=1)
    raw = np.stack(columns, axis=1)
    total = raw.sum(axis=1, keepdims=True)
    # Where every class is held impossible, none is more likely than another.
    shares: Floats = np.divide(raw, total, out=np.full_like(raw, 1 / len(columns)), where=total > 0)
    return shares
