"""TIFF files written by tifffile and Pillow, read back."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable

NUMBERS = np.random.default_rng(0)
GREY = NUMBERS.integers(0, 256, (40, 50), dtype=np.uint8)
COLOUR = NUMBERS.integers(0, 256, (40, 50, 3), dtype=np.uint8)
STACK = NUMBERS.integers(0, 65536, (5, 40, 50), dtype=np.uint16)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pillow(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "TIFF", **options)
    return stream.getvalue()


def reason(data: bytes, limit: int = 2**28) -> str:
    with pytest.raises(Unreadable) as caught:
        decode_upload(data, limit=limit)
    return caught.value.reason


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_types_and_byte_orders(dtype: str, byteorder: str) -> None:
    array, meta = decode_upload(tiff(GREY.astype(dtype), byteorder=byteorder))
    np.testing.assert_array_equal(array, GREY)
    assert (meta.dtype, meta.channels, meta.shape) == (dtype, 1, (40, 50))
    assert array.dtype.isnative


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "lzma", "zstd"])
def test_compressions(compression: str | None) -> None:
    array, meta = decode_upload(tiff(COLOUR, photometric="rgb", compression=compression))
    np.testing.assert_array_equal(array, COLOUR)
    assert meta.channels == 3


def test_layouts() -> None:
    planes = np.ascontiguousarray(np.moveaxis(COLOUR, -1, 0))
    for data in (
        tiff(planes, photometric="rgb", planarconfig="separate"),
        tiff(COLOUR, photometric="rgb", tile=(16, 16), compression="zlib"),
        tiff(COLOUR, photometric="rgb", bigtiff=True),
        pillow(Image.fromarray(COLOUR).convert("RGBA")),
    ):
        np.testing.assert_array_equal(decode_upload(data)[0], COLOUR)


def test_stacks() -> None:
    array, meta = decode_upload(tiff(STACK, photometric="minisblack"))
    np.testing.assert_array_equal(array, STACK)
    assert (meta.shape, meta.channels) == ((5, 40, 50), 1)
    colours = np.stack([COLOUR] * 3)
    array, meta = decode_upload(tiff(colours, photometric="rgb"))
    np.testing.assert_array_equal(array, colours)
    assert meta.channels == 3


def test_jpeg_inside() -> None:
    smooth = np.add.outer(np.arange(120), np.arange(200)).astype(np.uint8) // 2
    colours = np.stack([smooth] * 3, axis=-1)
    for options in ({"tile": (64, 64)}, {"rowsperstrip": 48}, {}):
        data = tiff(colours, photometric="rgb", compression="jpeg", **options)
        assert np.abs(decode_upload(data)[0].astype(int) - colours).max() < 12
    data = tiff(COLOUR, photometric="rgb", compression="jpeg2000")
    assert reason(data) == "unsupported"


def test_jpeg_tile_that_is_larger_than_its_place() -> None:
    data = bytearray(tiff(np.zeros((64, 64), np.uint8), compression="jpeg", tile=(64, 64)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    assert reason(bytes(data)) == "hostile"


def test_colours_as_they_look() -> None:
    array, meta = decode_upload(tiff(GREY, photometric="miniswhite"))
    np.testing.assert_array_equal(array, 255 - GREY)
    assert meta.attributes["inverted"] == "WhiteIsZero"
    palette = Image.fromarray(COLOUR).quantize(16)
    array, _ = decode_upload(pillow(palette))
    np.testing.assert_array_equal(array >> 8, np.asarray(palette.convert("RGB")))
    turned = pillow(Image.fromarray(COLOUR), tiffinfo={274: 6})
    np.testing.assert_array_equal(decode_upload(turned)[0], np.rot90(COLOUR, 3))
    assert reason(pillow(Image.fromarray(COLOUR).convert("CMYK"))) == "unsupported"


def test_bits() -> None:
    mask = GREY > 128
    for compression in (None, "group4"):
        data = pillow(Image.fromarray(mask), compression=compression)
        expected = np.asarray(Image.open(io.BytesIO(data))).astype(np.uint8)
        np.testing.assert_array_equal(decode_upload(data)[0], expected)


def test_first_of_several_series() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(COLOUR, photometric="rgb")
        writer.write(GREY[:10, :10])
    array, meta = decode_upload(stream.getvalue())
    np.testing.assert_array_equal(array, COLOUR)
    assert meta.attributes["series"] == "the first of 2"


def test_broken_files() -> None:
    data = tiff(STACK, photometric="minisblack", compression="zlib")
    assert reason(data[: len(data) // 2]) == "truncated"
    assert reason(tiff(GREY)[:-100]) == "unreadable"
    assert reason(b"II*\0\x08\0\0\0") == "truncated"
    assert reason(b"II*\0") == "unreadable"
    assert reason(tiff(GREY.astype(np.complex64))) == "unsupported"
    assert reason(tiff(GREY), limit=1000) == "too large"


def test_pages_that_go_in_a_circle() -> None:
    data = bytearray(tiff(STACK, photometric="minisblack", metadata=None))
    at = first = struct.unpack_from("<L", data, 4)[0]
    while True:
        end = at + 2 + 12 * struct.unpack_from("<H", data, at)[0]
        (at,) = struct.unpack_from("<L", data, end)
        if not at:
            break
    struct.pack_into("<L", data, end, first)
    assert reason(bytes(data)) == "hostile"
