"""recalibrate: fit a map that makes a model's probabilities come true as often as they say."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.recalibration import (
    Isotonic,
    Platt,
    Recalibration,
    Temperature,
    log_odds,
)

__all__ = ["recalibrate"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Method = Literal["isotonic", "platt", "temperature"]

_STEPS = 100
# Below this many rows of the rarer kind an isotonic map follows chance (Niculescu-Mizil, 2005).
_FEW = 5


def recalibrate(
    truth: Sequence[str],
    probabilities: Floats,
    classes: Sequence[str],
    *,
    method: Method = "platt",
) -> Recalibration:
    """Fit a recalibration on rows that the model was not trained on.

    Of more than two classes, isotonic and Platt are fitted for each class against the rest, and
    the results made to sum to 1.

    Args:
        truth: the label of each row.
        probabilities: what the model answered (rows, classes).
        classes: the class of each column.
        method: ``platt`` for few rows, ``isotonic`` from about a thousand on, ``temperature`` for
            networks that are too sure.

    Raises:
        InvalidInput: the method is unknown, shapes differ, or a class has too few rows.
    """
    if method not in _METHODS:
        raise InvalidInput(f"method={method!r} is unknown; choose one of: {', '.join(_METHODS)}")
    given = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(truth, dtype=str)
    if given.shape != (len(labels), len(classes)) or not np.isfinite(given).all():
        raise InvalidInput(
            f"expected finite probabilities ({len(labels)} rows, {len(classes)} classes); got "
            f"{given.shape}"
        )
    flags = labels[:, None] == np.asarray(classes, dtype=str)
    counts = flags.sum(axis=0)
    if not flags.any(axis=1).all() or counts.min() < _FEW:
        told = {label: int(count) for label, count in zip(classes, counts, strict=True)}
        raise InvalidInput(
            f"recalibration needs {_FEW} rows of each class, and none of another; got {told}"
        )
    return _METHODS[method](flags, given)


def _isotonic(flags: Flags, given: Floats) -> Isotonic:
    knots, values = [], []
    for column in _fitted(flags):
        fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fit.fit(given[:, column], flags[:, column].astype(np.float64))
        knots.append(tuple(fit.X_thresholds_.tolist()))
        values.append(tuple(fit.y_thresholds_.tolist()))
    return Isotonic(tuple(knots), tuple(values))


def _platt(flags: Flags, given: Floats) -> Platt:
    pairs = [_sigmoid(flags[:, column], log_odds(given[:, column])) for column in _fitted(flags)]
    slopes, offsets = zip(*pairs, strict=True)
    return Platt(slopes, offsets)


def _sigmoid(positive: Flags, score: Floats) -> tuple[float, float]:
    """Fit slope and offset by Newton's method, on Platt's targets, which are never quite sure."""
    hits, misses = positive.sum(), (~positive).sum()
    target = np.where(positive, (hits + 1) / (hits + 2), 1 / (misses + 2))
    inputs = np.stack([score, np.ones_like(score)], axis=1)
    found = np.array([1.0, 0.0])
    loss = _log_loss(inputs @ found, target)
    for _ in range(_STEPS):
        sure = expit(inputs @ found)
        slope = inputs.T @ (sure - target)
        bend = (inputs * (sure * (1 - sure))[:, None]).T @ inputs + 1e-12 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        share = 1.0
        after = _log_loss(inputs @ (found - step), target)
        while after > loss and share > 1e-10:
            share /= 2
            after = _log_loss(inputs @ (found - share * step), target)
        found, before, loss = found - share * step, loss, after
        if before - loss < 1e-12 * abs(loss):
            break
    return float(found[0]), float(found[1])


def _temperature(flags: Flags, given: Floats) -> Temperature:
    true = flags.argmax(axis=1)

    def loss(log_value: float) -> float:
        shares = Temperature(float(np.exp(log_value))).apply(given)
        return float(-np.log(shares[np.arange(len(true)), true] + 1e-300).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(50)), method="bounded")
    return Temperature(float(np.exp(best.x)))


def _log_loss(odds: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, odds) - target * odds).sum())


def _fitted(flags: Flags) -> range:
    return range(1, 2) if flags.shape[1] == 2 else range(flags.shape[1])


_METHODS: dict[str, Callable[[Flags, Floats], Recalibration]] = {
    "isotonic": _isotonic,
    "platt": _platt,
    "temperature": _temperature,
}
