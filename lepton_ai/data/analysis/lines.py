"""Lines: figures as aligned text, for terminals."""

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

__all__ = ["aligned", "figure", "share_of", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDEST = 40


def aligned(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int] = (),
    widest: int = _WIDEST,
) -> str:
    """Return rows as columns of text.

    Args:
        head: what each column is.
        rows: the cells; what does not print is left out, long ones are cut.
        numbers: the places of the columns that stand to the right.
        widest: characters of a cell.
    """
    table = [[_plain(cell, widest) for cell in row] for row in (head, *rows)]
    widths = [max(_wide(row[place]) for row in table) for place in range(len(head))]
    lines = []
    for row in table:
        blanks = [" " * (most - _wide(cell)) for cell, most in zip(row, widths, strict=True)]
        cells = [
            blank + cell if place in numbers else cell + blank
            for place, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Return a number as people read it: whole ones whole, others with four digits."""
    if value is None:
        return "-"
    if abs(value) < 1e15 and value == int(value):
        return f"{int(value):,}"
    if 1e3 <= abs(value) < 1e9:
        return f"{value:,.1f}" if abs(value) >= 1e4 else f"{value:,.0f}"
    return f"{value:.4g}"


def share_of(part: float) -> str:
    """Return a share as people read it; one that is not zero never looks like it."""
    return "none" if not part else "<0.1%" if part < 0.001 else f"{part:.1%}"


def sparkline(counts: Sequence[int]) -> str:
    """Return counts as a row of bars; one that is not zero always shows."""
    most = max(counts, default=0)
    if not most:
        return ""
    return "".join(
        " " if not count else _BLOCKS[min(7, (count * 8 - 1) // most)] for count in counts
    )


def _wide(text: str) -> int:
    """Return how many cells of a terminal a text takes: signs of East Asia take two."""
    return sum(2 if east_asian_width(mark) in "FW" else not combining(mark) for mark in text)


def _plain(text: str, widest: int) -> str:
    shown = "".join(mark if mark.isprintable() else "?" for mark in text)
    return shown if len(shown) <= widest else f"{shown[: widest - 1]}…"
