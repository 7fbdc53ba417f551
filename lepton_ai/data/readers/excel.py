"""Spreadsheets: one sheet of an Excel or OpenDocument file."""

from collections.abc import Iterator
from typing import BinaryIO

import polars as pl

from lepton_ai.core.optional import load
from lepton_ai.data.readers.extent import check_extent
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_excel"]


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
    check_extent(data)
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
