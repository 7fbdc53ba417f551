"""Spreadsheets: one sheet of an Excel or OpenDocument file."""

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.data.readers.extent import check_extent
from lepton_ai.data.readers.rejects import Rejects

__all__ = ["read_excel"]

# How many rows a message shows.
_SHOWN = 5
_LONGEST = 40
# A time of day without a date is one of this day.
_NO_DAY = date(1899, 12, 31)
# As the library names them and people see them; #N/A means missing, as in text files.
_ERRORS = {
    "Div0": "#DIV/0!", "Name": "#NAME?", "Null": "#NULL!", "Num": "#NUM!", "Ref": "#REF!",
    "Value": "#VALUE!",
}  # fmt: skip
_MISSING = "NA"

_Errors = Mapping[tuple[int, int], str]


def read_excel(
    file: BinaryIO, rejects: Rejects, *, sheet: str | None = None, header_row: int | None = None
) -> Iterator[pl.DataFrame]:
    """Read a sheet in which one row names the columns, and reject rows that hold errors.

    Args:
        sheet: its name; the first one unless given.
        header_row: the number of the row that names the columns, from 1; the first one that is
            not empty unless given.

    Raises:
        ValueError: it is no spreadsheet, unfolds to too much, has no such sheet or row, or a
            column has no name.
        InvalidInput: ``header_row`` is no number of a row.
        MissingExtra: fastexcel is not installed.
    """
    if header_row is not None and header_row < 1:
        raise InvalidInput(f"rows are counted from 1; got header_row={header_row}")
    fastexcel = load("fastexcel", extra="excel")
    # It warns of every column without a value.
    logging.getLogger("fastexcel").setLevel(logging.ERROR)
    file.seek(0)
    data = file.read()
    check_extent(data)
    try:
        book = fastexcel.read_excel(data)
        if sheet is not None and sheet not in book.sheet_names:
            raise ValueError(f"it has no sheet {sheet!r}, only {book.sheet_names}")
        which = sheet or 0
        texts = book.load_sheet(which, header_row=None, skip_rows=0, dtypes="string")
        rows, errors = _texts(texts)
        head = _head(rows, header_row)
        names = _names(rows, errors, head)
        bad = _reject(rows, errors, head, names, rejects)
        if bad and not rejects.keep:
            return
        # All values decide a column's type: what does not fit one would come out as missing.
        found = book.load_sheet(which, header_row=head, schema_sample_rows=None).to_polars()
        frame = pl.DataFrame({name: found.to_series(place) for place, name in names.items()})
        good = pl.Series([row not in bad for row in range(head + 1, rows.height)], dtype=pl.Boolean)
        yield frame.with_columns(map(_time_of_day, frame)).filter(good)
    except fastexcel.CalamineCellError as error:
        raise ValueError(f"an error in a cell hides its column's type; mend it: {error}") from error
    except fastexcel.FastExcelError as error:
        raise ValueError(f"it is no spreadsheet: {error}") from error


def _texts(sheet: Any) -> tuple[pl.DataFrame, _Errors]:
    """Return the cells of a sheet as text, and its errors by row and column, from 0."""
    batch, found = sheet.to_arrow_with_errors()
    errors = {}
    for one in found.errors if found is not None else []:
        kind = re.search(r"Error\((\w+)\)", one.detail)
        if kind is None or kind[1] != _MISSING:
            errors[one.position] = _ERRORS.get(kind[1], kind[1]) if kind else one.detail
    return pl.DataFrame(batch), errors


def _head(rows: pl.DataFrame, wanted: int | None) -> int:
    """Return the row that names the columns, from 0."""
    if not rows.width or not rows.height:
        raise ValueError("its sheet is empty; name another one with sheet= (--sheet)")
    if wanted is None:
        return next((place for place, row in enumerate(rows.iter_rows()) if any(row)), 0)
    if wanted > rows.height:
        raise ValueError(f"it has no row {wanted}: its sheet ends with row {rows.height}")
    return wanted - 1


def _names(rows: pl.DataFrame, errors: _Errors, head: int) -> dict[int, str]:
    """Return the names of the columns by their places; an empty column without one is none."""
    below = rows[head + 1 :]
    held = {column for row, column in errors if row > head}
    held |= {place for place, one in enumerate(below) if one.null_count() < below.height}
    given = {place: name for place, name in enumerate(rows.row(head)) if (name or "").strip()}
    nameless = held - set(given)
    if nameless:
        used = sorted(held | set(given))
        row = _guess(rows, used)
        raise ValueError(
            f"row {head + 1} names {len(given)} of the {len(used)} columns; say which row names "
            f"them all: header_row={row} (--header-row {row}). The sheet begins with\n"
            + "\n".join(_shown(rows))
        )
    names = list(given.values())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the columns {twice} occur more than once; rename them")
    return given


def _guess(rows: pl.DataFrame, used: list[int]) -> str:
    whole = (n for n, row in enumerate(rows.head(_SHOWN).rows(), 1) if all(row[p] for p in used))
    return str(next(whole, "N"))


def _shown(rows: pl.DataFrame) -> Iterator[str]:
    for number, row in enumerate(rows.head(_SHOWN).rows(), 1):
        yield f"  row {number}: " + " | ".join((cell or "")[:_LONGEST] for cell in row)


def _reject(
    rows: pl.DataFrame, errors: _Errors, head: int, names: Mapping[int, str], rejects: Rejects
) -> set[int]:
    """Reject the rows below the header that hold errors, and return them."""
    bad = set()
    for (row, column), error in sorted(errors.items()):
        if row > head and row not in bad:
            bad.add(row)
            text = " | ".join(cell or "" for cell in rows.row(row))
            rejects.add(row + 1, f"error: column {names[column]!r} holds {error}", text)
    return bad


def _time_of_day(column: pl.Series) -> pl.Series:
    if not isinstance(column.dtype, pl.Datetime) or column.null_count() == len(column):
        return column
    return column.dt.time() if bool((column.dt.date() == _NO_DAY).all()) else column
