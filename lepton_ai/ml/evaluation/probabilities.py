"""The figures of a classifier's probabilities, under many weightings of the rows at a time."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from lepton_ai.ml.evaluation.metrics import BINS, confidence_of
from lepton_ai.ml.evaluation.ranking import Ranking

__all__ = ["ProbabilityMeasure", "indicator"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class ProbabilityMeasure:
    """The figures that each describe a classifier's answers by one number.

    ``accuracy``, ``balanced_accuracy`` (mean recall), ``precision``, ``recall``, ``specificity``
    (of two classes: recall of the other one), ``f1``, those of :class:`Ranking`, ``log_loss``
    (probabilities kept from 0 by float64's smallest step, as in scikit-learn), ``brier`` (mean
    square of what the probabilities miss, of two classes half of it: Brier, 1950) and
    ``calibration_error`` (expected, over 15 bins: Guo et al., 2017).
    """

    def __init__(
        self, truth: Codes, probabilities: Floats, given: Codes, positive: int | None
    ) -> None:
        """Prepare what every weighting shares.

        Args:
            truth: codes of the true classes (rows,).
            probabilities: (rows, classes).
            given: codes of the predicted classes (rows,).
            positive: of two classes, the code of the one that precision, recall, F1 and AUC are
                about; with None they are means over the classes (AUC: one against the rest).
        """
        rows, self._classes = probabilities.shape
        self._positive = positive
        self._pairs = indicator(truth * self._classes + given, self._classes**2)
        confidence, place, correct = confidence_of(truth, probabilities)
        self._excess = indicator(place, BINS, confidence - correct)
        eps = np.finfo(np.float64).eps
        loss = -np.log(np.clip(probabilities[np.arange(rows), truth], eps, 1 - eps))
        missed = np.square(probabilities - np.eye(self._classes)[truth]).sum(axis=1)
        self._means = np.stack([loss, missed / 2 if self._classes == 2 else missed], axis=1)
        codes = range(self._classes) if positive is None else (positive,)
        self.rankings = [Ranking(truth == code, probabilities[:, code]) for code in codes]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures, each (draws,), of weights (draws, rows).

        Those of each class, ``class_precision`` and such, are (draws, classes).
        """
        total = weights.sum(axis=1)
        confusion = np.asarray(weights @ self._pairs).reshape(-1, self._classes, self._classes)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        true, given = confusion.sum(axis=2), confusion.sum(axis=1)
        precision, recall, f1 = (
            _ratio(hits, given),
            _ratio(hits, true),
            _ratio(2 * hits, given + true),
        )
        if self._positive is None:
            chosen = (true > 0) | (given > 0)
        else:
            chosen = np.broadcast_to(np.arange(self._classes) == self._positive, hits.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = (weights @ self._means) / total[:, None]
            error = np.abs(np.asarray(weights @ self._excess)).sum(axis=1) / total
            figures: dict[str, Floats] = {
                "accuracy": hits.sum(axis=1) / total,
                "balanced_accuracy": recall.sum(axis=1) / (true > 0).sum(axis=1),
                "precision": _mean(precision, chosen),
                "recall": _mean(recall, chosen),
                "f1": _mean(f1, chosen),
                "log_loss": means[:, 0],
                "brier": means[:, 1],
                "calibration_error": error,
            }
            if self._positive is not None:
                other = 1 - self._positive
                figures["specificity"] = hits[:, other] / true[:, other]
                figures["selection_rate"] = given[:, self._positive] / total
                figures["prevalence"] = true[:, self._positive] / total
        ranked = [ranking(weights) for ranking in self.rankings]
        for name in ranked[0]:
            figures[name] = np.mean([found[name] for found in ranked], axis=0)
        # Of two classes, swapping them swaps both the order of the scores and the roles.
        areas = [found["auc"] for found in ranked] * (1 if self._positive is None else 2)
        by_class = {"precision": precision, "recall": recall, "f1": f1, "auc": np.stack(areas, 1)}
        return figures | {f"class_{name}": value for name, value in by_class.items()}


def indicator(codes: Codes, count: int, values: Floats | None = None) -> csr_matrix:
    """Return the matrix (rows, count) by which weights become their sums for each code.

    Args:
        codes: of the rows (rows,).
        count: how many codes there are.
        values: what each row's weight is multiplied by; 1 unless given.
    """
    rows = len(codes)
    data = np.ones(rows) if values is None else values
    return csr_matrix((data, codes, np.arange(rows + 1)), shape=(rows, count))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _mean(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    result: Floats = (values * chosen).sum(axis=1) / chosen.sum(axis=1)
    return result
