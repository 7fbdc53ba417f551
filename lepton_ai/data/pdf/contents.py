"""Contents: takes a PDF apart, object by object; run by `read_pdf` in a process of its own."""

import re
import resource
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import msgspec
from pypdf import PageObject, PdfReader
from pypdf._codecs import adobe_glyphs
from pypdf.generic import (
    ByteStringObject,
    DictionaryObject,
    IndirectObject,
    StreamObject,
    TextStringObject,
)

from lepton_ai.data.pdf.read import SECONDS, PdfContents

__all__ = ["contents", "main"]

_MOST_MEMORY = 3 * 2**30
# How a file ends, and what the number leads to where the end is its own, not one of an attachment.
_END = re.compile(rb"startxref\s+([0-9]{1,15})\s+%%EOF")
_TABLE = re.compile(rb"\s*(?:xref|[0-9]+\s+[0-9]+\s+obj)\b")
_DEEPEST_PAGE = 50
_FONTS = {"/Type0", "/Type1", "/MMType1", "/TrueType", "/Type3"}
# The name of a glyph that no list has, and that says itself which letter it is.
_CODE = re.compile(r"/u(?:ni)?[0-9A-Fa-f]{4,6}")


def main() -> None:
    """Read a PDF from standard input and write its contents to standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    # Nobody else ends it where whoever asked was killed.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    said = contents(sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.msgpack.encode(said))


def contents(data: bytes) -> PdfContents:
    """Return everything that a PDF says, in its newest revision and in those before."""
    # A change is appended to a file, and what was before it stays readable.
    ends = [end.end() for end in _END.finditer(data) if _TABLE.match(data, int(end[1]))]
    newest = _Contents(data)
    everything = [newest, *(_Contents(data[:end]) for end in ends[:-1])]
    return PdfContents(
        list(dict.fromkeys(text for one in everything for text in one.texts)),
        list(dict.fromkeys(part for one in everything for part in one.parts)),
        newest.bare,
        sorted({why for one in everything for why in one.unread}),
    )


class _Contents:
    """What one revision of a file says."""

    def __init__(self, data: bytes) -> None:
        self.texts: list[str] = []
        self.parts: list[bytes] = []
        self.bare = 0
        self.unread: list[str] = []
        try:
            self._reader = PdfReader(BytesIO(data))
            if self._reader.is_encrypted and not self._reader.decrypt(""):
                self.unread.append("it is encrypted")
                return
            objects = [*_references(self._reader)]
            self._take(self._reader.trailer)
        # Whatever the parser raises on a broken or hostile file, it says that it was not read.
        except Exception as error:
            self._missed(error)
            return
        if not objects:
            self.unread.append("it holds no object")
        for reference in objects:
            try:
                self._take(reference.get_object())
            except Exception as error:
                self._missed(error)
        try:
            for page in self._reader.pages:
                # What is shown as a page need not say that it is one.
                if _said(page, "/Type") != "/Page":
                    self._take_page(page)
        except Exception as error:
            self._missed(error)

    def _missed(self, error: Exception) -> None:
        self.unread.append(f"a part of it cannot be read ({type(error).__name__})")

    def _take(self, item: Any) -> None:
        """Take the strings, names and streams of an object; references are objects of their own."""
        texts: list[str] = []
        raw: list[bytes] = []
        ahead = [item]
        while ahead:
            value = ahead.pop()
            if isinstance(value, TextStringObject):
                texts.append(value)
                raw.append(value.original_bytes)
            elif isinstance(value, ByteStringObject):
                raw.append(value)
            elif isinstance(value, str):
                texts.append(value[1:])
            elif isinstance(value, dict):
                ahead += [*value.keys(), *value.values()]
                if isinstance(value, DictionaryObject) and not _font_is_read(value):
                    self.unread.append("a font of it does not say which letters it shows")
            elif isinstance(value, list):
                ahead += value
        # No name reaches over what separates them.
        self.texts.append("\0".join(texts))
        self.parts.append(b"\0".join(raw))
        if isinstance(item, DictionaryObject):
            self._take_shown(item)

    def _take_shown(self, item: DictionaryObject) -> None:
        kind, form = _said(item, "/Type"), _said(item, "/Subtype")
        if kind == "/Page":
            self._take_page(item)
        if isinstance(item, StreamObject) and form != "/Image" and kind != "/XRef":
            self.parts.append(item.get_data())
            if form == "/Form":
                self.texts.append(PageObject(self._reader).extract_xform_text(item))  # type: ignore[arg-type]

    def _take_page(self, item: DictionaryObject) -> None:
        page = PageObject(self._reader)
        page.update({**_inherited(item), **item})
        text = page.extract_text()
        self.texts.append(text)
        shown = page.get_contents()
        self.bare += not text.strip() and shown is not None and bool(shown.get_data().strip())


def _said(item: DictionaryObject, key: str) -> Any:
    """Return what stands under a key, which may be an object of its own."""
    value = item.get(key)
    return None if value is None else value.get_object()


def _font_is_read(item: DictionaryObject) -> bool:
    """Say whether what a font shows can be told, as is also true of what is no font."""
    form = _said(item, "/Subtype")
    if form not in _FONTS or "/ToUnicode" in item:
        return True
    encoding = _said(item, "/Encoding")
    if form == "/Type0":
        return not str(encoding).startswith("/Identity")
    if not isinstance(encoding, DictionaryObject):
        return True
    names = [name for name in _said(encoding, "/Differences") or () if isinstance(name, str)]
    return all(name in adobe_glyphs or _CODE.fullmatch(name) for name in names)


def _references(reader: PdfReader) -> Iterator[IndirectObject]:
    """Yield every object of a file, whether or not anything leads to it."""
    numbers = {(number, 0) for number in reader.xref_objStm}
    numbers |= {(number, made) for made, places in reader.xref.items() for number in places}
    for number, made in sorted(numbers):
        yield IndirectObject(number, made, reader)


def _inherited(page: DictionaryObject) -> dict[Any, Any]:
    """Return what the nodes above a page say for it."""
    found: dict[Any, Any] = {}
    for _ in range(_DEEPEST_PAGE):
        above = page.get("/Parent")
        node = above.get_object() if above is not None else None
        if not isinstance(node, DictionaryObject):
            break
        found = {key: node[key] for key in ("/Resources", "/MediaBox") if key in node} | found
        page = node
    return found
