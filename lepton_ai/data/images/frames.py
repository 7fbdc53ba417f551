"""Compressed frames of DICOM pixel data: found in their fragments, then decoded.

imagecodecs decodes them without holding the interpreter lock, several times as fast as
pydicom's plugins. Codecs are rows of `_CODECS`, by transfer syntax (DICOM PS3.5, annex A).
"""

from collections.abc import Callable
from itertools import pairwise
from struct import unpack, unpack_from
from typing import Any

import imagecodecs
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from lepton_ai.data.images import codestream
from lepton_ai.data.images.codestream import Codestream
from lepton_ai.data.images.elements import Elements
from lepton_ai.data.images.failure import Unreadable

__all__ = ["CodecFailed", "Frame", "decode_frame", "fragments", "is_compressed", "split_frames"]

_NATIVE = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
    }
)
_EXTENDED_OFFSETS = 0x7FE00001


class CodecFailed(Unreadable):
    """A frame that is of the right size by its own header, but that the codec cannot decode."""


class Frame(Struct, frozen=True):
    """What the header says of one compressed frame: pixels, samples and stored numbers."""

    syntax: str
    rows: int
    columns: int
    samples: int
    stored: int
    dtype: np.dtype[Any]
    photometric: str


def is_compressed(syntax: str) -> bool:
    """Say whether a transfer syntax keeps its pixels in fragments."""
    return syntax not in _NATIVE


def fragments(data: bytes, at: int) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Return the basic offset table and the fragments, with their offsets from the first.

    Raises:
        Unreadable: the fragments are broken or cut short.
    """
    found: list[tuple[int, bytes]] = []
    table: bytes | None = None
    start = at
    while at + 8 <= len(data):
        group, element, length = unpack_from("<HHL", data, at)
        at += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000):
            raise Unreadable("unreadable", f"no fragment of pixel data at byte {at - 8}")
        if at + length > len(data):
            raise Unreadable(
                "truncated", f"a fragment says {length} bytes; the file has {len(data) - at}"
            )
        if table is None:
            table, start = data[at : at + length], at + length
        else:
            found.append((at - 8 - start, data[at : at + length]))
        at += length
    if not found:
        raise Unreadable("truncated", "the compressed pixel data has no fragment")
    return table or b"", found


def split_frames(elements: Elements, at: int, count: int) -> list[bytes]:
    """Return the bytes of each of ``count`` frames of compressed pixel data.

    Raises:
        Unreadable: there are fewer frames, or where one ends cannot be told.
    """
    table, parts = fragments(elements.data, at)
    if count == 1:
        return [parts[0][1] if len(parts) == 1 else b"".join(part for _, part in parts)]
    if len(parts) == count:
        return [part for _, part in parts]
    if len(parts) < count:
        raise Unreadable("truncated", f"{len(parts)} fragments for {count} frames")
    extended = elements.raw(_EXTENDED_OFFSETS)
    if extended:
        starts = list(unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8]))
    else:
        starts = list(unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4]))
    if len(starts) < count or starts != sorted(starts):
        raise Unreadable("unreadable", f"no table tells {len(parts)} fragments from {count} frames")
    frames: list[list[bytes]] = [[] for _ in range(count)]
    number = 0
    for offset, part in parts:
        while number + 1 < count and offset >= starts[number + 1]:
            number += 1
        frames[number].append(part)
    return [b"".join(pieces) for pieces in frames]


def decode_frame(data: bytes, frame: Frame) -> NDArray[Any]:
    """Decode one compressed frame to the stored numbers, (y, x) or (y, x, samples).

    Raises:
        CodecFailed: the frame is broken, or of a kind that only other decoders know.
        Unreadable: the transfer syntax is not known, or the frame is not of the size that
            the header says.
    """
    codec = _CODECS.get(frame.syntax)
    if codec is None:
        raise Unreadable("unsupported", f"transfer syntax {frame.syntax}")
    try:
        array = codec(data, frame)
    except Unreadable:
        raise
    except Exception as error:  # each codec has its own error type
        raise CodecFailed("unreadable", f"the compressed frame is broken: {error}") from error
    shape = (frame.rows, frame.columns) + ((frame.samples,) if frame.samples > 1 else ())
    if array.shape != shape:
        raise Unreadable("unreadable", f"the frame is of shape {array.shape}, not {shape}")
    return array


def _check(stream: Codestream, frame: Frame) -> None:
    """Refuse a codestream whose claim differs from the header's, before room is made for it."""
    claimed = (stream.rows, stream.columns, stream.components)
    if claimed != (frame.rows, frame.columns, frame.samples):
        raise Unreadable(
            "unreadable",
            f"the frame says {claimed[0]} x {claimed[1]} x {claimed[2]}, "
            f"the header {frame.rows} x {frame.columns} x {frame.samples}",
        )


def _jpeg(data: bytes, frame: Frame) -> NDArray[Any]:
    """JPEG baseline, extended (12 bits) and lossless.

    The colour space follows the codestream where header and codestream disagree, as in
    pydicom: components named R, G, B are that, and a JFIF marker means YCbCr.
    """
    stream = codestream.jpeg(data)
    _check(stream, frame)
    array: NDArray[Any]
    if frame.samples == 3:
        named = bytes(stream.names).upper() == b"RGB"
        coded = not named and (stream.jfif or frame.photometric.startswith("YBR_FULL"))
        # Equal spaces in and out: no conversion.
        space = "YCBCR" if coded else "RGB"
        array = imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace="RGB")
    else:
        array = imagecodecs.jpeg8_decode(data)
    return _sized(array, frame, stream, signed=False)


def _jpeg_ls(data: bytes, frame: Frame) -> NDArray[Any]:
    stream = codestream.jpeg(data)
    _check(stream, frame)
    return _coloured(_sized(imagecodecs.jpegls_decode(data), frame, stream, signed=False), frame)


