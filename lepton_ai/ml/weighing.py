"""Weighing: what each row counts where classes are rare. A leaf."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["even"]

Matrix = NDArray[np.float64]


def even(weights: Matrix | None, codes: NDArray[Any]) -> Matrix:
    """Return weights by which each class weighs the same in all; their sum stays.

    Args:
        weights: of the rows; 1 unless given. Those of each class sum to more than 0.
        codes: the class of each row, counted from 0.
    """
    known = np.ones(len(codes)) if weights is None else weights
    total = np.bincount(codes, known)
    share = total.sum() / np.count_nonzero(total)
    factors = np.divide(share, total, out=np.zeros_like(total), where=total > 0)
    shared: Matrix = known * factors[codes]
    return shared
