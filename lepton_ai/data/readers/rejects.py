"""Rejects: rows of a file that do not fit, each with its line and the reason."""

from collections import Counter

import polars as pl
from msgspec import Struct, field

__all__ = ["REJECTED", "Rejects"]

# What the dataset of rejected rows holds.
REJECTED = {"line": pl.Int64(), "reason": pl.String(), "text": pl.String()}

# Of a rejected line, so many characters are kept.
_TEXT = 2000


class Rejects(Struct):
    """What was rejected so far.

    Attributes:
        keep: the other rows are to be kept; else one reject refuses the file in the end.
        rows: line number from 1, reason, and the line's text, cut after 2,000 characters.
    """

    keep: bool = False
    rows: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, line: int, reason: str, text: str) -> None:
        """Reject a row that begins at a line."""
        # Bytes that are no text came as lone surrogates; they are shown as \\udcxx.
        shown, why = (
            part.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
            for part in (text[:_TEXT], reason)
        )
        self.rows.append((line, why, shown))

    def frame(self) -> pl.DataFrame:
        """Return the rejected rows in the order of their lines."""
        return pl.DataFrame(sorted(self.rows), schema=REJECTED, orient="row")

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        counts = Counter(reason.partition(":")[0] for _, reason, _ in self.rows).most_common(5)
        told = ", ".join(f"{count:,} {reason}" for reason, count in counts)
        first = "; ".join(f"line {line}: {reason}" for line, reason, _ in sorted(self.rows)[:3])
        return f"{told} (first: {first})"