def _jpeg_2000(data: bytes, frame: Frame) -> NDArray[Any]:
    stream = codestream.jpeg2000(data)
    _check(stream, frame)
    # One thread: whole files are what runs in parallel.
    array = imagecodecs.jpeg2k_decode(data, numthreads=1)
    return _coloured(_sized(array, frame, stream, signed=stream.signed), frame)


def _jpeg_xl(data: bytes, frame: Frame) -> NDArray[Any]:
    # The decoder refuses an image that does not fit the room it is given.
    shape = (frame.rows, frame.columns) + ((frame.samples,) if frame.samples > 1 else ())
    room = np.empty(shape, np.uint8 if frame.stored <= 8 else np.uint16)
    array = imagecodecs.jpegxl_decode(data, numthreads=1, out=room)
    return array.astype(frame.dtype, copy=False)


def _run_length(data: bytes, frame: Frame) -> NDArray[Any]:
    """RLE lossless (PS3.5, annex G): each byte of each colour is a segment, highest byte first.

    The segments are found here, not by imagecodecs, which trusts their offsets.
    """
    width, pixels = frame.dtype.itemsize, frame.rows * frame.columns
    if len(data) < 64:
        raise Unreadable("truncated", f"the RLE header has {len(data)} bytes of 64")
    count, *starts = unpack("<16L", data[:64])
    if count != frame.samples * width:
        raise Unreadable("unreadable", f"{count} RLE segments for {frame.samples * width} bytes")
    starts = [*starts[:count], len(data)]
    if starts[0] < 64 or starts != sorted(starts):
        raise Unreadable("unreadable", f"the RLE segments lie at {starts}")
    room = np.empty((frame.samples, width, pixels), np.uint8)
    for number, (start, stop) in enumerate(pairwise(starts)):
        colour, byte = divmod(number, width)
        _unpack_bits(data[start:stop], room[colour, width - 1 - byte])
    numbers = np.ascontiguousarray(room.transpose(0, 2, 1)).view(f"<u{width}")
    array: NDArray[Any] = numbers.view(frame.dtype)
    array = array.reshape(frame.samples, frame.rows, frame.columns)
    if frame.samples == 1:
        return array.reshape(frame.rows, frame.columns)
    return _coloured(np.ascontiguousarray(np.moveaxis(array, 0, -1)), frame)


def _unpack_bits(segment: bytes, into: NDArray[np.uint8]) -> None:
    try:
        size = len(imagecodecs.packbits_decode(segment, out=into.data))
    except imagecodecs.PackbitsError:
        # A byte of padding, which makes the length even, reads as the start of a run.
        size = len(imagecodecs.packbits_decode(segment[:-1], out=into.data))
    if size != len(into):
        raise Unreadable("truncated", f"an RLE segment has {size} bytes of {len(into)}")


def _bare(data: bytes, frame: Frame) -> NDArray[Any]:
    """Uncompressed frames in fragments (1.2.840.10008.1.2.1.98)."""
    shape = (frame.rows, frame.columns) + ((frame.samples,) if frame.samples > 1 else ())
    size = int(np.prod(shape)) * frame.dtype.itemsize
    if len(data) < size:
        raise Unreadable("truncated", f"the frame has {len(data)} bytes of {size}")
    return _coloured(np.frombuffer(data[:size], frame.dtype).reshape(shape), frame)


def _sized(array: NDArray[Any], frame: Frame, stream: Codestream, *, signed: bool) -> NDArray[Any]:
    """Give decoded numbers the width and sign that the header says.

    A codestream without a sign holds the bits of signed numbers: its highest bit is the sign.
    """
    width = frame.dtype.itemsize
    if array.dtype.itemsize > width:
        raise Unreadable("unreadable", f"{stream.precision} bits coded, {8 * width} allocated")
    kind = "i" if signed else "u"
    array = array.astype(np.dtype(f"{kind}{width}"), copy=False).view(frame.dtype)
    spare = 8 * width - min(stream.precision, frame.stored)
    if signed != (frame.dtype.kind == "i") and spare > 0:
        # Shifting up and down again fills the spare bits with the sign, or clears them.
        array = (array << spare) >> spare
    return array


def _coloured(array: NDArray[Any], frame: Frame) -> NDArray[Any]:
    if frame.samples == 3 and frame.photometric in ("YBR_FULL", "YBR_FULL_422"):
        converted: NDArray[Any] = convert_color_space(array.copy(), "YBR_FULL", "RGB")
        return converted
    return array


_CODECS: dict[str, Callable[[bytes, Frame], NDArray[Any]]] = {
    "1.2.840.10008.1.2.1.98": _bare,
    "1.2.840.10008.1.2.4.50": _jpeg,
    "1.2.840.10008.1.2.4.51": _jpeg,
    "1.2.840.10008.1.2.4.57": _jpeg,
    "1.2.840.10008.1.2.4.70": _jpeg,
    "1.2.840.10008.1.2.4.80": _jpeg_ls,
    "1.2.840.10008.1.2.4.81": _jpeg_ls,
    "1.2.840.10008.1.2.4.90": _jpeg_2000,
    "1.2.840.10008.1.2.4.91": _jpeg_2000,
    "1.2.840.10008.1.2.4.110": _jpeg_xl,
    "1.2.840.10008.1.2.4.111": _jpeg_xl,
    "1.2.840.10008.1.2.4.112": _jpeg_xl,
    "1.2.840.10008.1.2.4.201": _jpeg_2000,
    "1.2.840.10008.1.2.4.202": _jpeg_2000,
    "1.2.840.10008.1.2.4.203": _jpeg_2000,
    "1.2.840.10008.1.2.5": _run_length,
}
