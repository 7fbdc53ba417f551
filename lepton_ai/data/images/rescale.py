"""Stored numbers to the values they stand for: slope and intercept, exactly where that can be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rescale", "rescaled_type"]

_INTEGERS = tuple(np.dtype(name) for name in ("int16", "int32", "int64"))


def rescaled_type(
    stored: np.dtype[Any], lowest: int, highest: int, slope: float, intercept: float
) -> np.dtype[Any]:
    """Return the dtype of rescaled values.

    Whole slopes and intercepts keep integers exact: the stored dtype where the results fit, else
    the smallest of int16, int32 and int64 that holds ``lowest`` to ``highest`` rescaled.
    Else it is float32, or the stored dtype where that is floating point.
    """
    if stored.kind == "f" or (slope == 1 and intercept == 0):
        return stored
    if slope == int(slope) and intercept == int(intercept):
        ends = sorted(int(slope) * value + int(intercept) for value in (lowest, highest))
        for candidate in (stored, *_INTEGERS):
            limits = np.iinfo(candidate)
            if limits.min <= ends[0] and ends[1] <= limits.max:
                return candidate
    return np.dtype(np.float32)


def rescale(
    array: NDArray[Any], dtype: np.dtype[Any], slope: float, intercept: float
) -> NDArray[Any]:
    """Return ``array * slope + intercept`` in the dtype that `rescaled_type` gave.

    Floating-point results are computed in double precision and rounded once.
    """
    if slope == 1 and intercept == 0:
        return array.astype(dtype, copy=False)
    if dtype.kind == "f":
        scaled: NDArray[Any] = array * np.float64(slope) + np.float64(intercept)
        return scaled.astype(dtype)
    if slope == 1:
        # The result fits the dtype, so sums that wrap around on the way come out right.
        shift = np.array(int(intercept)).astype(dtype)
        moved: NDArray[Any] = np.add(array, shift, dtype=dtype, casting="unsafe")
        return moved
    whole: NDArray[Any] = array.astype(dtype) * dtype.type(slope) + dtype.type(intercept)
    return whole
