"""Doubts: what in the columns of a table makes a model useless or too good, told by a warning."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.columns import texts
from lepton_ai.ml.examples import Examples

__all__ = ["DoubtfulData", "doubts_of"]

# Fewer rows are in some order by chance.
_FEW = 20


class DoubtfulData(UserWarning):
    """A column teaches nothing, or tells what is to be predicted."""


def doubts_of(examples: Examples) -> tuple[str, ...]:
    """Return what is doubtful in the columns of a table, and warn of each (`DoubtfulData`).

    Told are columns without any value or with one only, columns that say the same as the target in
    other words, and whole numbers, different in each row, by which the rows are sorted by class.
    """
    target: Any = examples.labels if len(examples.labels) else examples.values
    found = tuple(
        f"column {name!r} {said}; leave it out: kinds={{{name!r}: 'skip'}}"
        for name, column in (examples.columns or {}).items()
        if (said := _said(column, target))
    )
    for doubt in found:
        warnings.warn(doubt, DoubtfulData, stacklevel=2)
    return found


def _said(column: NDArray[Any], target: NDArray[Any] | None) -> str:
    written = np.array([str(value) for value in texts(column)])
    values = {value for value in texts(column) if value is not None}
    if not values:
        return "has no value in any row"
    if len(values) == 1 and None not in texts(column):
        return f"has the value {next(iter(values))} in every row"
    if target is None or len(target) < _FEW:
        return ""
    if target.dtype.kind == "f":
        same = column.dtype.kind == "f" and _straight(column, target)
        return "says the same as the target, on another scale" if same else ""
    pairs = set(zip(written.tolist(), target.tolist(), strict=True))
    if len(pairs) == len(values) == len(set(target.tolist())):
        return "says the same as the target, in other words"
    sorts = column.dtype.kind == "f" and len(values) == len(column) and (column % 1 == 0).all()
    if sorts and _changes(target[np.argsort(column)]) < len(set(target.tolist())):
        return "is a number of the row, and the rows are sorted by class: it tells the class"
    return ""


def _straight(column: NDArray[np.float64], target: NDArray[np.float64]) -> bool:
    """Tell whether one is a straight line of the other."""
    if not np.isfinite(column).all():
        return False
    return bool(abs(np.corrcoef(column, target)[0, 1]) > 1 - 1e-12)


def _changes(labels: NDArray[Any]) -> int:
    return int((labels[1:] != labels[:-1]).sum())
