"""Wrappings: what content may be wrapped in, how it is told by its first bytes, and unwrapped."""

import base64
import bz2
import email
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from email.errors import InvalidBase64LengthDefect, MessageError
from email.header import decode_header
from functools import partial
from typing import IO

import polars as pl
import pyarrow as pa
from msgspec import Struct
from pyarrow import parquet

from lepton_ai.data.pdf.read import read_pdf

__all__ = ["BROKEN", "TOO_MUCH", "Part", "Unread", "unwrapping"]

# What a small archive may unfold to; more than that is not looked into, and said so.
_MOST = 2**31
BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, EOFError, OSError,
    NotImplementedError, RuntimeError, MessageError, pa.ArrowException,
    pl.exceptions.PolarsError, ValueError, LookupError,
)  # fmt: skip


class Unread(Struct, frozen=True):
    """What cannot be looked into, and why; or pages of a PDF that show pictures alone."""

    why: str = ""
    bare: int = 0


TOO_MUCH = Unread("it unfolds to too much")
# Bytes are looked into in turn; text is of print, whose blanks are guessed.
Part = bytes | str | pl.DataFrame | Unread
Unwrap = Callable[[bytes], Iterator[Part]]


def _parquet(data: bytes) -> Iterator[Part]:
    file = parquet.ParquetFile(io.BytesIO(data))
    for batch in file.iter_batches():
        yield _texts(pa.Table.from_batches([batch]))


def _arrow(data: bytes) -> Iterator[Part]:
    yield _texts(pa.ipc.open_file(pa.BufferReader(data)).read_all())


