"""Stored numbers to the values they stand for: slope and intercept, exactly where that can be."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_type", "rescale", "rescaled_type"]

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


def common_type(types: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the dtype in which slices that are rescaled differently form one volume.

    Whole numbers that meet fractions become float32, as they would alone.
    """
    several = set(types)
    if any(dtype.kind == "f" for dtype in several):
        return np.dtype(np.float64 if np.dtype(np.float64) in several else np.float32)
    return np.result_type(*several)


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
