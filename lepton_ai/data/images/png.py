"""PNG files, checked to the last byte before the decoder sees them.

The decoder can be brought to write outside its memory by a broken file. So checksums, sizes and
row filters are verified here first, and it gets a new file of the checked parts alone (PNG, third
edition, W3C 2025).
"""

import zlib
from collections.abc import Iterator
from struct import pack, unpack_from
from typing import Any

import imagecodecs
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.data.images.failure import Unreadable

__all__ = ["SIGNATURE", "read_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
# Samples of a pixel, and the bit depths there are, by colour type.
_SAMPLES = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# First column and row, and steps, of the seven passes of an interlaced image.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip


class _Head(Struct, frozen=True):
    columns: int
    rows: int
    depth: int
    colour: int
    interlaced: bool


def read_png(data: bytes, limit: int) -> NDArray[Any]:
    """Decode a PNG file: (y, x) or (y, x, samples), uint8 or uint16, palettes as RGB.

    Raises:
        Unreadable: it is broken or cut short, or would be larger than the limit in bytes.
    """
    parts = _parts(data)
    head = _head(parts[b"IHDR"])
    # Room for four samples: a palette may turn out to have transparency.
    if head.rows * head.columns * (8 if head.depth == 16 else 4) > limit:
        raise Unreadable(
            "too large", f"{head.columns} x {head.rows} pixels are above {limit} bytes"
        )
    parts[b"IDAT"] = _checked_rows(head, parts[b"IDAT"])
    kept = [b"IHDR", b"IDAT", b"IEND"]
    if head.colour == _PALETTE:
        palette = parts.get(b"PLTE", b"")
        if not palette or len(palette) % 3 or len(palette) > 3 << head.depth:
            raise Unreadable("unreadable", f"a palette of {len(palette)} bytes")
        kept.insert(1, b"PLTE")
        if len(parts.get(b"tRNS", b"")) in range(1, len(palette) // 3 + 1):
            kept.insert(2, b"tRNS")
    elif len(parts.get(b"tRNS", b"")) == {0: 2, 2: 6}.get(head.colour):
        kept.insert(1, b"tRNS")
    clean = SIGNATURE + b"".join(_chunk(kind, parts[kind]) for kind in kept)
    array: NDArray[Any] = imagecodecs.png_decode(clean)
    return array


def _parts(data: bytes) -> dict[bytes, bytes]:
    """Return the content of the chunks that pixels are made of."""
    pixels: list[bytes] = []
    parts: dict[bytes, bytes] = {}
    for kind, body in _chunks(data):
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND"):
            parts.setdefault(kind, body)
    if len(parts.get(b"IHDR", b"")) != 13:
        raise Unreadable("unreadable", "the PNG file has no header")
    return parts | {b"IDAT": b"".join(pixels)}


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = unpack_from(">L", data, at)
        stop = at + 8 + length
        if stop + 4 > len(data):
            break
        kind = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : stop]) != unpack_from(">L", data, stop)[0]:
            raise Unreadable("unreadable", f"the checksum of the chunk {kind!r} is wrong")
        yield kind, data[at + 8 : stop]
        if kind == b"IEND":
            return
        at = stop + 4
    raise Unreadable("truncated", "the PNG file ends inside a chunk")


def _head(body: bytes) -> _Head:
    columns, rows, depth, colour, packing, filtering, interlace = unpack_from(">LLBBBBB", body)
    if not (0 < columns < 2**31 and 0 < rows < 2**31):
        raise Unreadable("unreadable", f"the image says it is {columns} x {rows} pixels")
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlace > 1:
        raise Unreadable(
            "unreadable", f"colour type {colour} of {depth} bits, interlace {interlace}"
        )
    return _Head(columns, rows, depth, colour, bool(interlace))


def _checked_rows(head: _Head, packed: bytes) -> bytes:
    """Unpack the rows and verify their number, their length and their filters.

    Returns the packed rows without what comes after them.
    """
    bits = head.depth * _SAMPLES[head.colour]
    blocks = []
    for left, top, across, down in _PASSES if head.interlaced else ((0, 0, 1, 1),):
        columns = -(-(head.columns - left) // across)
        rows = -(-(head.rows - top) // down)
        if columns > 0 and rows > 0:
            blocks.append((rows, 1 + -(-columns * bits // 8)))
    size = sum(rows * length for rows, length in blocks)
    inflater = zlib.decompressobj()
    try:
        unpacked = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise Unreadable("unreadable", f"the pixels cannot be unpacked: {error}") from error
    if len(unpacked) < size:
        raise Unreadable("truncated", f"the pixels have {len(unpacked)} bytes of {size}")
    if len(unpacked) > size or not inflater.eof:
        raise Unreadable("unreadable", f"the pixels have more than {size} bytes")
    at = 0
    for rows, length in blocks:
        filters = np.frombuffer(unpacked, np.uint8, rows * length, at)[::length]
        if filters.max() > 4:
            raise Unreadable("unreadable", f"a row filter {filters.max()}")
        at += rows * length
    return packed[: len(packed) - len(inflater.unused_data)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return pack(">L", len(body)) + kind + body + pack(">L", zlib.crc32(kind + body))
