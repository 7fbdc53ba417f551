"""Tables on a narrow terminal: no row wraps, columns give way, names never do."""

from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.measure import Measurement
from rich.protocol import rich_cast
from rich.table import Column, Table
from rich.text import Text

__all__ = ["WIDEST", "fitted"]

# What a row can be understood without, the least important first.
_SPARED = ("description", "parameters", "tags", "owner", "created", "changed", "since")
_NAMES = frozenset({"model", "dataset", "endpoint", "recipe", "candidate", "prediction"})
_NARROWEST = 12
# Columns of output that no terminal shows: nothing is cut or wrapped.
WIDEST = 100_000


def fitted(shown: Any, output: Console) -> tuple[Any, list[str]]:
    """Make the tables in what is to be printed fit; return it and the columns left out."""
    cast = rich_cast(shown)
    parts = cast.renderables if isinstance(cast, Group) else [cast]
    left = [name for part in parts if isinstance(part, Table) for name in _fit(part, output)]
    return cast, left


def _fit(table: Table, output: Console) -> list[str]:
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    left = []
    for column in sorted(table.columns[1:], key=_rank):
        over = _wide(table, output) - output.width
        if over <= 0:
            break
        if _header(column) in _NAMES:
            continue
        kept = _width(column) - over
        if kept >= _NARROWEST and _is_prose(column):
            column.max_width = kept
            break
        left.append(_header(column))
        table.columns.remove(column)
    # Wider than the terminal still: the terminal wraps a name, which may then be copied whole.
    output.width = max(output.width, _wide(table, output))
    return left


def _wide(table: Table, output: Console) -> int:
    options = output.options.update(width=WIDEST)
    return Measurement.get(output, options, table).maximum


def _rank(column: Column) -> tuple[int, int]:
    """Order columns by what can be missed: those known, then the widest prose, then the last."""
    name = _header(column)
    if name in _SPARED:
        return 0, _SPARED.index(name)
    return (1, -_width(column)) if _is_prose(column) else (2, -column._index)


def _is_prose(column: Column) -> bool:
    return any(" " in str(cell) for cell in column.cells)


def _width(column: Column) -> int:
    return max(
        cell_len(Text.from_markup(str(cell)).plain) for cell in [column.header, *column.cells]
    )


def _header(column: Column) -> str:
    return Text.from_markup(str(column.header)).plain
