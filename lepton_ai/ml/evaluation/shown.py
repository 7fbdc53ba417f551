"""What a figure is called and how it is written; tables of text, whatever shows them."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lepton_ai.ml.evaluation.figures import Slices

__all__ = ["Columns", "Name", "between", "slices_shown", "written"]


class Name(Struct, frozen=True):
    """What a figure is called.

    Attributes:
        title: in words.
        better: ``higher``, ``lower``, or empty where neither is.
        percent: whether it is a share that is written in percent.
    """

    title: str
    better: str = "higher"
    percent: bool = False


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


def written(value: float | None, percent: bool = False) -> str:
    """Return a figure as people read it: three decimals, or four digits where it is large."""
    if value is None or math.isnan(value):
        return "-"
    if percent:
        return f"{100 * value:.1f} %"
    if value and (abs(value) >= 1000 or abs(value) < 0.001):
        return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"
    return f"{value:.3f}"


def between(ends: Sequence[float] | None, percent: bool = False) -> str:
    """Return an interval in words."""
    return "" if ends is None else f"{written(ends[0], percent)} to {written(ends[1], percent)}"


def slices_shown(found: Slices, names: Mapping[str, Name], chief: str) -> list[Columns]:
    """Return the table of a column's slices, and that of the differences between them."""
    first = next(iter(found.slices), None)
    known = [name for name in names if first is not None and name in first.figures]
    title = names[chief].title
    head = ["slice", "rows", title, "interval", *(names[n].title for n in known if n != chief)]
    lines = []
    for part in found.slices:
        rest = [written(part.figures[name], names[name].percent) for name in known if name != chief]
        value = written(part.figures.get(chief), names[chief].percent)
        ends = between(part.intervals.get(chief), names[chief].percent)
        mark = " (worst)" if part.value == found.worst else ""
        lines.append([part.value + mark, str(part.rows), value, ends, *rest])
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
