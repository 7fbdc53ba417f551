"""Content: whether stored bytes hold a person, through what wraps and compresses them."""

import email
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from email.errors import MessageError
from email.header import decode_header

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from lepton_ai.data.erase.subject import Subject

__all__ = ["holds", "opaque"]

# What a small archive may unfold to; more than that is not looked into, and said to be opaque.
_MOST = 2**31
_DEEPEST = 4
# A line of a header comes first, and somewhere is said what hides the text from a plain look.
_HEADED = re.compile(rb"\s*(?:From [^\n]*\n)?[!-9;-~]+:")
_CODED = re.compile(
    rb"^content-transfer-encoding:\s*(?:base64|quoted)|=\?[!->@-~]+\?[bq]\?",
    re.IGNORECASE | re.MULTILINE,
)


def holds(subject: Subject, data: bytes, *, whole: bool = False, depth: int = 0) -> bool:
    """Say whether content names a person: as text in any usual encoding, or inside an archive.

    Looks into Parquet, Arrow, ZIP (workbooks, models, NumPy archives), gzip, zlib and e-mails.

    Args:
        whole: compare the values of every column of Parquet and Arrow with the identifiers, as
            is right where one of the columns is known to hold them.
    """
    if subject.named_in_bytes(data):
        return True
    unwrap = _wrapping(data)
    if unwrap is None or depth == _DEEPEST:
        return False
    try:
        return any(
            (subject.about(part, part.columns) if whole else subject.mentions(part)).any()
            if isinstance(part, pl.DataFrame)
            else holds(subject, part, whole=whole, depth=depth + 1)
            for part in unwrap(data)
        )
    except _BROKEN:
        return False


def opaque(data: bytes) -> bool:
    """Say whether content is compressed in a way that `holds` cannot look into."""
    unwrap = _wrapping(data)
    if unwrap is None:
        return any(data.startswith(magic) for magic in _CLOSED)
    try:
        for _ in unwrap(data):
            pass
    except _BROKEN:
        return True
    return False


def _parquet(data: bytes) -> Iterator[pl.DataFrame]:
    file = parquet.ParquetFile(io.BytesIO(data))
    for batch in file.iter_batches():
        yield _texts(pa.Table.from_batches([batch]))


def _arrow(data: bytes) -> Iterator[pl.DataFrame]:
    yield _texts(pa.ipc.open_file(pa.BufferReader(data)).read_all())


def _texts(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _zip(data: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        room = _MOST
        for info in archive.infolist():
            yield info.filename.encode()
            room -= info.file_size
            if room < 0 or info.flag_bits & 1:
                raise zipfile.BadZipFile("too large, or encrypted")
            yield archive.read(info)


def _gzip(data: bytes) -> Iterator[bytes]:
    with gzip.open(io.BytesIO(data)) as file:
        unpacked = file.read(_MOST)
        yield unpacked
        if len(unpacked) == _MOST:
            raise zlib.error("too large")


def _zlib(data: bytes) -> Iterator[bytes]:
    machine = zlib.decompressobj()
    yield machine.decompress(data, _MOST)
    if machine.unconsumed_tail:
        raise zlib.error("too large")


def _email(data: bytes) -> Iterator[bytes]:
    parts = [*email.message_from_bytes(data.lstrip()).walk()]
    for part in parts:
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield content
    # Last, since one that is written wrong ends the look.
    for value in (value for part in parts for value in part.values()):
        for word, _ in decode_header(str(value)):
            yield word if isinstance(word, bytes) else word.encode(errors="replace")


_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError,
    MessageError, pa.ArrowException, pl.exceptions.PolarsError, ValueError,
)  # fmt: skip

_WRAPPINGS: dict[bytes, Callable[[bytes], Iterator[bytes | pl.DataFrame]]] = {
    b"PAR1": _parquet,
    b"ARROW1": _arrow,
    b"PK\x03\x04": _zip,
    b"\x1f\x8b": _gzip,
    b"\x78\x01": _zlib,
    b"\x78\x9c": _zlib,
    b"\x78\xda": _zlib,
}
# zstd, xz, bzip2, 7z, rar, encrypted office files.
_CLOSED = (
    b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh", b"7z\xbc\xaf\x27\x1c", b"Rar!",
    b"\xd0\xcf\x11\xe0",
)  # fmt: skip


def _wrapping(data: bytes) -> Callable[[bytes], Iterator[bytes | pl.DataFrame]] | None:
    coded = _HEADED.match(data) and _CODED.search(data)
    known = (unwrap for magic, unwrap in _WRAPPINGS.items() if data.startswith(magic))
    return next(known, _email if coded else None)
