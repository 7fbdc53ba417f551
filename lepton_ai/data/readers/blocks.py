"""Blocks: a text file of any size, some megabytes of whole lines at a time, as UTF-8."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from msgspec import Struct

__all__ = ["Block", "blocks", "lines_of", "text_of", "utf8"]

_PIECE = 8 * 2**20
# So much is cut at a line's end even within quotes, some of which then never close.
_ENOUGH = 2 * _PIECE
# A line that is longer is no line.
_LONGEST = 64 * 2**20
# UTF-32 begins as UTF-16 does, so it comes first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# How packed files begin, by what people call them; bytes that no table begins with.
_PACKED = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "ZIP, as spreadsheets are",
}


class Block(Struct, frozen=True):
    """Whole lines of a file.

    Attributes:
        line: the number of the first one, from 1.
        data: UTF-8; a byte that the file's encoding does not have stays as it was.
    """

    line: int
    data: bytes

    def after(self, lines: int, size: int) -> "Block":
        """Return the block without its first lines, which are so many bytes long."""
        return Block(self.line + lines, self.data[size:])


def blocks(file: BinaryIO, encoding: str = "utf-8", *, quoted: bool = False) -> Iterator[Block]:
    """Yield a file from its beginning, cut where a line ends.

    Args:
        encoding: a byte order mark overrules ``utf-8``.
        quoted: do not cut inside quotes, where a line end is part of a value.

    Raises:
        LookupError: there is no such encoding.
        ValueError: a line is longer than 64 MiB.
    """
    line, rest = 1, b""
    for piece in utf8(file, encoding):
        rest += piece
        cut = _cut(rest, quoted=quoted)
        if cut:
            yield Block(line, rest[:cut])
            line += _count(rest, cut)
            rest = rest[cut:]
        elif len(rest) > _LONGEST:
            raise ValueError(
                f"line {line} is longer than {_LONGEST // 2**20} MiB: no file of lines"
            )
    if rest:
        yield Block(line, rest)


def text_of(data: bytes) -> str:
    """Return text in which a byte that is none stands as a lone surrogate."""
    return data.decode("utf-8", "surrogateescape")


def lines_of(data: bytes) -> list[str]:
    """Return lines with their ends: LF, CR LF or CR, and nothing else that Unicode calls one."""
    return list(io.StringIO(text_of(data), newline=""))


def utf8(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Yield a text file from its beginning as UTF-8; a byte order mark overrules UTF-8.

    Raises:
        LookupError: there is no such encoding.
        ValueError: the file is compressed.
    """
    name = codecs.lookup(encoding).name
    try:
        " ".encode(name)
    except (LookupError, UnicodeError) as error:  # hex, zlib and the like
        raise LookupError(f"{encoding!r} is no encoding of text") from error
    file.seek(0)
    head = file.read(max(map(len, _PACKED)))
    packed = next((name for start, name in _PACKED.items() if head.startswith(start)), None)
    if packed is not None:
        raise ValueError(f"it is compressed ({packed}); unpack it first")
    if name in ("utf-8", "utf-8-sig"):
        name = next((coding for mark, coding in _MARKS if head.startswith(mark)), "utf-8")
    file.seek(len(codecs.BOM_UTF8) if name == "utf-8" and head.startswith(codecs.BOM_UTF8) else 0)
    if name == "utf-8":
        # What is UTF-8 already needs no second form.
        while piece := file.read(_PIECE):
            yield piece
        return
    decoder = codecs.getincrementaldecoder(name)("surrogateescape")
    # The mark is no text, though utf-16-le and its like keep it.
    yield _encoded(decoder.decode(file.read(_PIECE)).removeprefix("\ufeff"))
    while piece := file.read(_PIECE):
        yield _encoded(decoder.decode(piece))
    yield _encoded(decoder.decode(b"", final=True))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cut(data: bytes, *, quoted: bool) -> int:
    """Return where the last whole line ends, 0 where there is none yet."""
    # Old files end lines by CR; the last byte may be half of CR LF.
    mark, stop = (b"\n", len(data)) if b"\n" in data else (b"\r", len(data) - 1)
    end = data.rfind(mark, 0, stop) + 1
    if not quoted or len(data) > _ENOUGH:
        return end
    odd = data.count(b'"', 0, end) % 2
    while end and odd:
        quote = data.rfind(b'"', 0, end)
        before = data.rfind(mark, 0, max(quote, 0)) + 1
        odd = (odd + data.count(b'"', before, end)) % 2
        end = before
    return end


def _count(data: bytes, end: int) -> int:
    feeds, returns = data.count(b"\n", 0, end), data.count(b"\r", 0, end)
    return feeds + returns - data.count(b"\r\n", 0, end)
