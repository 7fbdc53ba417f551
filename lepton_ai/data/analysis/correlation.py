"""correlations: how strongly each column goes with each other."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.columns import Column, LeftOut, usable
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.analysis.measures import (
    contingency,
    correlation_ratio,
    cramers_v,
    entropy,
    mutual_information,
    pearson_matrix,
    ranks,
    spearman,
    titled,
)
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Correlations", "Method", "Pair", "correlations"]

Method = Literal[
    "mixed", "pearson", "spearman", "cramer", "correlation ratio", "mutual information"
]
_METHODS = Method.__args__  # type: ignore[attr-defined]
_MOST = 1000


class Pair(Struct, frozen=True):
    """Two columns and how strongly they go together."""

    a: str
    b: str
    measure: str
    value: float


class Correlations(Result, frozen=True, eq=False):
    """A measure for each pair of columns; it prints the strongest.

    Attributes:
        method: which measure.
        columns: the names, in the order of the matrix.
        numeric: whether each column is one of numbers or dates.
        matrix: float64 (columns, columns), NaN where the measure is not defined.
        left_out: columns that were not measured, and why.
    """

    method: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    matrix: NDArray[np.float64]
    left_out: tuple[LeftOut, ...]

    def __getitem__(self, pair: tuple[str, str]) -> float:
        places = [self._place(name) for name in pair]
        return float(self.matrix[places[0], places[1]])

    def _place(self, name: str) -> int:
        if name not in self.columns:
            raise InvalidInput(f"{name!r} was not measured; there are {list(self.columns[:20])}")
        return self.columns.index(name)

    def strongest(self, count: int = 20) -> list[Pair]:
        """Return the pairs that go together most, the strongest first."""
        above = np.triu(np.ones(self.matrix.shape, dtype=bool), 1) & ~np.isnan(self.matrix)
        rows, columns = np.nonzero(above)
        strength = np.abs(self.matrix[rows, columns])
        order = np.argsort(-strength, kind="stable")[:count]
        return [self._pair(int(rows[at]), int(columns[at])) for at in order]

    def _pair(self, a: int, b: int) -> Pair:
        measure = self.method
        if measure == "mixed":
            measure = _measure(self.numeric[a], self.numeric[b])
        return Pair(self.columns[a], self.columns[b], measure, float(self.matrix[a, b]))

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each column, and a column for each."""
        frame = pl.DataFrame(self.matrix, schema=list(self.columns), orient="row")
        names = pl.Series(_free("column", self.columns), self.columns, pl.String)
        return frame.insert_column(0, names)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the matrix."""
        from lepton_ai.data.analysis.plots import heat_map

        return heat_map(self, path)

    def text(self) -> str:
        """Return what is printed."""
        rows = [[p.a, p.b, titled(p.measure), f"{p.value:.3f}"] for p in self.strongest()]
        table = aligned(["column", "column", "measure", "value"], rows, numbers=(3,))
        return f"{self.subject}, {self.sampled}\n\n{table}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        return table(["column", "column", "measure", "value"], [
            [p.a, p.b, titled(p.measure), f"{p.value:.3f}"] for p in self.strongest()
        ]) + picture(self.plot())  # fmt: skip


def correlations(
    data: Any,
    method: Method = "mixed",
    *,
    columns: Sequence[str] | None = None,
    rows: int = 100_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Correlations:
    """Measure how strongly each column goes with each other.

    ``mixed`` takes Spearman's rank correlation for two columns of numbers or dates, Cramer's V for
    two of categories, and the correlation ratio for one of each, both without their bias. The
    others measure the columns they are made for: ``pearson`` and ``spearman`` numbers and dates,
    ``cramer`` categories, ``correlation ratio`` one of each. ``mutual information`` takes any,
    numbers in ten bins, as a share of the smaller entropy: 0 to 1. Rows that lack one of the two
    values are left out of a pair.

    Args:
        data: a table, a dataset's name, a frame.
        method: the measure.
        columns: only these; at most 1,000.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there are too many columns, or none that fit the measure.
    """
    if method not in _METHODS:
        raise InvalidInput(f"method={method!r} is no measure; choose one of {list(_METHODS)}")
    source = Source(data, workspace)
    names = source.columns if columns is None else list(columns)
    if len(names) > _MOST:
        raise InvalidInput(
            f"a matrix of {len(names):,} columns is too large to look at; name at most {_MOST:,}: "
            "correlations(data, columns=[...])"
        )
    sample = source.sample(rows, seed, names)
    found, left = usable(sample.frame, source.whole)
    if method in ("pearson", "spearman", "cramer"):
        wanted = method != "cramer"
        left += tuple(
            LeftOut(c.name, f"holds {'categories' if wanted else 'numbers'}")
            for c in found
            if c.numeric != wanted
        )
        found = [c for c in found if c.numeric == wanted]
    if not found:
        why = "; ".join(f"{item.column} {item.reason}" for item in left[:5])
        raise InvalidInput(f"no column of {source.name} can be measured by {method!r}: {why}")
    return Correlations(
        subject=source.name,
        sampled=sample.note,
        method=method,
        columns=tuple(column.name for column in found),
        numeric=tuple(column.numeric for column in found),
        matrix=_matrix(found, method),
        left_out=left,
    )


def _matrix(columns: Sequence[Column], method: Method) -> NDArray[np.float64]:
    matrix = np.full((len(columns), len(columns)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    numeric = [place for place, column in enumerate(columns) if column.numeric]
    if numeric and method in ("mixed", "pearson", "spearman"):
        matrix[np.ix_(numeric, numeric)] = _numbers(
            [columns[place].numbers for place in numeric], rank=method != "pearson"
        )
        np.fill_diagonal(matrix, 1.0)
    if method in ("pearson", "spearman"):
        return matrix
    for a, first in enumerate(columns):
        for b in range(a):
            second = columns[b]
            if method == "mutual information":
                value = _shared(first, second)
            elif first.numeric and second.numeric:
                continue
            elif first.numeric != second.numeric:
                category, number = (second, first) if first.numeric else (first, second)
                value = correlation_ratio(category.codes, number.numbers)
            elif method == "correlation ratio":
                continue
            else:
                value = cramers_v(contingency(first.codes, second.codes))
            matrix[a, b] = matrix[b, a] = value
    return matrix


def _numbers(columns: Sequence[NDArray[np.float64]], *, rank: bool) -> NDArray[np.float64]:
    if not rank:
        return pearson_matrix(np.column_stack(columns))
    matrix = pearson_matrix(np.column_stack([ranks(column) for column in columns]))
    gaps = [bool(np.isnan(column).any()) for column in columns]
    for a, first in enumerate(columns):
        for b in range(a):
            # Ranks are those among the rows that both have.
            if gaps[a] or gaps[b]:
                matrix[a, b] = matrix[b, a] = spearman(first, columns[b])
    return matrix


def _shared(a: Column, b: Column) -> float:
    table = contingency(a.codes, b.codes)
    if min(table.shape) < 2:
        return float("nan")
    least = min(entropy(table.sum(axis=1)), entropy(table.sum(axis=0)))
    return min(1.0, mutual_information(table) / least)


def _measure(a: bool, b: bool) -> str:
    return "spearman" if a and b else "correlation ratio" if a or b else "cramer"


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
