"""Doubts: what in the columns of a table makes a model useless or too good, told by a warning."""

import json
import warnings
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.leakage import leakage_suspects
from lepton_ai.data.columns import texts
from lepton_ai.data.table import Table
from lepton_ai.ml.examples import Examples

__all__ = ["DoubtfulData", "doubts_of"]

# Fewer rows are in some order by chance.
_FEW = 20
# What is looked at for columns that give the target away takes a moment, however large the table.
_ROWS, _CELLS = 10_000, 1_000_000
_NAMED = 8


class DoubtfulData(UserWarning):
    """A column teaches nothing, or tells what is to be predicted."""


def doubts_of(examples: Examples, used: Collection[str]) -> tuple[str, ...]:
    """Return what is doubtful in the columns of a table; what is certain is warned of too.

    Told are columns without any value or with one only, columns that say the same as the target in
    other words, and whole numbers, different in each row, by which the rows are sorted by class
    (`DoubtfulData`). Of the columns that the model uses, those that `leakage_suspects` finds are
    told, but not warned of: they may be as good as they look. Nor is it where rows are few.
    """
    target: Any = examples.labels if len(examples.labels) else examples.values
    columns = examples.columns or {}
    said = {name: _said(column, target) for name, column in columns.items()}
    found = tuple(
        f"column {name!r} {how}; leave it out: kinds={{{name!r}: 'skip'}}"
        for name, how in said.items()
        if how
    )
    for doubt in found:
        warnings.warn(doubt, DoubtfulData, stacklevel=2)
    if target is not None and 0 < len(target) < _FEW:
        found += (
            f"{len(target)} rows were learned from: at that size no figure of the model means "
            f"anything; train on {_FEW} rows or more",
        )
    return found + _telling(examples, [name for name in used if not said.get(name)])


def _telling(examples: Examples, names: list[str]) -> tuple[str, ...]:
    """Return one doubt about all columns that may give the target away, if there are any."""
    table = examples.dataset
    if not isinstance(table, Table) or examples.target is None:
        return ()
    rows = min(_ROWS, max(_FEW, _CELLS // len(table.columns)))
    suspects: list[str] = []
    # A target that the analysis has no measure for is no reason not to train.
    with suppress(InvalidInput):
        found = leakage_suspects(table, examples.target, rows=rows).suspects
        every = dict.fromkeys(each.column for each in found if each.severity != "hint")
        suspects = [name for name in every if name in names]
    if not suspects:
        return ()
    more = f" and {len(suspects) - _NAMED} more" if len(suspects) > _NAMED else ""
    left = dict.fromkeys(suspects[:_NAMED], "skip")
    return (
        f"may give the target away: {', '.join(map(repr, left))}{more}; `lepton analyse "
        f"{table.ref} --target {examples.target!r}` tells why. Leave out what is not known before "
        f"the outcome: kinds={left}, or --set kinds='{json.dumps(left)}'",
    )


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
