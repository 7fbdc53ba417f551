"""Logs: lines of text by a pattern with named groups; lines that do not fit are rejected."""

from collections.abc import Mapping

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.kinds import typed
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["PATTERNS", "read_log"]

# Named patterns; Polars matches them by automata, in time that is linear in the length of a line.
PATTERNS = {
    # The common log format of web servers.
    "common": r'^(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" '
    r"(?P<status>\d{3}) (?P<bytes>\d+|-)\s*$",
    # The same with where the reader came from, and with what.
    "combined": r'^(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)"\s*$',
    # RFC 3164.
    "syslog": r"^(?:<(?P<priority>\d{1,3})>)?(?P<time>[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}) "
    r"(?P<host>\S+) (?P<program>[^:\[\s]+)(?:\[(?P<pid>\d+)\])?: (?P<message>.*)$",
    # RFC 5424.
    "syslog5424": r"^<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<program>\S+) "
    r"(?P<pid>\S+) (?P<id>\S+) (?P<data>-|(?:\[.*?\])+) ?(?P<message>.*)$",
    # Python's logging and many others: time, level, message.
    "plain": r"^(?P<time>\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\S*) +\[?"
    r"(?P<level>[A-Za-z]+)\]?:? (?P<message>.*)$",
}
_MISSING = {"", "-"}


def read_log(
    data: bytes,
    *,
    pattern: str,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> tuple[pl.DataFrame, Rejects]:
    """Read a line as a row, by a pattern.

    Args:
        pattern: a name of `PATTERNS`, or a regular expression (Rust's syntax, without look-around)
            with named groups, which become the columns.
        types: of columns where values do not tell; names of `readers.kinds.TYPES`.

    Raises:
        InvalidInput: the pattern is no expression, or names no group.
        ValueError: no line fits it.
    """
    expression = PATTERNS.get(pattern, pattern)
    lines = data.decode(encoding, "surrogateescape").splitlines()
    # What cannot be text is rejected below, and a lone surrogate cannot enter a column.
    clean = [line if line.isprintable() or _is_text(line) else None for line in lines]
    column = pl.Series("line", clean, dtype=pl.String)
    try:
        groups = (
            column.to_frame().select(pl.col("line").str.extract_groups(expression)).unnest("line")
        )
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            f"{pattern!r} is no pattern: {error}; use one of {list(PATTERNS)}, or a regular "
            "expression with named groups"
        ) from error
    if not groups.columns or all(name.isdigit() for name in groups.columns):
        raise InvalidInput(f"the pattern {pattern!r} names no group; write (?P<name>...)")
    fits = pl.select(pl.lit(column).str.contains(expression).fill_null(value=False)).to_series()
    rejects = Rejects()
    for place in (~fits).arg_true():
        if lines[place].strip():
            reason = "not text" if clean[place] is None else "does not fit the pattern"
            rejects.add(place + 1, reason, lines[place])
    if not fits.any():
        raise ValueError(f"no line of it fits the pattern {pattern!r}")
    rows = groups.filter(fits).with_columns(
        pl.when(pl.all().is_in([*_MISSING])).then(None).otherwise(pl.all()).name.keep()
    )
    where = [int(place) + 1 for place in fits.arg_true()]
    return typed(rows, where, [lines[n - 1] for n in where], types or {}, rejects), rejects


def _is_text(line: str) -> bool:
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in line)
