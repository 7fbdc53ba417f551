"""Delimited: separated values, read in blocks.

A block whose quotes are all where they belong is split by Arrow; any other one row by row, so that
a bad row is rejected and the others are kept.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from msgspec import Struct
from pyarrow import csv as arrow_csv

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.blocks import Block, blocks, lines_of
from lepton_ai.data.readers.kinds import Part, Rows, typed_frames
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["MISSING", "read_delimited"]

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A")
# A row goes over no more lines than this: a quote that is never closed costs one row.
_LONGEST = 1000
_MOST = 2**26
# Each costs time and memory of its own in whatever reads the table.
_MOST_COLUMNS = 100_000
# A value in quotes as it should be, from one separator to the next.
_QUOTED = rb'"(?<=[%(comma)b\r\n]")[^"]*+(?:""[^"]*+)*+"(?=[%(comma)b\r\n]|\Z)'


def read_delimited(
    file: BinaryIO,
    rejects: Rejects,
    *,
    separator: str | None = None,
    decimal_comma: bool = False,
    missing: Sequence[str] = MISSING,
    encoding: str = "utf-8",
    types: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Read separated values, and reject rows that are not whole, not text or of a wrong type.

    Args:
        separator: found in the header unless given.
        decimal_comma: whether 1,5 is one and a half.
        missing: what stands where a value is missing.
        encoding: of the text; a byte order mark overrules UTF-8.
        types: of columns where values do not tell; names of `readers.kinds.TYPES`.

    Raises:
        ValueError: there is no header, or a name in it comes twice.
        LookupError: there is no such encoding.
        InvalidInput: the separator is none, or ``types`` names what there is not.
    """
    if separator is not None and (len(separator) != 1 or separator in '\r\n"'):
        raise InvalidInput(f"a separator is one character, such as ';'; got {separator!r}")
    first = next(blocks(file, encoding, quoted=True), None)
    names, comma, used, size = _header(first, separator, encoding)
    form = _Form(names, comma, tuple(missing), encoding)

    def parts(bad: Rejects) -> Iterator[Part]:
        for number, block in enumerate(blocks(file, encoding, quoted=True)):
            yield form.part(block if number else block.after(used, size), bad)

    return typed_frames(parts, rejects, types=types, decimal_comma=decimal_comma)


class _Form(Struct, frozen=True):
    """How the rows are written."""

    names: list[str]
    separator: str
    missing: tuple[str, ...]
    encoding: str

    def part(self, block: Block, rejects: Rejects) -> Part:
        """Return the rows of a block as text."""
        frame = self._split(block.data)
        if frame is not None:
            return Part(frame, lambda: self._rows(block, rejects))
        rows = self._rows(block, rejects)
        return Part(rows.frame, lambda: rows)

    def _split(self, data: bytes) -> pl.DataFrame | None:
        """Return the rows, None where any of them needs a closer look."""
        if not self.separator.isascii() or b"\0" in data or not data.strip():
            return None
        if data.count(b"\r") != data.count(b"\r\n"):
            return None
        quotes = b'"' in data
        whole = _QUOTED % {b"comma": re.escape(self.separator.encode())}
        if quotes and b'"' in re.sub(whole, b"", b"\n" + data):
            return None
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(data),
                arrow_csv.ReadOptions(column_names=self.names, block_size=max(len(data), 2**16)),
                arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=quotes),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    null_values=list(self.missing),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
        except pa.ArrowException:
            return None
        return pl.DataFrame(table)

    def _rows(self, block: Block, rejects: Rejects) -> Rows:
        kept: list[list[str | None]] = []
        where: list[int] = []
        texts: list[str] = []
        absent = set(self.missing)
        for place, fields, text in _records(lines_of(block.data), self.separator):
            line = block.line + place
            if isinstance(fields, str):
                rejects.add(line, fields, text)
            elif not text.isprintable() and (bad := _strange(text, self.encoding)):
                rejects.add(line, bad, text)
            elif len(fields) != len(self.names):
                reason = f"ragged: {len(fields)} fields where the header has {len(self.names)}"
                rejects.add(line, reason, text)
            else:
                kept.append([None if field in absent else field for field in fields])
                where.append(line)
                texts.append(text)
        frame = pl.DataFrame(kept, schema=dict.fromkeys(self.names, pl.String), orient="row")
        return Rows(frame, where, texts)


def _header(
    block: Block | None, separator: str | None, encoding: str
) -> tuple[list[str], str, int, int]:
    """Return names and separator, and how many lines and bytes of the block they take."""
    lines = lines_of(block.data) if block is not None else []
    if not lines or not lines[0].strip():
        raise ValueError("it has no header in its first line")
    if "\0" in lines[0]:
        raise ValueError("it holds NUL bytes, so it is no text; name its encoding if it is UTF-16")
    # Between quotes a separator is part of a name.
    bare = "".join(lines[0].split('"')[::2])
    comma = separator or max(",;\t|", key=bare.count)
    _, names, text = next(_records(lines, comma))
    if isinstance(names, str):
        raise ValueError(f"its header cannot be read: {names}")
    if bad := _strange(text, encoding):
        raise ValueError(f"its header is {bad}")
    if len(names) > _MOST_COLUMNS:
        raise ValueError(
            f"its header names {len(names):,} columns, and a table has no more than "
            f"{_MOST_COLUMNS:,}; store values as rows: one column of names, one of values"
        )
    if not all(name.strip() for name in names):
        raise ValueError(f"every column needs a name; its first line gives {names}")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"the columns {twice} occur more than once; rename them")
    used = lines[: len(lines_of(text.encode()))]
    return names, comma, len(used), sum(len(line.encode()) for line in used)


def _records(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str] | str, str]]:
    """Yield place, fields or the reason there are none, and text of each record."""
    csv.field_size_limit(_MOST)
    start = 0
    while start < len(lines):
        chunk = islice(lines, start, start + _LONGEST)
        reader = csv.reader(chunk, delimiter=separator, strict=True)
        at = start
        try:
            for fields in reader:
                end = start + reader.line_num
                # A row of one column may be blank; of more, it is none.
                if len(fields) > 1 or "".join(fields).strip():
                    yield at, fields, "".join(lines[at:end]).rstrip("\r\n")
                at = end
        except csv.Error as error:
            if at == start:
                unclosed = "unexpected end" in str(error)
                reason = "open quote: no end in sight" if unclosed else f"broken: {error}"
                yield at, reason, lines[at].rstrip("\r\n")
                at += 1
        start = at


def _strange(text: str, encoding: str) -> str:
    if "\0" in text:
        return "not text: it holds NUL bytes"
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        return f"not text: bytes that are no {encoding}; try encoding='cp1252' (--encoding cp1252)"
    return ""
