"""PNG and JPEG files, against Pillow."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable

NUMBERS = np.random.default_rng(0)
GREY = NUMBERS.integers(0, 256, (20, 31), dtype=np.uint8)
COLOUR = NUMBERS.integers(0, 256, (20, 31, 3), dtype=np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png(columns: int, rows: int, depth: int, pixels: bytes) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">LLBBBBB", columns, rows, depth, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def reason(data: bytes, limit: int = 2**28) -> str:
    with pytest.raises(Unreadable) as caught:
        decode_upload(data, limit=limit)
    return caught.value.reason


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA", "RGBA"])
def test_png(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    array, meta = decode_upload(saved(image))
    plain = image.convert("RGB" if mode in ("RGB", "P", "RGBA") else "L")
    np.testing.assert_array_equal(array, np.asarray(plain))
    assert meta.channels == (3 if plain.mode == "RGB" else 1)
    assert ("alpha" in meta.attributes) == mode.endswith("A")


def test_png_of_16_bits() -> None:
    grey = GREY.astype(np.uint16) * 257 + 1
    array, meta = decode_upload(saved(Image.fromarray(grey)))
    np.testing.assert_array_equal(array, grey)
    assert meta.dtype == "uint16"
    colour = COLOUR.astype(np.uint16) * 257 + 1
    array, _ = decode_upload(imagecodecs.png_encode(colour))
    np.testing.assert_array_equal(array, colour)


def test_png_of_two_bits() -> None:
    array, _ = decode_upload(png(8, 1, 2, b"\0" + bytes([0b00011011, 0b11100100])))
    np.testing.assert_array_equal(array, [[0, 85, 170, 255, 255, 170, 85, 0]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_turned_upright(orientation: int) -> None:
    image = Image.fromarray(np.kron(GREY[:4, :6], np.ones((8, 8), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, np.asarray(upright))
    assert meta.shape == array.shape


def test_jpeg_colours() -> None:
    data = saved(Image.fromarray(COLOUR), "JPEG", quality=90)
    array, meta = decode_upload(data)
    np.testing.assert_array_equal(array, np.asarray(Image.open(io.BytesIO(data))))
    assert meta.channels == 3
    assert reason(saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG")) == "unsupported"
    progressive = saved(Image.fromarray(COLOUR), "JPEG", progressive=True)
    assert decode_upload(progressive)[0].shape == COLOUR.shape


def test_jpeg_with_broken_exif() -> None:
    data = saved(Image.fromarray(GREY), "JPEG")
    broken = data[:2] + b"\xff\xe1\x00\x0aExif\0\0\xff\xff" + data[2:]
    np.testing.assert_array_equal(decode_upload(broken)[0], decode_upload(data)[0])


def parts(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">L", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in chunks)


@pytest.mark.parametrize("shape", [(13, 11), (8, 8), (1, 1), (5, 3)])
def test_interlaced_png(shape: tuple[int, int]) -> None:
    pixels = NUMBERS.integers(0, 256, shape, dtype=np.uint8)
    rows = b""
    # Left, top and steps of the seven passes of Adam7.
    for place in ("0088", "4088", "0448", "2044", "0224", "1022", "0112"):
        left, top, across, down = map(int, place)
        part = pixels[top::down, left::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    head, _, end = parts(png(shape[1], shape[0], 8, b""))
    data = joined([(head[0], head[1][:12] + b"\1"), (b"IDAT", zlib.compress(rows)), end])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    np.testing.assert_array_equal(decode_upload(data)[0], pixels)


def test_png_with_whole_checksums_and_broken_parts() -> None:
    head, pixels, end = parts(png(8, 2, 8, bytes(18)))
    assert decode_upload(joined([head, pixels, end]))[0].shape == (2, 8)
    extra = (b"IDAT", pixels[1] + b"more")
    assert decode_upload(joined([head, extra, end]))[0].shape == (2, 8)
    for broken in (
        [head, (b"IDAT", zlib.compress(b"\x09" + bytes(17))), end],  # no such filter
        [head, (b"IDAT", zlib.compress(bytes(19))), end],
        [head, (b"IDAT", b"no zlib stream"), end],
        [(b"IHDR", head[1][:8] + b"\x07" + head[1][9:]), pixels, end],  # 7 bits
        [(b"IHDR", head[1][:9] + b"\x03" + head[1][10:]), pixels, end],  # no palette
        [pixels, end],
    ):
        assert reason(joined(broken)) == "unreadable"
    assert reason(joined([head, (b"IDAT", zlib.compress(bytes(17))), end])) == "truncated"
    assert reason(joined([head, pixels])) == "truncated"


def test_files_that_are_cut_short_or_altered() -> None:
    for data in (saved(Image.fromarray(COLOUR)), saved(Image.fromarray(COLOUR), "JPEG")):
        assert reason(data[: len(data) // 2]) == "truncated"
        assert reason(data[:30]) == "truncated"
    altered = bytearray(saved(Image.fromarray(COLOUR)))
    altered[100] ^= 1
    assert reason(bytes(altered)) == "unreadable"


def test_bombs_are_refused_by_their_header() -> None:
    bomb = png(60_000, 60_000, 8, bytes(60_001) * 100)
    assert len(bomb) < 10_000
    assert reason(bomb) == "too large"
    data = bytearray(saved(Image.fromarray(GREY), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    assert reason(bytes(data)) == "too large"
    assert reason(png(0, 5, 8, b"")) == "unreadable"