def _texts(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _zip(data: bytes) -> Iterator[Part]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield from _members(
            (
                info.filename,
                info.file_size,
                Unread("encrypted") if info.flag_bits & 1 else partial(archive.read, info),
            )
            for info in archive.infolist()
        )


def _tar(data: bytes) -> Iterator[Part]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        yield from _members(
            (info.name, info.size, file.read if (file := _file(archive, info)) else b"")
            for info in archive
        )


def _file(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes] | None:
    # What a link leads to is a member of its own.
    return archive.extractfile(info) if info.isfile() else None


def _members(members: Iterable[tuple[str, int, Part | Callable[[], bytes]]]) -> Iterator[Part]:
    """Yield the names and contents of members, given with the sizes that they are said to have."""
    room = _MOST
    for name, size, content in members:
        yield name.encode(errors="surrogateescape")
        if not 0 <= size <= room:
            yield TOO_MUCH
            return
        room -= size
        yield content() if callable(content) else content


def _stream(
    open_file: Callable[[io.BytesIO], io.BufferedIOBase],
) -> Unwrap:
    def unwrap(data: bytes) -> Iterator[Part]:
        with open_file(io.BytesIO(data)) as file:
            unpacked = file.read(_MOST)
            yield unpacked
            if len(unpacked) == _MOST:
                yield TOO_MUCH

    return unwrap


def _zlib(data: bytes) -> Iterator[Part]:
    machine = zlib.decompressobj()
    yield machine.decompress(data, _MOST)
    if machine.unconsumed_tail:
        yield TOO_MUCH
    elif not machine.eof:
        raise EOFError
    # Another stream may follow.
    yield machine.unused_data


def _pdf(data: bytes) -> Iterator[Part]:
    said = read_pdf(data[data.index(b"%PDF-") :])
    yield from said.texts
    yield from said.parts
    yield from map(Unread, said.unread)
    yield Unread(bare=said.bare)


def _mailbox(data: bytes) -> Iterator[Part]:
    marks = [*_POSTMARK.finditer(data)]
    ends = [*(mark.start() for mark in marks[1:]), len(data)]
    for mark, end in zip(marks, ends, strict=True):
        yield data[mark.end() : end]


def _email(data: bytes) -> Iterator[Part]:
    parts = [*email.message_from_bytes(data.lstrip()).walk()]
    for part in parts:
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield content
        if any(isinstance(defect, InvalidBase64LengthDefect) for defect in part.defects):
            # It was left as it is: what a mailing list put behind it, say, is no part of the code.
            assert isinstance(content, bytes)
            letters = _NO_CODE.sub(b"", content)
            yield base64.b64decode(letters[: len(letters) // 4 * 4])
        # It may be written in pieces, each with its escapes.
        yield (part.get_filename() or "").encode(errors="replace")
        for value in part.values():
            yield from _header(str(value))


def _header(value: str) -> Iterator[bytes]:
    try:
        words = decode_header(value)
    except (MessageError, ValueError):
        return  # It says nothing that a plain look does not see.
    for word, _ in words:
        yield word if isinstance(word, bytes) else word.encode(errors="replace")


def _markup(data: bytes) -> Iterator[Part]:
    # A word processor parts a word for its own ends, and a record parts a name by its elements.
    # What is left as it was would be taken apart again and again.
    yield from {_TAG.sub(b"", _BREAK.sub(b"\n", data)), _TAG.sub(b"\n", data)} - {data}


def _rtf(data: bytes) -> Iterator[Part]:
    text = _RTF_BREAK.sub(b"\t", data)  # ends of lines mean nothing
    text = _RTF_SIGN.sub(lambda sign: chr(int(sign[1]) % 2**16).encode(errors="replace"), text)
    text = _RTF_BYTE.sub(lambda byte: bytes([int(byte[1], 16)]), text)
    yield _RTF_REST.sub(b"", text)


def _closed(why: str) -> Unwrap:
    return lambda data: iter([Unread(why)])


# None of these goes over the same bytes again and again, whatever they are.
_TAG = re.compile(rb"<[^<>]*>")
_BREAK = re.compile(
    rb"</(?:[\w-]+:)?(?:p|h[1-6]?|si|c|t[dhr]|li|div|title)\s*>|<(?:[\w-]+:)?(?:br|tab|cr)\b[^<>]*>",
    re.IGNORECASE,
)
_RTF_BREAK = re.compile(rb"\\(?:par|line|cell|row|tab)\b ?")
# A letter outside of ASCII, and what stands there for programs that do not know it.
_RTF_SIGN = re.compile(rb"\\u(-?[0-9]{1,5}) ?(?:\\'[0-9a-fA-F]{2}|[^\\{}\s])?")
_RTF_BYTE = re.compile(rb"\\'([0-9a-fA-F]{2})")
_RTF_REST = re.compile(rb"\\[a-z]+-?[0-9]* ?|\\\*|[{}\r\n]")
# A mailbox's line before each of its e-mails; the next line is the first of a header.
_POSTMARK = re.compile(rb"^From (?=[^\n]*[0-9]{4})[^\n]*\n(?=[!-9;-~]+:)", re.MULTILINE)
# A line of a header comes first, and somewhere is said what hides the text from a plain look.
_HEADED = rb"\s*(?:From [^\n]*\n)?[!-9;-~]+:"
_NO_CODE = re.compile(rb"[^A-Za-z0-9+/]")
_CODED = re.compile(
    rb"^content-transfer-encoding:\s*(?:base64|quoted|x-uu|uu)|=\?[!->@-~]+\?[bq]\?",
    re.IGNORECASE | re.MULTILINE,
)

# The first that fits; what comes later than first bytes is told by more than a word.
_WRAPPINGS: list[tuple[re.Pattern[bytes], Unwrap]] = [
    (re.compile(first, re.DOTALL), unwrap)
    for first, unwrap in (
        (rb"PAR1", _parquet),
        (rb"ARROW1", _arrow),
        (rb"PK\x03\x04", _zip),
        (rb"\x1f\x8b", _stream(gzip.open)),
        (rb"BZh[1-9]", _stream(bz2.open)),
        (rb"\xfd7zXZ\x00", _stream(lzma.open)),
        (rb"\x78[\x01\x9c\xda]", _zlib),
        (rb"\x28\xb5\x2f\xfd", _closed("zstd is not looked into")),
        (rb"7z\xbc\xaf\x27\x1c", _closed("7z is not looked into")),
        (rb"Rar!", _closed("rar is not looked into")),
        (rb"\xd0\xcf\x11\xe0", _closed("an old or encrypted Office file is not looked into")),
        (rb"!BDN", _closed("an Outlook mailbox is not looked into")),
        (rb"\{\\rtf", _rtf),
        (rb".{257}ustar", _tar),
        (_POSTMARK.pattern, _mailbox),
        (rb"\s*(?:\xef\xbb\xbf\s*)?<[A-Za-z?!]", _markup),
        # Also in a medical image's file, and behind what a mail server put in front.
        (rb"(?>.{128}DICM.*?%PDF-[0-9]|.{0,1023}?%PDF-[0-9]).*?[0-9]\s+obj\b", _pdf),
    )
]
_MAIL = re.compile(_HEADED)


def unwrapping(data: bytes) -> Unwrap | None:
    """Return what takes content apart; None where it lies open to a plain look."""
    if _MAIL.match(data) and not _POSTMARK.match(data) and _CODED.search(data):
        return _email
    return next((unwrap for first, unwrap in _WRAPPINGS if first.match(data)), None)
