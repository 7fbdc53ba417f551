"""What a figure is called and how it is written; tables of text, whatever shows them."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lepton_ai.ml.evaluation.figures import Slices

__all__ = ["Columns", "Name", "between", "printable", "slices_shown", "written"]

_COLUMNS = 5
_SHOWN = 0.001  # the least that three decimals show
_NOISE = 1e-12  # what sums of rounded numbers leave of nothing


class Name(Struct, frozen=True):
    """What a figure is called.

    Attributes:
        title: in words.
        better: ``higher``, ``lower``, or empty where neither is.
        percent: whether it is a share that is written in percent.
        short: in a table with many columns, where that is not the title.
    """

    title: str
    better: str = "higher"
    percent: bool = False
    short: str = ""

    @property
    def head(self) -> str:
        """What a column of it is called."""
        return self.short or self.title


class Columns(Struct, frozen=True):
    """A table of text.

    Attributes:
        title: what it shows.
        numbers: the places of the columns that hold numbers.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()


def written(value: float | None, percent: bool = False, beside: float | None = None) -> str:
    """Return a figure as people read it: three decimals, or four digits where it is large.

    Args:
        beside: the figure it is read with; where that has three decimals, a tiny one is 0.000.
    """
    if value is None or math.isnan(value):
        return "-"
    if percent:
        return f"{100 * value:.1f} %"
    if abs(value) < _SHOWN and (abs(value) < _NOISE or abs(beside or 0) >= _SHOWN):
        return "0.000"
    if value and (abs(value) >= 1000 or abs(value) < _SHOWN):
        return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"
    return f"{value:.3f}"


def between(
    ends: Sequence[float] | None, percent: bool = False, beside: float | None = None
) -> str:
    """Return an interval in words, as `written` writes its ends."""
    if ends is None:
        return ""
    largest = max(abs(ends[0]), abs(ends[1]), abs(beside or 0))
    return " to ".join(written(end, percent, largest) for end in ends)


def printable(text: str) -> str:
    """Return a text that steers no terminal: names come from data and from people."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def slices_shown(
    found: Slices, names: Mapping[str, Name], sliced: Mapping[str, Name], chief: str
) -> list[Columns]:
    """Return the table of a column's slices, and that of the differences between them.

    Args:
        found: the slices.
        names: of the figures; the first few are shown.
        sliced: of the figures that only slices have; all are shown.
        chief: the figure that is shown first, with its interval.
    """
    every = {**names, **sliced}
    measured = {name for part in found.slices for name in part.figures}
    rest = [name for name in names if name in measured and name != chief][:_COLUMNS]
    rest += [name for name in sliced if name in measured]
    head = ["slice", "rows", every[chief].head, "interval", *(every[name].head for name in rest)]
    lines = [
        [
            part.value + (" (worst)" if part.value == found.worst else ""),
            str(part.rows),
            written(part.figures.get(chief), every[chief].percent),
            between(part.intervals.get(chief), every[chief].percent),
            *(written(part.figures.get(name), every[name].percent) for name in rest),
        ]
        for part in found.slices
    ]
    gaps = [
        [item.name, item.highest, item.lowest, written(item.value), between(item.interval)]
        for item in found.differences
    ]
    return [
        Columns(f"By {found.column}", head, lines, range(1, len(head))),
        Columns(
            f"Differences between slices of {found.column}",
            ["difference in", "highest", "lowest", "difference", "interval"],
            gaps,
            (3, 4),
        ),
    ]
