"""PNG and JPEG files: grey (y, x) or colour (y, x, 3), 8 or 16 bits.

Palettes become RGB, transparency is dropped, and the Exif orientation is applied: the array is
the picture as viewers show it.
"""

from collections.abc import Callable
from struct import error as StructError  # noqa: N812 (the standard library's name)
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.Image import Exif

from lepton_ai.data.images import codestream
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.png import SIGNATURE, read_png

__all__ = ["is_raster", "opaque", "read_raster", "upright"]

_ORIENTATION = 0x0112
# What brings each Exif orientation upright.
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda array: np.rot90(array, 2),
    4: np.flipud,
    5: lambda array: np.swapaxes(array, 0, 1),
    6: lambda array: np.rot90(array, 3),
    7: lambda array: np.rot90(np.swapaxes(array, 0, 1), 2),
    8: np.rot90,
}


def is_raster(head: bytes) -> bool:
    """Say whether bytes start a PNG or JPEG file."""
    return head.startswith((SIGNATURE, b"\xff\xd8\xff"))


def read_raster(data: bytes, limit: int) -> tuple[NDArray[Any], ImageMeta]:
    """Decode a PNG or JPEG file.

    Raises:
        Unreadable: it is broken, cut short, of an unsupported kind, or would be larger than
            the limit in bytes when decoded.
    """
    attributes: dict[str, str] = {}
    reader = _png if data.startswith(SIGNATURE) else _jpeg
    try:
        array = reader(data, limit, attributes)
    except Unreadable:
        raise
    except Exception as error:  # each codec has its own error type
        raise Unreadable("unreadable", f"the image is broken: {error}") from error
    return array, ImageMeta(
        shape=array.shape,
        dtype=array.dtype.name,
        channels=3 if array.ndim == 3 else 1,
        attributes=attributes,
    )


def opaque(array: NDArray[Any], attributes: dict[str, str]) -> NDArray[Any]:
    """Return samples (last axis) without transparency: 1 and 2 become grey, 4 become 3."""
    samples = array.shape[-1]
    if samples in (2, 4):
        attributes["alpha"] = "dropped"
    return np.ascontiguousarray(array[..., 0] if samples < 3 else array[..., :3])


def upright(array: NDArray[Any], orientation: object, attributes: dict[str, str]) -> NDArray[Any]:
    """Return a picture turned as its orientation tag says."""
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is None:
        return array
    attributes["orientation"] = f"turned from {orientation}"
    return np.ascontiguousarray(turn(array))


def _png(data: bytes, limit: int, attributes: dict[str, str]) -> NDArray[Any]:
    array = read_png(data, limit)
    return opaque(array, attributes) if array.ndim == 3 else array


def _jpeg(data: bytes, limit: int, attributes: dict[str, str]) -> NDArray[Any]:
    stream = codestream.jpeg(data)
    size = stream.rows * stream.columns * stream.components * (1 if stream.precision <= 8 else 2)
    if not 0 < size <= limit:
        what = "too large" if size else "unreadable"
        raise Unreadable(what, f"{stream.columns} x {stream.rows} pixels for {limit} bytes")
    if stream.components not in (1, 3):
        raise Unreadable("unsupported", f"a JPEG of {stream.components} colours (CMYK)")
    exif = Exif()
    try:
        exif.load(stream.exif)
        orientation = exif.get(_ORIENTATION)
    except (SyntaxError, StructError, ValueError, KeyError):  # Pillow's, on broken Exif
        orientation = None
    return upright(imagecodecs.jpeg8_decode(data), orientation, attributes)
