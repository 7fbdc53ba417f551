"""How commands speak: aligned tables for people, JSON for machines."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lepton_ai.apps.cli.narrow import WIDEST, fitted

__all__ = ["as_json", "console", "plain", "print_json", "print_rows", "print_table", "size", "when"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def console() -> Console:
    """Return a console on standard output; colours only where a terminal shows them."""
    # Piped output must not be wrapped at the width of a terminal that is not there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def print_json(value: Any) -> None:
    """Print one JSON document, indented."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    click.echo(text.decode())


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    empty: str,
    columns: Iterable[str] = (),
    spoken: bool = False,
) -> None:
    """Print a listing.

    Args:
        rows: one mapping a row, all with the same keys.
        as_json: print the rows as a JSON list instead of a table.
        empty: what to say, and what to do next, when there are no rows.
        columns: the keys to show in the table; all of them unless said.
        spoken: write the keys above the table as words, served as for served_as.
    """
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        click.echo(empty)
        return
    shown = list(columns) or list(rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        numeric = all(isinstance(row[column], int | float) for row in rows)
        table.add_column(
            column.replace("_", " ") if spoken else column,
            justify="right" if numeric else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in shown))
    print_table(table)


def print_table(table: Any) -> None:
    """Print a table of rich, or what holds some, without the blanks that pad its last cells."""
    output, left = console(), list[str]()
    if sys.stdout.isatty():
        table, left = fitted(table, output)
    else:
        output.width = WIDEST
    with output.capture() as captured:
        output.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())
    if left:
        names = ", ".join(dict.fromkeys(left))
        click.echo(f"Left out for lack of room: {names}; a wider terminal, or a file, has them.")


def size(count: int) -> str:
    """Return a number of bytes as people read it, such as 1.5 MB."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.95 or unit == "TB":
            break
    return f"{amount:,.1f} {unit}"


def when(moment: datetime) -> str:
    """Return a moment in the reader's own time zone, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plain(text: str) -> str:
    """Return a text to stand in rich's markup: a file's name is no markup, steers no terminal."""
    shown = (mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)
    return escape("".join(shown))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, float):
        return f"{value:.3f}" if not value or 1e-3 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return plain(", ".join(map(str, value)))
    return plain(str(value))
