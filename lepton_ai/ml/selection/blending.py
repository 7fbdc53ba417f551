"""Blending: weights of models by greedy selection on their out-of-fold answers. A leaf.

Answers are seen through `parts` (models, rows): numbers whose weighted mean over models is that of
the blend, and from which a row's loss follows: the probability of the true class, or the error.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOSSES", "bagged", "greedy", "losses", "parts_of"]

Floats = NDArray[np.float64]

# A probability below this counts as this: one row that a forest held impossible is no verdict.
_LEAST = 1e-4
_ROUNDS = 40
_BAGS = 12
# How far weights are moved to equal ones. In nested cross-validation half the way raised the AUC of
# two tables of 1000 rows by 0.001 and 0.002 at the same log loss, and cost two regressions nothing.
_EVEN = 0.5
# What one more member must take off the loss, as a share of it.
_WORTH = 1e-4

# task -> what its loss is called
LOSSES = {"classification": "log loss", "regression": "mean squared error"}


def parts_of(answers: Floats, target: NDArray[Any], task: str) -> Floats:
    """Return one model's part of each row's loss (rows,).

    Args:
        answers: probabilities (rows, classes), or values (rows, 1).
        target: codes of the classes, or values (rows,).
        task: a key of :data:`LOSSES`.
    """
    if task == "classification":
        return answers[np.arange(len(answers)), target.astype(np.int64)]
    error: Floats = answers[:, 0] - target
    return error


def losses(parts: Floats, task: str) -> Floats:
    """Return the loss of each row, in the shape of ``parts``."""
    if task == "classification":
        return -np.log(np.maximum(parts, _LEAST))
    squares: Floats = parts**2
    return squares


def greedy(parts: Floats, weights: Floats, task: str, most: int) -> Floats:
    """Return the weights (models,) of a blend; they sum to 1.

    Starting with the best model, the one is added, again and again, that lowers the blend's loss
    most, until none does (Caruana et al., 2004).

    Args:
        parts: see the head of this module (models, rows).
        weights: of the rows.
        task: a key of :data:`LOSSES`.
        most: how many different models may take part.
    """
    shares = weights / weights.sum()
    alone = losses(parts, task) @ shares
    chosen = [int(alone.argmin())]
    least, total = float(alone.min()), parts[chosen[0]].copy()
    for _ in range(_ROUNDS):
        allowed = np.unique(chosen) if len(set(chosen)) >= most else np.arange(len(parts))
        mixed = (total + parts[allowed]) / (len(chosen) + 1)
        found = losses(mixed, task) @ shares
        place = int(found.argmin())
        if found[place] > least - _WORTH * abs(least):
            break
        least = float(found[place])
        chosen.append(int(allowed[place]))
        total += parts[allowed[place]]
    counts = np.bincount(chosen, minlength=len(parts))
    blend: Floats = counts / counts.sum()
    return blend


def bagged(parts: Floats, weights: Floats, task: str, most: int, seed: int) -> Floats:
    """Return the weights (models,) of a blend that hang less on single rows than `greedy`'s.

    Weights are selected on resamples of the rows and averaged (Caruana et al., 2006); of models
    beyond ``most`` those of the least weight are left out. What is selected is then moved halfway
    to equal weights, which hang on no rows at all (Diebold and Pauly, 1990).

    Args:
        parts: see the head of this module (models, rows).
        weights: of the rows.
        task: a key of :data:`LOSSES`.
        most: how many different models may take part.
        seed: of the resamples.
    """
    rng = np.random.default_rng(seed)
    rows = parts.shape[1]
    total = np.zeros(len(parts))
    for _ in range(_BAGS):
        times = np.bincount(rng.integers(rows, size=rows), minlength=rows)
        if (weights * times).any():
            total += greedy(parts, weights * times, task, most)
    total[np.argsort(-total, kind="stable")[most:]] = 0
    kept = total > 0
    blend: Floats = (1 - _EVEN) * total / total.sum() + _EVEN * kept / kept.sum()
    return blend
