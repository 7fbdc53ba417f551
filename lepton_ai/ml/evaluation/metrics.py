"""Classification metrics on class codes and probabilities, with weights on the rows.

A bootstrap resample is a weighting of the rows: what doesn't depend on the weights (the order
of scores, bins, logarithms) is computed once, and a resample costs a few sums. Undefined
figures are NaN.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Measure",
    "bootstrap",
    "confusion_matrix",
    "precision_recall_f1",
    "reliability",
    "roc_curve",
    "winners",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# Float32 sums differ in the seventh decimal; rounding before the choice settles ties alike in
# every runtime: the first class of equals.
_DECIMALS = 6
_BINS = 15
_EDGES = np.linspace(0, 1, _BINS + 1)[1:-1]


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


def precision_recall_f1(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each class's precision, recall and F1; a ratio of nothing to nothing is 0."""
    hits = np.diagonal(confusion)
    given, true = confusion.sum(axis=0), confusion.sum(axis=1)
    return _ratio(hits, given), _ratio(hits, true), _ratio(2 * hits, given + true)


def reliability(truth: Codes, probabilities: Floats, weights: Floats) -> Floats:
    """Return what calibration is read from: (15, 3) weight, mean confidence, accuracy of a bin.

    A row's confidence is the probability of its predicted class; bins have equal width, each
    with its upper bound. Empty bins have weight 0 and NaN in the rest.
    """
    confidence, place, correct = _confidence(truth, probabilities)
    weight = np.bincount(place, weights, minlength=_BINS)
    stated = np.bincount(place, weights * confidence, minlength=_BINS)
    met = np.bincount(place, weights * correct, minlength=_BINS)
    with np.errstate(invalid="ignore"):
        return np.stack([weight, stated / weight, met / weight], axis=1)


def roc_curve(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Return the false and true positive rates at every threshold, from (0, 0) to (1, 1).

    Both classes must be present.
    """
    levels, level = np.unique(-score, return_inverse=True)
    hits = np.cumsum(np.bincount(level, positive, minlength=len(levels)))
    alarms = np.cumsum(np.bincount(level, ~positive, minlength=len(levels)))
    return np.r_[0, alarms / alarms[-1]], np.r_[0, hits / hits[-1]]


class Measure:
    """The figures that each describe a classifier's answers by one number.

    ``accuracy``, ``balanced_accuracy`` (mean recall), ``precision``, ``recall``, ``f1``, ``auc``
    (how often a positive row outscores a negative one, equal scores counting half: Hanley and
    McNeil, 1982), ``log_loss`` (probabilities kept from 0 by float64's smallest step, as in
    scikit-learn) and ``calibration_error`` (expected, over 15 bins: Guo et al., 2017).
    """

    def __init__(self, truth: Codes, probabilities: Floats, positive: int | None) -> None:
        """Prepare what every weighting shares.

        Args:
            truth: codes of the true classes (rows,).
            probabilities: (rows, classes).
            positive: of two classes, the code of the one that precision, recall, F1 and AUC are
                about; with None they are means over the classes (AUC: one against the rest).
        """
        self._truth, self._classes, self._positive = truth, probabilities.shape[1], positive
        self._given = winners(probabilities)
        self._confidence, self._place, self._correct = _confidence(truth, probabilities)
        eps = np.finfo(np.float64).eps
        true = probabilities[np.arange(len(truth)), truth]
        self._loss = -np.log(np.clip(true, eps, 1 - eps))
        codes = range(self._classes) if positive is None else (positive,)
        self._order = [
            (truth == code, np.unique(probabilities[:, code], return_inverse=True)[1])
            for code in codes
        ]

    def __call__(self, weights: Floats) -> dict[str, float]:
        """Return the figures under weights of the rows (rows,)."""
        confusion = confusion_matrix(self._truth, self._given, self._classes, weights)
        precision, recall, f1 = precision_recall_f1(confusion)
        true, given = confusion.sum(axis=1), confusion.sum(axis=0)
        if self._positive is None:
            chosen = (true > 0) | (given > 0)
        else:
            chosen = np.arange(self._classes) == self._positive
        areas = [_area(positive, level, weights) for positive, level in self._order]
        excess = weights * (self._confidence - self._correct)
        gaps = np.bincount(self._place, excess, minlength=_BINS)
        total = weights.sum()
        return {
            "accuracy": float(np.trace(confusion) / total),
            "balanced_accuracy": float(recall[true > 0].mean()),
            "precision": float(precision[chosen].mean()),
            "recall": float(recall[chosen].mean()),
            "f1": float(f1[chosen].mean()),
            "auc": float(np.mean(areas)),
            "log_loss": float(weights @ self._loss / total),
            "calibration_error": float(np.abs(gaps).sum() / total),
        }

    def support(self, groups: Codes) -> dict[str, int]:
        """Return how many groups each share rests on; where both classes count, the fewer."""
        by_class = [len(np.unique(groups[self._truth == code])) for code in np.unique(self._truth)]
        fewest = min(by_class)
        if self._positive is None:
            asked = fewest
        else:
            asked = len(np.unique(groups[self._truth == self._positive]))
        shares = dict.fromkeys(("precision", "recall", "f1"), asked)
        everyone = int(groups.max()) + 1
        return {"accuracy": everyone, "balanced_accuracy": fewest, "auc": fewest, **shares}

    def areas(self) -> list[float]:
        """Return the AUC of each class against the rest, all rows counting once."""
        once = np.ones(len(self._truth))
        found = [_area(positive, level, once) for positive, level in self._order]
        # With two classes, swapping them swaps both the order of the scores and the roles.
        return found * 2 if self._positive is not None else found


def bootstrap(
    measure: Measure, groups: Codes, *, resamples: int, confidence: float, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of each figure over resamples of the groups.

    Rows of one group (the images of one patient) are drawn together, because they are not
    independent; with a group a row this is the ordinary bootstrap (Efron, 1979). Where nothing was
    wrong, no resample differs, and the lower end is that of the exact interval for no failure in
    so many groups (Clopper and Pearson, 1934): eight patients without an error give 0.63, not 1.

    Args:
        measure: the figures, of weights on the rows.
        groups: the group's code of each row (rows,), counted from 0 without gaps.
        resamples: how many to draw.
        confidence: share of the resamples inside the interval, such as 0.95.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    drawn = []
    for _ in range(resamples):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        drawn.append(measure(times[groups].astype(np.float64)))
    tail = (1 - confidence) / 2
    support = measure.support(groups)
    result = {}
    for name in drawn[0]:
        values = np.array([figures[name] for figures in drawn])
        values = values[~np.isnan(values)]
        if len(values):
            low, high = np.quantile(values, (tail, 1 - tail))
            if low == high == 1 and support.get(name):
                low = tail ** (1 / support[name])
            result[name] = (float(low), float(high))
    return result


def _confidence(truth: Codes, probabilities: Floats) -> tuple[Floats, Codes, NDArray[np.bool_]]:
    """Each row's confidence, the number of its bin, and whether it is right."""
    given = winners(probabilities)
    confidence = probabilities[np.arange(len(given)), given]
    place = np.searchsorted(_EDGES, confidence)
    return confidence, place, given == truth


def _area(positive: NDArray[np.bool_], level: Codes, weights: Floats) -> float:
    above = np.bincount(level, weights * positive)
    below = np.bincount(level, weights * ~positive)
    pairs = above.sum() * below.sum()
    if pairs == 0:
        return float("nan")
    return float((above * (np.cumsum(below) - below / 2)).sum() / pairs)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
