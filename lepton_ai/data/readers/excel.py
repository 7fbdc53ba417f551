"""Spreadsheets: one sheet of an Excel or OpenDocument file."""

import polars as pl

from lepton_ai.core.optional import load

__all__ = ["read_excel"]


def read_excel(data: bytes, *, sheet: str | None = None) -> pl.DataFrame:
    """Read a sheet whose first row names the columns.

    Args:
        sheet: its name; the first one unless given.

    Raises:
        ValueError: it is no spreadsheet, or has no such sheet.
        MissingExtra: fastexcel is not installed.
    """
    fastexcel = load("fastexcel", extra="excel")
    try:
        book = fastexcel.read_excel(data)
        if sheet is not None and sheet not in book.sheet_names:
            raise ValueError(f"it has no sheet {sheet!r}, only {book.sheet_names}")
        frame = book.load_sheet(sheet or 0).to_polars()
    except fastexcel.FastExcelError as error:
        raise ValueError(f"it is no spreadsheet: {error}") from error
    return pl.DataFrame(frame)
