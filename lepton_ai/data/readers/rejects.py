"""Rejects: rows of a file that do not fit, each with its line and the reason."""

from collections import Counter

import polars as pl
from msgspec import Struct

__all__ = ["REJECTED", "Rejects"]

# What the dataset of rejected rows holds.
REJECTED = {"line": pl.Int64(), "reason": pl.String(), "text": pl.String()}

# Of a rejected line, so many characters are kept.
_TEXT = 2000


class Rejects(Struct):
    """What was rejected so far.

    Attributes:
        rows: line number from 1, reason, and the line's text, cut after 2,000 characters.
    """

    rows: list[tuple[int, str, str]] = []

    def add(self, line: int, reason: str, text: str) -> None:
        """Reject a row that begins at a line."""
        # Bytes that are no text came as lone surrogates; they are shown as \\udcxx.
        shown = text[:_TEXT].encode("utf-8", "backslashreplace").decode()
        self.rows.append((line, reason, shown.replace("\0", "\\0")))

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
