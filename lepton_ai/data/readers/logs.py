"""Logs: lines of text by a pattern with named groups; lines that do not fit are rejected."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.blocks import Block, blocks, lines_of
from lepton_ai.data.readers.kinds import Part, Rows, typed_frames
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
    file: BinaryIO,
    rejects: Rejects,
    *,
    pattern: str,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read a line as a row, by a pattern.

    Args:
        pattern: a name of `PATTERNS`, or a regular expression (Rust's syntax, without look-around)
            with named groups, which become the columns.
        encoding: of the text; a byte order mark overrules UTF-8.
        types: of columns where values do not tell; names of `readers.kinds.TYPES`.

    Raises:
        InvalidInput: the pattern is no expression, or names no group.
        ValueError: no line fits it.
    """
    expression = PATTERNS.get(pattern, pattern)
    try:
        groups = pl.select(pl.lit("").str.extract_groups(expression)).to_series()
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            f"{pattern!r} is no pattern: {error}; use one of {list(PATTERNS)}, or a regular "
            "expression with named groups"
        ) from error
    if all(name.isdigit() for name in groups.struct.fields):
        raise InvalidInput(f"the pattern {pattern!r} names no group; write (?P<name>...)")

    def parts(bad: Rejects) -> Iterator[Part]:
        found = 0
        for block in blocks(file, encoding):
            rows = _rows(block, expression, bad)
            found += len(rows.lines)
            yield Part(rows.frame, lambda rows=rows: rows)  # type: ignore[misc]
        if not found:
            raise ValueError(f"no line of it fits the pattern {pattern!r}")

    return typed_frames(parts, rejects, types=types)


def _rows(block: Block, expression: str, rejects: Rejects) -> Rows:
    lines = [line.rstrip("\r\n") for line in lines_of(block.data)]
    # What cannot be text is rejected below, and a lone surrogate cannot enter a column.
    clean = [line if line.isprintable() or _is_text(line) else None for line in lines]
    frame = pl.Series("line", clean, dtype=pl.String).to_frame()
    matched = pl.col("line").str.contains(expression).fill_null(value=False)
    fits = frame.select(matched).to_series()
    for place in (~fits).arg_true():
        if lines[place].strip():
            reason = "not text" if clean[place] is None else "does not fit the pattern"
            rejects.add(block.line + place, reason, lines[place])
    groups = frame.select(pl.col("line").str.extract_groups(expression)).unnest("line")
    named = groups.select(name for name in groups.columns if not name.isdigit())
    rows = named.filter(fits).with_columns(
        pl.when(pl.all().is_in([*_MISSING])).then(None).otherwise(pl.all()).name.keep()
    )
    places = fits.arg_true().to_list()
    return Rows(rows, [block.line + place for place in places], [lines[n] for n in places])


def _is_text(line: str) -> bool:
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in line)
