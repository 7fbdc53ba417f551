"""Classification metrics on class codes and probabilities.

A leaf, numpy alone: what serves a model asks it which class is the most probable.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINS",
    "confidence_of",
    "confusion_matrix",
    "reliability",
    "winners",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# Float32 sums differ in the seventh decimal; rounding before the choice settles ties alike in
# every runtime: the first class of equals.
_DECIMALS = 6
BINS = 15
_EDGES = np.linspace(0, 1, BINS + 1)[1:-1]


def winners(probabilities: Floats) -> Codes:
    """Return the code of the most probable class of each row; of equals, the first.

    Args:
        probabilities: (rows, classes).
    """
    codes: Codes = np.round(probabilities, _DECIMALS).argmax(axis=1)
    return codes


def confusion_matrix(truth: Codes, given: Codes, classes: int, weights: Floats) -> Floats:
    """Return the weight of each pair (true class, predicted class), as (classes, classes)."""
    pairs = np.bincount(truth * classes + given, weights, minlength=classes * classes)
    return pairs.reshape((classes, classes)).astype(np.float64, copy=False)


def reliability(truth: Codes, probabilities: Floats, weights: Floats) -> Floats:
    """Return what calibration is read from: (15, 3) weight, mean confidence, accuracy of a bin.

    A row's confidence is the probability of its predicted class; bins have equal width, each
    with its upper bound. Empty bins have weight 0 and NaN in the rest.
    """
    confidence, place, correct = confidence_of(truth, probabilities)
    weight = np.bincount(place, weights, minlength=BINS)
    stated = np.bincount(place, weights * confidence, minlength=BINS)
    met = np.bincount(place, weights * correct, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return np.stack([weight, stated / weight, met / weight], axis=1)


def confidence_of(truth: Codes, probabilities: Floats) -> tuple[Floats, Codes, NDArray[np.bool_]]:
    """Return each row's confidence, the number of its bin, and whether it is right."""
    given = winners(probabilities)
    confidence = probabilities[np.arange(len(given)), given]
    place = np.searchsorted(_EDGES, confidence)
    return confidence, place, given == truth
