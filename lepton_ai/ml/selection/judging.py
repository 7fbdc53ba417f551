"""Judging: an honest figure for what was chosen on the same rows that it is judged by.

The best of many models looks better on the rows it was chosen on than it is. So the choice is made
again on resamples of the rows, each time measured on the rows that the resample lacks, over answers
that are all out of fold (bootstrap bias corrected cross-validation: Tsamardinos et al., 2018).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.errors import ErrorMeasure
from lepton_ai.ml.evaluation.labels import positive_of
from lepton_ai.ml.evaluation.metrics import winners
from lepton_ai.ml.evaluation.probabilities import ProbabilityMeasure
from lepton_ai.ml.evaluation.resampling import Interval, Resampling, intervals

__all__ = ["CONFIDENCE", "figures_of", "judged"]

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
_DRAWS = 50
# Rows beyond these make the figure no surer, only later.
_MOST_ROWS = 5000
_FIGURES = {
    "classification": ("auc", "log_loss", "accuracy", "brier", "calibration_error"),
    "regression": ("rmse", "mae", "r2"),
}


def figures_of(
    answers: Floats, target: NDArray[Any], weights: Floats, classes: tuple[str, ...]
) -> dict[str, float]:
    """Return the figures of some answers; those that the rows leave undefined are absent.

    Args:
        answers: probabilities (rows, classes), or values (rows, 1).
        target: codes of the classes, or values (rows,).
        weights: of the rows.
        classes: their names; empty for values.
    """
    if classes:
        codes = target.astype(np.int64)
        found = ProbabilityMeasure(codes, answers, winners(answers), positive_of(classes, None))(
            weights[None]
        )
    else:
        measure = ErrorMeasure(np.asarray(target, dtype=np.float64)[:, None], answers)
        found = {name: value.mean(axis=1) for name, value in measure(weights[None]).items()}
    names = _FIGURES["classification" if classes else "regression"]
    once = {name: float(found[name][0]) for name in names}
    return {name: value for name, value in once.items() if np.isfinite(value)}


def judged(
    answers: Floats,
    target: NDArray[Any],
    weights: Floats,
    units: NDArray[np.int64],
    choose: Callable[[NDArray[np.int64], Floats], Floats],
    classes: tuple[str, ...],
    seed: int,
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return the honest figures of a way of choosing, and their intervals.

    Args:
        answers: out of fold, of each model (models, rows, width).
        target: codes of the classes, or values (rows,).
        weights: of the rows.
        units: which rows are drawn together (rows,), counted from 0.
        choose: gives the weights of the models (models,), of places of rows and their weights.
        classes: their names; empty for values.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    # Models were all asked about the same rows; of very many, some units tell enough.
    most = max(2, _MOST_ROWS * (int(units.max()) + 1) // len(units))
    kept = np.arange(len(units))
    if int(units.max()) + 1 > most:
        kept = np.flatnonzero(np.isin(units, rng.permutation(int(units.max()) + 1)[:most]))
    _, own = np.unique(units[kept], return_inverse=True)
    resampling = Resampling(own, resamples=_DRAWS, confidence=CONFIDENCE, seed=seed)
    drawn: dict[str, list[float]] = {}
    for block in resampling.weights():
        for times in block:
            inside, outside = kept[times > 0], kept[times == 0]
            counted = weights[inside] * times[times > 0]
            if not len(outside) or not counted.any() or not weights[outside].any():
                continue
            shares = choose(inside, counted)
            mixed = np.tensordot(shares, answers[:, outside], axes=1)
            found = figures_of(mixed, target[outside], weights[outside], classes)
            for name, value in found.items():
                drawn.setdefault(name, []).append(value)
    every = {name: np.array(values) for name, values in drawn.items()}
    means = {name: float(values.mean()) for name, values in every.items()}
    return means, intervals(every, CONFIDENCE)
