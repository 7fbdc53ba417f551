"""Spreadsheets: one sheet of an Excel or OpenDocument file."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import polars as pl

from lepton_ai.core.optional import load
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_excel"]

# A workbook unfolds in memory; no honest one is larger.
_MOST = 2**30
_PIECE = 2**20
# What an entry of an archive begins with, before its name.
_LOCAL = 30


def read_excel(
    file: BinaryIO, rejects: Rejects, *, sheet: str | None = None
) -> Iterator[pl.DataFrame]:
    """Read a sheet whose first row names the columns.

    Args:
        sheet: its name; the first one unless given.

    Raises:
        ValueError: it is no spreadsheet, unfolds to too much, or has no such sheet.
        MissingExtra: fastexcel is not installed.
    """
    fastexcel = load("fastexcel", extra="excel")
    file.seek(0)
    data = file.read()
    _measure(data)
    try:
        book = fastexcel.read_excel(data)
        if sheet is not None and sheet not in book.sheet_names:
            raise ValueError(f"it has no sheet {sheet!r}, only {book.sheet_names}")
        whole = book.load_sheet(sheet or 0, header_row=None, n_rows=1, dtypes="string")
        names = [str(name) for name in whole.to_polars().row(0)] if whole.height else []
        twice = sorted({name for name in names if names.count(name) > 1 and name != "None"})
        if twice:
            raise ValueError(f"the columns {twice} occur more than once; rename them")
        # All values decide a column's type: what does not fit one would come out as missing.
        yield pl.DataFrame(book.load_sheet(sheet or 0, schema_sample_rows=None).to_polars())
    except fastexcel.FastExcelError as error:
        raise ValueError(f"it is no spreadsheet: {error}") from error


def _measure(data: bytes) -> None:
    """Refuse an archive that unfolds to more than it says, or than there is room for."""
    if not data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"it is no spreadsheet: {error}") from error
    if sum(entry.file_size for entry in entries) > _MOST:
        raise ValueError("it unfolds to more than a gigabyte; save the sheet as CSV")
    for entry in entries:
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            head = data[entry.header_offset : entry.header_offset + _LOCAL]
            start = (
                entry.header_offset
                + _LOCAL
                + sum(int.from_bytes(head[place : place + 2], "little") for place in (26, 28))
            )
            body = data[start : start + entry.compress_size]
            if not _honest(body, entry.file_size):
                raise ValueError(f"its entry {entry.filename!r} is not as large as it says")


def _honest(body: bytes, size: int) -> bool:
    unfold = zlib.decompressobj(-zlib.MAX_WBITS)
    came = 0
    try:
        while came <= size and not unfold.eof:
            piece = unfold.decompress(body, _PIECE)
            came, body = came + len(piece), unfold.unconsumed_tail
            if not piece and not body:
                break
    except zlib.error as error:
        raise ValueError(f"it is no spreadsheet: {error}") from error
    return came == size
