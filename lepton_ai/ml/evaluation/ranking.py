"""Ranking: how well a score puts the rows that are looked for before the others."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "gain_curve", "precision_recall_curve", "roc_curve", "thinned"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_TOP = 0.1
_MOST_POINTS, _FEWEST_POINTS = 400, 50


class Ranking:
    """Figures of a score, under many weightings of the rows at a time.

    ``auc``: how often a positive row outscores a negative one, equal scores counting half (Hanley
    and McNeil, 1982). ``average_precision``: the precision at each positive row, in the mean, as
    in scikit-learn. ``top_decile_lift``: how many times as frequent positive rows are in the
    tenth of the highest scores as in the whole. NaN where either kind of row is absent.
    """

    def __init__(self, positive: Flags, score: Floats) -> None:
        """Sort the rows once.

        Args:
            positive: which rows are looked for (rows,).
            score: higher for rows that look so (rows,).
        """
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        # Equal scores are one step: only the sums at the end of each count.
        self._ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
        self._positive = positive[self._order].astype(np.float64)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the three figures, each (draws,), of weights (draws, rows)."""
        hits, total = self._sums(weights)
        alarms = total - hits
        positive, negative, whole = hits[:, -1], alarms[:, -1], total[:, -1]
        gained = np.diff(hits, axis=1, prepend=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            # A step's positive rows beat all negative rows after it, and half of those within.
            beaten = negative[:, None] - alarms + np.diff(alarms, axis=1, prepend=0) / 2
            precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
            found = _reached(hits, total, _TOP * whole)
            return {
                "auc": np.einsum("ds,ds->d", gained, beaten) / (positive * negative),
                "average_precision": np.einsum("ds,ds->d", gained, precision) / positive,
                "top_decile_lift": found / (_TOP * positive),
            }

    def precision_at(self, weights: Floats, share: float) -> Floats:
        """Return the share of positive rows among that share of the highest scores (draws,)."""
        hits, total = self._sums(weights)
        taken = share * total[:, -1]
        return _reached(hits, total, taken) / taken

    def _sums(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of positive and of all rows down to each score: (draws, scores)."""
        drawn = weights[:, self._order]
        hits, total = np.cumsum(drawn * self._positive, axis=1), np.cumsum(drawn, axis=1)
        if len(self._ends) == len(self._order):
            return hits, total
        return hits[:, self._ends], total[:, self._ends]


def roc_curve(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """Return the false and true positive rates at every threshold, from (0, 0) to (1, 1).

    Both kinds of row must be present.
    """
    hits, alarms = _counts(positive, score)
    return np.r_[0, alarms / alarms[-1]], np.r_[0, hits / hits[-1]]


def precision_recall_curve(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """Return recall and precision at every threshold, the highest first, from recall 0.

    A positive row must be present. Precision at recall 0 is that of the highest score.
    """
    hits, alarms = _counts(positive, score)
    precision = hits / (hits + alarms)
    return np.r_[0, hits / hits[-1]], np.r_[precision[0], precision]


def gain_curve(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """Return the share of all rows taken, highest scores first, and of the positive ones found.

    Their ratio is the lift. A positive row must be present.
    """
    hits, alarms = _counts(positive, score)
    return np.r_[0, (hits + alarms) / len(score)], np.r_[0, hits / hits[-1]]


def thinned(across: Floats, up: Floats, curves: int = 1) -> tuple[list[float], list[float]]:
    """Return at most 400 points of a curve, both ends among them; fewer where curves are many."""
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, 10 * _MOST_POINTS // curves))
    kept = np.unique(np.linspace(0, len(up) - 1, min(len(up), most)).astype(int))
    return across[kept].tolist(), up[kept].tolist()


def _counts(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    levels, level = np.unique(-score, return_inverse=True)
    hits, alarms = (
        np.cumsum(np.bincount(level, of, minlength=len(levels))).astype(np.float64)
        for of in (positive, ~positive)
    )
    return hits, alarms


def _reached(hits: Floats, total: Floats, wanted: Floats) -> Floats:
    """Return the positive weight among so much weight of the highest scores, ties in part."""
    draws = np.arange(len(hits))
    place = np.minimum((total < wanted[:, None]).sum(axis=1), hits.shape[1] - 1)
    before = np.maximum(place - 1, 0)
    first = place == 0
    hits_before = np.where(first, 0, hits[draws, before])
    total_before = np.where(first, 0, total[draws, before])
    step = total[draws, place] - total_before
    share = np.divide(wanted - total_before, step, out=np.zeros_like(step), where=step > 0)
    result: Floats = hits_before + share * (hits[draws, place] - hits_before)
    return result
