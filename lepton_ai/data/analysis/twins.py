"""Twins: columns that say the same as another one."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec.structs import replace

from lepton_ai.data.analysis.columns import numbers_of, shown
from lepton_ai.data.analysis.figures import ColumnProfile
from lepton_ai.data.analysis.measures import pearson_matrix, spearman

__all__ = ["with_twins"]

_LEAST = 20  # rows, for a claim about them
_SAME = 0.9999  # correlation of two numbers, of which one follows from the other


def with_twins(
    columns: Sequence[ColumnProfile], values: Sequence[pl.Series]
) -> list[ColumnProfile]:
    """Return the columns, with a note on each that follows from one before it.

    Args:
        values: some rows of each, the same ones.
    """
    found = _alike(columns, values) if values and values[0].len() >= _LEAST else {}
    return [
        replace(c, notes=(*c.notes, f"says the same as {columns[found[place]].name!r}"))
        if place in found
        else c
        for place, c in enumerate(columns)
    ]


def _alike(columns: Sequence[ColumnProfile], values: Sequence[pl.Series]) -> dict[int, int]:
    found: dict[int, int] = {}
    known = [place for place, c in enumerate(columns) if not c.constant and c.distinct is not None]
    numbers = [place for place in known if columns[place].kind == "number"]
    if numbers:
        matrix = pearson_matrix(np.column_stack([numbers_of(values[place]) for place in numbers]))
        for one, place in enumerate(numbers):
            near = np.flatnonzero(np.abs(matrix[one, :one]) > _SAME)
            twins = (numbers[at] for at in near if _follows(values[place], values[numbers[at]]))
            twin = next(twins, None)
            if twin is not None:
                found[place] = twin
    firsts: dict[bytes, int] = {}
    for place in known:
        if columns[place].kind == "number":
            continue
        text = shown(values[place])
        # Values that are numbered as they first occur are the same for every way to write them;
        # of values that hardly repeat that would be so by chance.
        if text.n_unique() <= text.len() / 2:
            text = text.rank("dense").cast(pl.String)
            _, first, codes = np.unique(
                text.fill_null("").to_numpy().astype(str), return_index=True, return_inverse=True
            )
            form = np.argsort(np.argsort(first))[codes].tobytes()
        else:
            form = repr(text.to_list()).encode()
        if firsts.setdefault(form, place) != place:
            found[place] = firsts[form]
    return found


def _follows(one: pl.Series, other: pl.Series) -> bool:
    a, b = numbers_of(one), numbers_of(other)
    # Two columns that a few far values stretch alike, such as 99999 for a gap, have other ranks.
    return np.array_equal(np.isnan(a), np.isnan(b)) and abs(spearman(a, b)) > _SAME
