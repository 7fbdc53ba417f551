"""Spreadsheets written by hand, for what no program writes."""

import io
import zipfile
from typing import Any

import openpyxl

__all__ = ["excel", "ods", "sheet_xml"]

_ODS = """<?xml version="1.0" encoding="UTF-8"?><office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="one">{}</table:table>
</office:spreadsheet></office:body></office:document-content>"""


def excel(*rows: list[Any]) -> bytes:
    """A workbook of one sheet; text that begins with # is an error cell."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for number, row in enumerate(rows, start=1):
        for place, value in enumerate(row, start=1):
            if value is not None:
                cell = sheet.cell(number, place, value)
                if isinstance(value, str) and value.startswith("#"):
                    cell.data_type = "e"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def sheet_xml(rows: str, *, before: str = "") -> bytes:
    """A workbook whose sheet holds this XML as its rows."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(excel(["a"], [1]))) as whole,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for entry in whole.infolist():
            data = whole.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
                data = (
                    f'<?xml version="1.0"?>{before}<worksheet xmlns="{space}">'
                    f"<sheetData>{rows}</sheetData></worksheet>"
                ).encode()
            archive.writestr(entry.filename, data)
    return out.getvalue()


def ods(rows: str) -> bytes:
    """An OpenDocument spreadsheet whose sheet holds this XML as its rows."""
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
            f'><manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
            "</manifest:manifest>",
        )
        archive.writestr("content.xml", _ODS.format(rows))
    return out.getvalue()
