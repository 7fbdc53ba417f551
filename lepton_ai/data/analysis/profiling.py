"""profile: what every column of a dataset holds."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.progress import track
from lepton_ai.data.analysis.describing import describe
from lepton_ai.data.analysis.figures import ColumnProfile
from lepton_ai.data.analysis.lines import aligned, figure, share_of, sparkline
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.data.analysis.twins import with_twins
from lepton_ai.storage import Workspace

__all__ = ["Profile", "profile"]

_VALUES_AT_ONCE = 8_000_000
_COMPARED = 5000  # rows by which columns are compared with each other
_SHOWN = 200  # columns of a terminal's table


class Profile(Result, frozen=True, eq=False):
    """What every column holds; it prints as a table.

    Attributes:
        rows: how many the dataset has.
        described: of how many rows the figures are; fewer where a sample stands for all.
    """

    rows: int
    described: int
    columns: tuple[ColumnProfile, ...]
    made_at: datetime

    def __getitem__(self, name: str) -> ColumnProfile:
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            names = [column.name for column in self.columns]
            raise InvalidInput(f"the profile has no column {name!r}; there are {names[:20]}")
        return found

    @property
    def missing(self) -> float:
        """The share of all cells that are missing."""
        cells = self.described * len(self.columns)
        return sum(column.missing for column in self.columns) / cells if cells else 0.0

    @property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """What to look at, by column; only columns that have something."""
        return {column.name: column.notes for column in self.columns if column.notes}

    @property
    def title(self) -> str:
        """The first line: what was described, and how much of it."""
        text = f"{self.subject}: {self.rows:,} rows, {len(self.columns):,} columns"
        text += f", {share_of(self.missing)} of the values missing"
        if self.described < self.rows:
            text += f"; figures of {self.sampled}"
        return text

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each column."""
        return pl.DataFrame([_flat(column) for column in self.columns], infer_schema_length=None)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the distributions, at most 24 of them; see `lepton_ai.data.analysis.plots`."""
        from lepton_ai.data.analysis.plots import distributions

        return distributions(self, path)

    def text(self) -> str:
        """Return what is printed."""
        head = ["column", "type", "missing", "distinct", "min", "median", "max", "values"]
        rows = [_line(column, self.described) for column in self.columns[:_SHOWN]]
        text = f"{self.title}\n\n{aligned(head, rows, numbers=(2, 3, 4, 5, 6))}"
        if len(self.columns) > _SHOWN:
            text += f"\nand {len(self.columns) - _SHOWN:,} more columns"
        notes = [[name, "; ".join(said)] for name, said in self.notes.items()][:_SHOWN]
        if notes:
            text += "\n\nTo look at\n"
            width = max(len(name) for name, _ in notes)
            text += "\n".join(f"  {name.ljust(min(width, 40))}  {said}" for name, said in notes)
        return text

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.cards import cards

        return cards(self)


def profile(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Profile:
    """Describe every column: type, gaps, different values, range, spread, commonest values.

    All rows are read, a few columns at a time, so that memory holds about eight million values of
    them and not the whole. Figures are exact.

    Args:
        data: a table, a dataset's name, a frame; see `lepton_ai.data.analysis.source.Source`.
        columns: only these.
        rows: at most so many, drawn at random; all unless given.
        seed: for that draw.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there are no such columns.
        NotFound: there is no such dataset.
    """
    source = Source(data, workspace)
    names = source.columns if columns is None else list(columns)
    source.check(names)
    note, described = f"all {source.rows:,} rows", source.rows
    series = _series(source, names)
    if rows is not None and rows < source.rows:
        sample = source.sample(rows, seed, names)
        note, described, series = sample.note, rows, iter(sample.frame)
    done, few = [], []
    for values in track(series, "describing columns", total=len(names)):
        done.append(describe(values, source.whole))
        few.append(values[:: max(1, described // _COMPARED)])
    found = with_twins(done, few)
    return Profile(source.name, note, source.rows, described, tuple(found), datetime.now(UTC))


def _series(source: Source, names: Sequence[str]) -> Iterator[pl.Series]:
    at_once = max(1, _VALUES_AT_ONCE // max(1, source.rows))
    for start in range(0, len(names), at_once):
        yield from source.read(names[start : start + at_once])


def _line(column: ColumnProfile, rows: int) -> list[str]:
    share = column.missing / rows if rows else 0.0
    low = middle = high = "-"
    bars = ""
    if column.numbers is not None:
        numbers = column.numbers
        low, high = figure(numbers.min), figure(numbers.max)
        middle = figure(numbers.quantiles.get(0.5))
        bars = sparkline(numbers.histogram.counts) if numbers.histogram else ""
    elif column.dates is not None:
        low, high = f"{column.dates.first:%Y-%m-%d}", f"{column.dates.last:%Y-%m-%d}"
        bars = sparkline(column.dates.histogram.counts) if column.dates.histogram else ""
    else:
        known = max(1, column.rows - column.missing)
        bars = ", ".join(f"{v.value} {v.count / known:.0%}" for v in column.top[:3])
        if column.top and column.top[0].count == 1:
            bars = "each once, such as " + ", ".join(v.value for v in column.top[:2])
    distinct = "-" if column.distinct is None else f"{column.distinct:,}"
    gaps = share_of(share) if column.missing else ""
    return [column.name, column.type.partition("(")[0], gaps, distinct, low, middle, high, bars]


def _flat(column: ColumnProfile) -> dict[str, Any]:
    numbers, texts, dates = column.numbers, column.texts, column.dates
    return {
        "column": column.name,
        "type": column.type,
        "kind": column.kind,
        "rows": column.rows,
        "missing": column.missing,
        "distinct": column.distinct,
        "min": None if numbers is None or numbers.min is None else float(numbers.min),
        "mean": None if numbers is None else numbers.mean,
        "median": None if numbers is None else numbers.quantiles.get(0.5),
        "max": None if numbers is None or numbers.max is None else float(numbers.max),
        "std": None if numbers is None else numbers.std,
        "zeros": None if numbers is None else numbers.zeros,
        "first": None if dates is None else dates.first,
        "last": None if dates is None else dates.last,
        "longest": None if texts is None else texts.longest,
        "most_frequent": column.top[0].value if column.top else None,
        "frequency": column.top[0].count if column.top else None,
        "notes": "; ".join(column.notes),
    }
