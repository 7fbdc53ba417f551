"""Extent: how much a workbook unfolds to, told before a library makes room for it.

The library asks for room for every cell between the first and the last one that a sheet names, and
where memory does not suffice the process ends. So its XML is gone through first.
"""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any
from xml.parsers import expat

__all__ = ["check_extent"]

# A workbook unfolds in memory; no honest one is larger.
_MOST = 2**30
_MOST_CELLS = 100_000_000
_PIECE = 2**20
# The element of Excel that holds the rows.
_CELLS = b"sheetData"
# What an entry of an archive begins with, before its name.
_LOCAL = 30
# How files of the old Excel, and those with a password, begin.
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN = (
    zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
# Text takes room too: a cell of so many characters counts as two.
_LETTERS = 24


def check_extent(data: bytes) -> None:
    """Refuse a workbook that unfolds to more than it says, or than there is room for.

    Raises:
        ValueError: it does, or it is no archive, or its XML is broken or declares entities.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(data, archive.infolist())
            _check_cells(archive)
    except _BROKEN as error:
        # Sheets of the old Excel have no more than 65,536 rows.
        if not data.startswith(_OLD):
            raise ValueError(f"it is no spreadsheet: {error}") from error


def _check_sizes(data: bytes, entries: list[zipfile.ZipInfo]) -> None:
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
    while came <= size and not unfold.eof:
        piece = unfold.decompress(body, _PIECE)
        came, body = came + len(piece), unfold.unconsumed_tail
        if not piece and not body:
            break
    return came == size


class _Excel:
    """A sheet of Excel: each cell says where it is, or follows the one before."""

    def __init__(self, parser: Any) -> None:
        self._row = self._column = self._rows = self._columns = 0
        parser.StartElementHandler = self._start

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        bare = name.rpartition(":")[2]
        if bare == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._column = 0
        elif bare == "c":
            self._column += 1
            where = attributes.get("r")
            if where is not None:
                letters = where.rstrip("0123456789")
                self._row = int(where[len(letters) :])
                self._column = _column(letters)
            self._rows = max(self._rows, self._row)
            self._columns = max(self._columns, self._column)

    def cells(self) -> int:
        return self._rows * self._columns


class _OpenDocument:
    """The sheets of an OpenDocument file: a cell or a row may say that it repeats."""

    def __init__(self, parser: Any) -> None:
        self._rows = self._columns = self._most = self._total = 0
        self._filled = self._column = self._room = 0
        self._repeats = self._times = 1
        self._letters = 0
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._text
        parser.EndElementHandler = self._end

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        bare = name.rpartition(":")[2]
        if bare == "table":
            self._rows = self._columns = 0
        elif bare == "table-row":
            self._repeats = int(attributes.get("table:number-rows-repeated", 1))
            self._column = self._filled = self._room = 0
        elif bare in ("table-cell", "covered-table-cell"):
            self._times = int(attributes.get("table:number-columns-repeated", 1))
            self._column += self._times
            self._letters = 0
            if any(key.startswith("office:") or key == "table:formula" for key in attributes):
                self._filled = self._column
        elif bare == "s":
            self._letters += int(attributes.get("text:c", 1))

    def _text(self, letters: str) -> None:
        self._letters += len(letters)

    def _end(self, name: str) -> None:
        bare = name.rpartition(":")[2]
        if bare in ("table-cell", "covered-table-cell"):
            self._room += self._times * (self._letters // _LETTERS)
        elif bare == "table-row":
            # Empty rows at the end, and cells at the end of a row, take no room.
            self._rows += self._repeats
            self._columns = max(self._columns, self._filled)
            if self._filled:
                self._most = max(self._most, self._rows * self._columns)
            self._total += self._repeats * self._room

    def cells(self) -> int:
        return self._most + self._total


def _check_cells(archive: zipfile.ZipFile) -> None:
    for entry in archive.infolist():
        if entry.filename.lower() == "xl/workbook.bin":
            raise ValueError("it is a binary workbook (.xlsb); save it as .xlsx or CSV")
        kind = _kind(archive, entry)
        if kind is None:
            continue
        with archive.open(entry) as file:
            cells = _counted(file, kind)
        if cells > _MOST_CELLS:
            raise ValueError(
                f"{entry.filename!r} in it spans {cells:,} cells, and no more than "
                f"{_MOST_CELLS:,} are read; delete what lies far below or right of the table, or "
                "save the sheet as CSV"
            )


def _kind(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo
) -> type[_Excel] | type[_OpenDocument] | None:
    """Return what counts the cells of an entry; a sheet of Excel may have any name."""
    if entry.filename == "content.xml":
        return _OpenDocument
    before = b""
    with archive.open(entry) as file:
        for piece in _pieces(file):
            if _CELLS in before + piece:
                return _Excel
            before = piece[-len(_CELLS) :]
    return None


def _counted(file: IO[bytes], kind: type[_Excel] | type[_OpenDocument]) -> int:
    # The library reads UTF-8, whatever the file says of itself.
    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = _refuse_entity
    sheet = kind(parser)
    try:
        for piece in _pieces(file):
            parser.Parse(piece)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no spreadsheet: its XML is broken: {error}") from error
    return sheet.cells()


def _refuse_entity(*_: Any) -> None:
    raise ValueError("it is no spreadsheet that is safe to read: its XML declares entities")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
