"""Types of a query's answer: intervals become durations, and what only DuckDB has is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lepton_ai.core.errors import InvalidInput

__all__ = ["check_types", "with_durations"]

# What no frame can hold, or what Arrow would hand over as bytes or as another number.
_REFUSED = frozenset(
    {"bignum", "bit", "geometry", "time with time zone", "uhugeint", "union", "variant"}
)
_NESTED = frozenset({"array", "list", "map", "struct"})
# As Arrow lays out an interval: its parts are no fixed times of one another.
_PARTS = np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")])
_DAY = 86_400_000_000


def check_types(columns: Sequence[str], types: Sequence[Any]) -> None:
    """Make sure that a frame can hold an answer.

    Raises:
        InvalidInput: a column's type is one that only DuckDB has.
    """
    for name, kind in zip(columns, types, strict=True):
        if kind.id in _REFUSED or any(_beyond(inner) for inner in _inside(kind)):
            raise InvalidInput(
                f"column {name!r} is of type {kind}, which a table cannot hold; cast it in the "
                "query: as text, cast(... as varchar), or as a number"
            )


def _beyond(kind: Any) -> bool:
    wrong = kind.id in _REFUSED or kind.id == "interval"
    return wrong or any(_beyond(inner) for inner in _inside(kind))


def _inside(kind: Any) -> list[Any]:
    if kind.id not in _NESTED:
        return []
    return [inner for name, inner in kind.children if name != "size"]


def with_durations(table: pa.Table) -> pa.Table:
    """Return a table with durations of microseconds in the place of intervals.

    Raises:
        InvalidInput: an interval counts months, which are not of one length.
    """
    for place, field in enumerate(table.schema):
        if field.type == pa.month_day_nano_interval():
            column = [_durations(field.name, chunk) for chunk in table.column(place).chunks]
            table = table.set_column(place, field.name, pa.chunked_array(column, pa.duration("us")))
    return table


def _durations(name: str, intervals: pa.Array) -> pa.Array:
    parts = np.frombuffer(intervals.buffers()[1] or b"", dtype=_PARTS)
    parts = parts[intervals.offset : intervals.offset + len(intervals)]
    known = intervals.is_valid().to_numpy(zero_copy_only=False)
    if parts["months"][known].any():
        raise InvalidInput(
            f"column {name!r} is an interval of months, which have no fixed length; take "
            "date_diff('month', ...) or the difference of the two times"
        )
    times = parts["days"].astype(np.int64) * _DAY + parts["nanoseconds"] // 1000
    return pa.array(times, pa.duration("us"), mask=~known)
