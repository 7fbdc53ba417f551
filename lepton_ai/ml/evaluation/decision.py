"""Decision curves: what acting on a model is worth (Vickers and Elkin, 2006)."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.figures import DecisionCurve
from lepton_ai.ml.evaluation.probabilities import indicator
from lepton_ai.ml.evaluation.resampling import Resampling

__all__ = ["NetBenefit", "decision_curve"]

Floats = NDArray[np.float64]

_THRESHOLDS = np.arange(1, 100) / 100


class NetBenefit:
    """The net benefit of acting where the probability reaches each of 99 thresholds."""

    def __init__(self, positive: NDArray[np.bool_], probability: Floats) -> None:
        reached = np.searchsorted(_THRESHOLDS, probability, side="right")
        count = len(_THRESHOLDS) + 1
        self._found = indicator(reached, count, positive.astype(np.float64))
        self._false = indicator(reached, count, (~positive).astype(np.float64))

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return ``net_benefit`` and ``treat_all``, (draws, thresholds), of weights."""
        total = weights.sum(axis=1, keepdims=True)
        found, false = (np.asarray(weights @ part) for part in (self._found, self._false))
        # A row is acted on at the thresholds below its own.
        hits, alarms = (np.cumsum(part[:, :0:-1], axis=1)[:, ::-1] for part in (found, false))
        odds = _THRESHOLDS / (1 - _THRESHOLDS)
        every = found.sum(axis=1, keepdims=True) - odds * false.sum(axis=1, keepdims=True)
        return {"net_benefit": (hits - odds * alarms) / total, "treat_all": every / total}


def decision_curve(
    positive: NDArray[np.bool_], probability: Floats, label: str, resampling: Resampling
) -> DecisionCurve:
    """Return the decision curve of one class, with the interval of each point.

    Args:
        positive: which rows are of the class (rows,).
        probability: of the class (rows,).
        label: the class.
        resampling: how rows are drawn for the interval.
    """
    measure = NetBenefit(positive, probability)
    once = measure(resampling.once())
    tail = (1 - resampling.confidence) / 2
    low, high = np.quantile(resampling.draws(measure)["net_benefit"], (tail, 1 - tail), axis=0)
    return DecisionCurve(
        label,
        _THRESHOLDS.tolist(),
        once["net_benefit"][0].tolist(),
        low.tolist(),
        high.tolist(),
        once["treat_all"][0].tolist(),
    )
