"""Steps: rows of a table that follow each other, seen as windows of the last few.

A window is laid out flat: the features of the oldest step first. Before a series began, its first
step is repeated, so that a young one has windows too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting.windows import histories

__all__ = ["last_window", "windows_of"]

Matrix = NDArray[np.float64]


def windows_of(
    matrix: Matrix, window: int, groups: Sequence[str] | None, times: Matrix | None
) -> Matrix:
    """Return the window that ends at each row (rows, window * features).

    Args:
        matrix: features of single steps (rows, features), float32 numbers.
        window: steps of a window.
        groups: which series each row belongs to; all belong to one where it is None.
        times: the order of the rows in a series; as they stand where it is None.

    Raises:
        InvalidInput: a moment stands twice in a series.
    """
    codes = np.zeros(len(matrix), dtype=np.int64)
    if groups is not None:
        codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    moments = np.arange(len(matrix), dtype=np.float64) if times is None else times
    order = np.lexsort((moments, codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(moments[order]) == 0)
    if same.any():
        where = "" if groups is None else f" of series {groups[int(order[int(same.argmax())])]!r}"
        raise InvalidInput(
            f"{int(same.sum())} moments stand twice in a series, the first at "
            f"{moments[order[int(same.argmax())]]:g}{where}; keep one row of each"
        )
    given = np.empty((len(matrix), window * matrix.shape[1]))
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        given[rows] = histories(matrix[rows], window)
    return given


def last_window(matrix: Matrix, window: int) -> Matrix:
    """Return the window at the end of one series (window * features,).

    Args:
        matrix: features of its steps (steps, features), oldest first.
        window: steps of a window.
    """
    steps = matrix[-window:]
    missing = window - len(steps)
    return np.concatenate([np.repeat(steps[:1], missing, axis=0), steps]).reshape(-1)
