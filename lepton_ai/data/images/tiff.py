"""TIFF files: one page (y, x) or (y, x, 3), or a stack of equal pages (z, y, x).

Of a file with several series (a pyramid and its thumbnails, say) the first is read. Palettes
become RGB, WhiteIsZero is inverted, transparency is dropped, the orientation tag is applied.
"""

import io
from struct import unpack_from
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lepton_ai.data.images import codestream
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.raster import opaque, upright

__all__ = ["is_tiff", "read_tiff"]

# Compressions that unpack into the room the page says; others trust their own headers.
_BOUNDED = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
_JPEG = 7
_WHITE_IS_ZERO, _PALETTE, _CMYK, _YCBCR = 0, 3, 5, 6
_MAX_PAGES = 65_536


def is_tiff(head: bytes) -> bool:
    """Say whether bytes start a TIFF or BigTIFF file."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(data: bytes, limit: int) -> tuple[NDArray[Any], ImageMeta]:
    """Decode the first series of a TIFF file.

    Raises:
        Unreadable: it is broken, of an unsupported kind, or would be larger than the limit in
            bytes when decoded.
    """
    attributes: dict[str, str] = {}
    try:
        _check_pages(data)
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            if not file.series:
                raise Unreadable("no pixels", "a TIFF file without pages")
            if len(file.series) > 1:
                attributes["series"] = f"the first of {len(file.series)}"
            array, channels = _series(file.series[0], data, limit, attributes)
    except Unreadable:
        raise
    except Exception as error:  # tifffile raises every kind
        raise Unreadable("unreadable", f"the TIFF file is broken: {error}") from error
    return array, ImageMeta(
        shape=array.shape, dtype=array.dtype.name, channels=channels, attributes=attributes
    )


def _series(
    series: Any, data: bytes, limit: int, attributes: dict[str, str]
) -> tuple[NDArray[Any], int]:
    page, axes = series.keyframe, str(series.axes)
    shape, dtype = tuple(int(size) for size in series.shape), np.dtype(series.dtype)
    colour = int(page.photometric)
    palette = page.colormap if colour == _PALETTE else None
    size = int(np.prod(shape, dtype=object)) * (6 if palette is not None else dtype.itemsize)
    if size > limit:
        raise Unreadable("too large", f"{shape} pixels of {dtype} are above {limit} bytes")
    if dtype.kind not in "iufb" or 0 in shape or colour == _CMYK:
        raise Unreadable("unsupported", f"a TIFF of {dtype}, {page.photometric.name}, {shape}")
    if int(page.compression) not in _BOUNDED:
        _check_codestreams(series, data)
    array: NDArray[Any] = np.asarray(series.asarray(maxworkers=1))
    if palette is not None:
        array, axes = np.moveaxis(palette[:, array], 0, -1), axes + "S"
    elif colour == _WHITE_IS_ZERO and array.dtype.kind in "ub":
        attributes["inverted"] = "WhiteIsZero"
        highest = (1 << int(page.bitspersample)) - 1
        array = (highest - array).astype(array.dtype)
    elif colour == _YCBCR and int(page.compression) != _JPEG:
        raise Unreadable("unsupported", "a TIFF of YCbCr colours without JPEG compression")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    channels = 1
    if "S" in axes:
        array = opaque(np.moveaxis(array, axes.index("S"), -1), attributes)
        axes = axes.replace("S", "")
        channels = 3 if array.ndim > len(axes) else 1
    if len(axes) > 4 or axes[-2:] != "YX":
        raise Unreadable("unsupported", f"a TIFF with the axes {axes}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if len(axes) > 2:
        attributes["axes"] = axes
        return np.ascontiguousarray(array), channels
    return upright(array, page.tags.valueof(274), attributes), channels


def _check_pages(data: bytes) -> None:
    """Refuse a chain of pages that is absurdly long or bites its own tail."""
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, step, pointer = ("Q", 20, "Q") if big else ("H", 12, "L")
    (at,) = unpack_from(order + pointer, data, 8 if big else 4)
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) >= _MAX_PAGES:
            raise Unreadable("hostile", f"the chain of TIFF pages does not end at page {len(seen)}")
        seen.add(at)
        if at + 8 > len(data):
            raise Unreadable("truncated", f"a TIFF page should be at byte {at}, after the end")
        (entries,) = unpack_from(order + count, data, at)
        at += (8 if big else 2) + entries * step
        if at + (8 if big else 4) > len(data):
            raise Unreadable("truncated", f"page {len(seen)} of the TIFF file is cut off")
        (at,) = unpack_from(order + pointer, data, at)


def _check_codestreams(series: Any, data: bytes) -> None:
    """Compare what JPEG tiles say of their size with what their page says."""
    for page in series.pages:
        if page is None:
            continue
        if int(page.compression) != _JPEG:
            raise Unreadable("unsupported", f"TIFF compression {page.compression}")
        height, width = page.chunks[0], page.chunks[1]
        for at, size in zip(page.dataoffsets, page.databytecounts, strict=False):
            if not size:
                continue
            stream = codestream.jpeg(data[at : at + size])
            if stream.rows > max(height, page.tilelength) or stream.columns > width:
                raise Unreadable(
                    "hostile",
                    f"a JPEG tile of {stream.columns} x {stream.rows} in room for "
                    f"{width} x {height}",
                )
