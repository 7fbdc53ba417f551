"""Calibration curves: how often what was predicted with a probability came true."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.figures import CalibrationBin, CalibrationCurve
from lepton_ai.ml.evaluation.probabilities import indicator
from lepton_ai.ml.evaluation.resampling import Resampling, interval

__all__ = ["calibration_curve"]

Floats = NDArray[np.float64]

_BINS = 10


def calibration_curve(
    positive: NDArray[np.bool_],
    probability: Floats,
    label: str,
    resampling: Resampling,
    bins: int = _BINS,
) -> CalibrationCurve:
    """Return predicted against observed shares of one class.

    Args:
        positive: which rows are of the class (rows,).
        probability: of the class (rows,).
        label: the class.
        resampling: how rows are drawn for the intervals.
        bins: how many, of as many rows each; equal probabilities share one.
    """
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, probability)
    count = len(edges) + 1
    rows = np.bincount(place, minlength=count)
    whole, found = indicator(place, count), indicator(place, count, positive.astype(np.float64))

    def share(weights: Floats) -> dict[str, Floats]:
        of, all_rows = np.asarray(weights @ found), np.asarray(weights @ whole)
        return {"share": np.divide(of, all_rows, out=np.full_like(of, np.nan), where=all_rows > 0)}

    once = share(resampling.once())["share"][0]
    drawn = resampling.draws(share)["share"]
    sums = np.bincount(place, probability, minlength=count)
    return CalibrationCurve(
        label,
        [
            CalibrationBin(
                int(rows[n]),
                float(sums[n] / rows[n]),
                float(once[n]),
                interval(drawn[:, n], resampling.confidence) or (0.0, 1.0),
            )
            for n in range(count)
            if rows[n]
        ],
    )
