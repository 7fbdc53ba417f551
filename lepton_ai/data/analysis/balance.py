"""class_balance: how many rows each class of the target has."""

import os
from html import escape
from typing import Any

import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.columns import shown
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.analysis.measures import entropy
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Balance", "ClassShare", "class_balance"]

_MOST = 1000
_RARE = 10


class ClassShare(Struct, frozen=True):
    """A class, its rows and its share of the rows that have one."""

    label: str
    rows: int
    share: float


class Balance(Result, frozen=True, eq=False):
    """How even the classes are.

    Attributes:
        classes: the most frequent first.
        missing: rows without a class.
        ratio: rows of the most frequent class for each of the rarest.
        evenness: entropy as a share of the most there can be: 1 where all are as frequent.
        notes: what to look at, in words.
    """

    target: str
    classes: tuple[ClassShare, ...]
    missing: int
    ratio: float
    evenness: float
    notes: tuple[str, ...]

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each class."""
        rows = [(item.label, item.rows, item.share) for item in self.classes]
        schema = {"class": pl.String, "rows": pl.Int64, "share": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the shares as bars."""
        from lepton_ai.data.analysis.plots import bars

        names, rows = [c.label for c in self.classes], [c.rows for c in self.classes]
        return bars(names, rows, f"classes of {self.target}", "rows", path)

    def cells(self) -> list[list[str]]:
        """Return the rows of the table that is printed."""
        return [[item.label, f"{item.rows:,}", f"{item.share:.1%}"] for item in self.classes[:50]]

    def text(self) -> str:
        """Return what is printed."""
        table = aligned(["class", "rows", "share"], self.cells(), numbers=(1, 2))
        notes = "".join(f"\n  {note}" for note in self.notes)
        return f"{self.subject}, classes of {self.target!r}\n\n{table}{notes}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        shares = table(["class", "rows", "share"], self.cells(), numbers=(1, 2))
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return shares + notes + picture(self.plot())


def class_balance(data: Any, target: str, *, workspace: Workspace | None = None) -> Balance:
    """Count the rows of each class; all rows are read.

    Args:
        data: a table, a dataset's name, a frame.
        target: the column of classes.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there is no such column, it has no value, or over 1,000 different ones.
    """
    source = Source(data, workspace)
    source.check([target])
    values = shown(source.read([target])[target]).rename("label")
    known = values.drop_nulls()
    counts = known.value_counts(name="rows").sort(["rows", "label"], descending=[True, False])
    if not 0 < counts.height <= _MOST:
        raise InvalidInput(
            f"target={target!r} has {counts.height:,} different values, so they are no classes; "
            "cut a number into ranges first, or see target_associations"
        )
    total = known.len()
    items = tuple(ClassShare(label, rows, rows / total) for label, rows in counts.iter_rows())
    most = entropy(pl.Series([1] * len(items)).to_numpy())
    return Balance(
        subject=source.name,
        sampled=f"all {source.rows:,} rows",
        target=target,
        classes=items,
        missing=values.len() - total,
        ratio=items[0].rows / items[-1].rows,
        evenness=entropy(counts["rows"].to_numpy()) / most if most else 0.0,
        notes=_notes(items, values.len() - total),
    )


def _notes(items: tuple[ClassShare, ...], missing: int) -> tuple[str, ...]:
    notes = []
    if len(items) == 1:
        notes.append("there is one class only: nothing can be learned")
    first, last = items[0], items[-1]
    if len(items) > 1 and first.rows > 10 * last.rows:
        notes.append(
            f"{first.label!r} is {first.rows / last.rows:,.0f} times as frequent as "
            f"{last.label!r}: always saying {first.label!r} is right in {first.share:.1%}, so "
            "judge a model by balanced accuracy or AUC, not by accuracy"
        )
    rare = [item.label for item in items if item.rows < _RARE]
    if rare:
        shown_ = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
        notes.append(f"fewer than {_RARE} rows: {shown_}")
    if missing:
        notes.append(f"{missing:,} rows have no class")
    return tuple(notes)
