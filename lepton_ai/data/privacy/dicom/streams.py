"""Streams: compressed frames without what decoders pass over, such as comments and trailing bytes.

Sources: JPEG, ISO/IEC 10918-1; JPEG-LS, ISO/IEC 14495-1; JPEG 2000, ISO/IEC 15444-1; RLE, DICOM
PS3.5 Annex G.
"""

import re
from collections.abc import Iterator

from lepton_ai.core.errors import InvalidInput

__all__ = ["clean_rle", "clean_stream"]

_JPEG = b"\xff\xd8"
_END, _SCAN = 0xD9, 0xDA
# What may stand between scans: neither stuffed, nor a restart, nor fill.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
# Comments and application data go, but for what decoders need, which has one form.
_SAID = {0xFE, *range(0xE0, 0xF0)}
_NEEDED = {
    (0xE0, b"JFIF\0", 14),
    (0xE8, b"SPIFF\0", 30),
    (0xE8, b"mrfx", 5),
    (0xEE, b"Adobe", 12),
}

_JPEG_2000 = b"\xff\x4f\xff\x51"
_BOXES = b"\0\0\0\x0cjP  "
_COMMENT, _TILE, _DATA = 0x64, 0x90, 0x93
_LAST = b"\xff\xd9"

_RLE_HEADER = 64


def clean_stream(data: bytes) -> bytes:
    """Return a frame in JPEG, JPEG-LS or JPEG 2000 with its image only; others as they are."""
    if data.startswith(_JPEG):
        return b"".join(_jpeg(data))
    if data.startswith(_BOXES) and _JPEG_2000 in data:
        data = data[data.index(_JPEG_2000) :]
    if data.startswith(_JPEG_2000[:2]):
        return b"".join(_jpeg_2000(data))
    return data


def clean_rle(data: bytes, size: int) -> bytes:
    """Return a frame in RLE with its segments only.

    Args:
        size: bytes that each segment unfolds to.

    Raises:
        InvalidInput: it does not unfold to that.
    """
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, _RLE_HEADER, 4)]
    segments = []
    for start in words[1 : 1 + words[0]]:
        segment = data[start : start + _packed(data, start, size)]
        segments.append(segment + bytes(len(segment) % 2))
    starts, at = [len(segments)], _RLE_HEADER
    for segment in segments:
        starts.append(at)
        at += len(segment)
    header = b"".join(start.to_bytes(4, "little") for start in starts)
    return b"".join([header.ljust(_RLE_HEADER, b"\0"), *segments])


def _packed(data: bytes, start: int, size: int) -> int:
    """Return how many bytes of a segment unfold to so many."""
    at, done = start, 0
    while done < size and at < len(data):
        code = data[at]
        # A run repeats the next byte, a literal copies the next ones; 128 does nothing.
        at += 2 if code > 128 else 1 if code == 128 else code + 2
        done += 257 - code if code > 128 else 0 if code == 128 else code + 1
    if done != size or start < _RLE_HEADER:
        raise InvalidInput("its RLE segments are not as long as its image")
    return at - start


def _jpeg(data: bytes) -> Iterator[bytes]:
    yield _JPEG
    at = len(_JPEG)
    while found := _MARKER.search(data, at):
        at, marker = found.start(), data[found.start() + 1]
        if marker == _END:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker not in _SAID or any(
            marker == code and data.startswith(name, at + 4) and end == at + 4 + size
            for code, name, size in _NEEDED
        ):
            yield data[at:end]
        at = end
        if marker == _SCAN:
            after = _MARKER.search(data, at)
            at = after.start() if after else len(data)
            yield data[end:at]
    yield _LAST


def _jpeg_2000(data: bytes) -> Iterator[bytes]:
    yield data[:2]
    at = 2
    while at + 12 <= len(data) and data[at] == 0xFF and data[at : at + 2] != _LAST:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _TILE:
            length = int.from_bytes(data[at + 6 : at + 10], "big")
            end = at + length if length else data.find(_LAST, at)
            yield _tile(data[at : end if end > at else len(data)])
        elif data[at + 1] != _COMMENT:
            yield data[at:end]
        at = end if end > at else len(data)
    yield _LAST


def _tile(data: bytes) -> bytes:
    """Return a part of a tile with the text of its comments blanked: its length is told in it."""
    part = bytearray(data)
    at = 12
    while at + 4 <= len(part) and part[at + 1] != _DATA:
        end = at + 2 + int.from_bytes(part[at + 2 : at + 4], "big")
        if part[at + 1] == _COMMENT:
            part[at + 4 : end] = bytes(len(part[at + 4 : end]))
        at = end
    return bytes(part)
