"""Paired tests of two models on the same rows, or of their scores on the same folds."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, rankdata, t

from lepton_ai.core.errors import InvalidInput

__all__ = ["PairedTest", "bootstrap_p", "corrected_t", "delong", "mcnemar"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class PairedTest(Struct, frozen=True):
    """One test of the hypothesis that two models are equally good.

    Attributes:
        name: of the test.
        difference: the first model less the second.
        p: two-sided; how often so large a difference comes by chance.
        interval: of the difference, where the test gives one.
        about: what was compared, in words.
    """

    name: str
    difference: float
    p: float
    interval: tuple[float, float] | None
    about: str


def mcnemar(first: Flags, second: Flags) -> PairedTest:
    """Test whether two models are right equally often, exactly (McNemar, 1947).

    Args:
        first: where the first model is right (rows,).
        second: where the second is right (rows,).
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p = binomtest(only_first, apart).pvalue if apart else 1.0
    return PairedTest(
        "McNemar",
        float(first.mean() - second.mean()),
        float(p),
        None,
        f"right alone: first {only_first}, second {only_second} rows",
    )


def delong(positive: Flags, first: Floats, second: Floats, confidence: float = 0.95) -> PairedTest:
    """Test whether two scores have the same AUC (DeLong et al., 1988; Sun and Xu, 2014).

    Args:
        positive: which rows are looked for (rows,); both kinds must be there, two of each.
        first: the first model's score (rows,).
        second: the second model's score (rows,).
        confidence: level of the interval.
    """
    hits, misses = int(positive.sum()), int((~positive).sum())
    if min(hits, misses) < 2:
        raise InvalidInput(f"DeLong's test needs two rows of each kind; got {hits} and {misses}")
    areas, above, below = [], [], []
    for score in (first, second):
        ranks = rankdata(score)
        # How many rows of the other kind each row beats, equal scores counting half.
        above.append((ranks[positive] - rankdata(score[positive])) / misses)
        below.append(1 - (ranks[~positive] - rankdata(score[~positive])) / hits)
        areas.append(above[-1].mean())
    spread = np.cov(above) / hits + np.cov(below) / misses
    difference = float(areas[0] - areas[1])
    error = float(np.sqrt(max(0.0, spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])))
    if error < 1e-12:
        p, half = float(abs(difference) < 1e-12), 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
        half = float(norm.ppf((1 + confidence) / 2) * error)
    return PairedTest(
        "DeLong",
        difference,
        p,
        (difference - half, difference + half),
        f"AUC {areas[0]:.3f} and {areas[1]:.3f}",
    )


def corrected_t(
    first: Any, second: Any, *, test_share: float, confidence: float = 0.95
) -> PairedTest:
    """Test the scores of two models on the same folds of repeated cross-validation.

    Folds share training rows, so their scores vary together; the variance is raised for it
    (Nadeau and Bengio, 2003).

    Args:
        first: the first model's score of each fold of each repetition.
        second: the second model's.
        test_share: share of the rows that a fold is tested on, such as 0.1 for ten folds.
        confidence: level of the interval.

    Raises:
        InvalidInput: there are fewer than two folds, or the share is out of range.
    """
    differences = np.ravel(np.asarray(first, dtype=np.float64) - np.asarray(second))
    count = len(differences)
    if count < 2 or not 0 < test_share < 1:
        raise InvalidInput(
            f"the corrected t-test needs two folds or more and a share between 0 and 1; got "
            f"{count} and {test_share}"
        )
    mean = float(differences.mean())
    error = float(np.sqrt(differences.var(ddof=1) * (1 / count + test_share / (1 - test_share))))
    if error == 0:
        p, half = float(mean == 0), 0.0
    else:
        p = float(2 * t.sf(abs(mean) / error, count - 1))
        half = float(t.ppf((1 + confidence) / 2, count - 1) * error)
    return PairedTest(
        "corrected t-test", mean, p, (mean - half, mean + half), f"scores of {count} folds"
    )


def bootstrap_p(differences: Floats) -> float:
    """Return the two-sided p-value of resampled differences: how often they cross zero."""
    known = differences[np.isfinite(differences)]
    below, above = (known <= 0).sum(), (known >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(known) + 1)))
