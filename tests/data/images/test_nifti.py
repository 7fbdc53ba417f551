"""NIfTI files, against nibabel and SimpleITK."""

import gzip
import io
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.inflate import gunzip

AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 3.0, 11], [0, 0, 0, 1]])


def nifti(
    array: np.ndarray, affine: np.ndarray | None = AFFINE, kind: int = 1, **header: object
) -> bytes:
    """Return a .nii file with fields of its header set."""
    image = (nibabel.Nifti1Image if kind == 1 else nibabel.Nifti2Image)(array, affine)
    for name, value in header.items():
        image.header[name] = value
    stream = io.BytesIO()
    image.to_stream(stream)
    return stream.getvalue()


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def reason(data: bytes, limit: int = 2**28) -> str:
    with pytest.raises(Unreadable) as caught:
        decode_upload(data, limit=limit)
    return caught.value.reason


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_byte_orders(kind: int, dtype: str, order: str, tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.dtype(dtype).newbyteorder(order))
    image = (nibabel.Nifti1Image if kind == 1 else nibabel.Nifti2Image)(array, AFFINE)
    path = tmp_path / "x.nii.gz"
    nibabel.save(image, path)
    ours, meta = decode_upload(path.read_bytes())
    np.testing.assert_array_equal(ours, array.T)
    assert ours.dtype == np.dtype(dtype)
    assert meta.shape == (4, 3, 2)
    assert meta.spacing == (3.0, 2.0, 1.5)
    # x of the array runs along anterior, y along right: RAS to LPS turns both over.
    np.testing.assert_allclose(
        np.reshape(meta.direction, (3, 3)), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    )
    assert meta.origin == (-5.0, 7.0, 11.0)


def test_geometry_as_simpleitk_reads_it(datasets: Path) -> None:
    for path in sorted((datasets / "medical/hippocampus_mr").rglob("*.nii.gz"))[::8]:
        array, meta = decode_upload(path.read_bytes())
        image = SimpleITK.ReadImage(str(path))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), array)
        np.testing.assert_allclose(image.GetSpacing()[::-1], meta.spacing)
        np.testing.assert_allclose(image.GetOrigin(), meta.origin, atol=1e-5)
        np.testing.assert_allclose(image.GetDirection(), meta.direction, atol=1e-6)


def test_scaling() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    ours, _ = decode_upload(nifti(array, scl_slope=0.5, scl_inter=-3))
    np.testing.assert_array_equal(ours, (array.T * 0.5 - 3).astype(np.float32))
    ours, _ = decode_upload(nifti(array, scl_slope=0, scl_inter=7))
    np.testing.assert_array_equal(ours, array.T)
    ours, meta = decode_upload(nifti(array, scl_slope=1, scl_inter=-1024))
    np.testing.assert_array_equal(ours, array.T.astype(int) - 1024)
    assert meta.dtype == "int32"


def test_time_and_single_axes() -> None:
    array = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    data = nifti(array)
    ours, meta = decode_upload(data)
    np.testing.assert_array_equal(ours, array.T)
    assert meta.shape == (5, 4, 3, 2)
    assert meta.spacing == (3.0, 2.0, 1.5)
    assert decode_upload(nifti(array[..., :1]))[1].shape == (4, 3, 2)
    assert decode_upload(nifti(array[:, :, :1, 0]))[1].shape == (1, 3, 2)
    ours, meta = decode_upload(nifti(array[:, :, 0, 0]))
    assert meta.shape == (3, 2)
    assert meta.spacing == (2.0, 1.5)
    assert reason(nifti(array.reshape(2, 3, 2, 2, 5))) == "unsupported"


def test_colours() -> None:
    array = np.zeros((2, 3, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    array["R"], array["B"] = 7, np.arange(24).reshape(2, 3, 4)
    ours, meta = decode_upload(nifti(array))
    assert (meta.shape, meta.channels) == ((4, 3, 2, 3), 3)
    np.testing.assert_array_equal(ours[..., 2], array["B"].T)
    assert (ours[..., 0] == 7).all()


def test_units() -> None:
    array = np.zeros((2, 3, 4), np.uint8)
    _, meta = decode_upload(nifti(array, xyzt_units=3))  # micrometres
    np.testing.assert_allclose(meta.spacing, (0.003, 0.002, 0.0015))
    np.testing.assert_allclose(meta.origin, (-0.005, 0.007, 0.011))


def test_orientation_that_is_not_stated() -> None:
    data = patched(nifti(np.zeros((2, 3, 4), np.uint8)), 252, bytes(4))
    _, meta = decode_upload(data)
    assert meta.origin is None
    assert meta.direction is None
    assert meta.spacing == (3.0, 2.0, 1.5)
    assert meta.attributes["orientation"] == "unknown"


def test_spacing_that_is_no_number() -> None:
    data = patched(nifti(np.zeros((2, 3, 4), np.uint8)), 252, bytes(4))
    data = patched(data, 76 + 4, np.float32(np.nan).tobytes())
    _, meta = decode_upload(data)
    assert meta.spacing is None
    assert "bad_spacing" in meta.attributes


def test_broken_files() -> None:
    good = nifti(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    assert reason(good[:-1]) == "truncated"
    assert reason(gzip.compress(good)[:-20]) == "truncated"
    damaged = bytearray(gzip.compress(good))
    damaged[len(damaged) // 2] ^= 255
    assert reason(bytes(damaged)) in ("unreadable", "truncated")
    assert reason(patched(good, 40, b"\x09\0")) == "unreadable"  # nine dimensions
    assert reason(patched(good, 42, b"\xff\xff")) == "unreadable"  # a negative one
    assert reason(patched(good, 42, b"\xff\x7f\xff\x7f\xff\x7f")) == "too large"
    assert reason(patched(good, 70, b"\x77\x77")) == "unreadable"  # a type there is not
    assert reason(patched(good, 70, b"\x20\x00\x40")) == "unsupported"  # complex numbers
    assert reason(patched(good, 108, np.float32(-1e30).tobytes())) == "unreadable"
    assert reason(patched(good, 344, b"ni1\0")) == "unsupported"
    assert reason(patched(good, 68, b"\xbb\x0b")) == "unsupported"  # CIFTI


def test_gzip_bomb_stops_at_what_the_header_says() -> None:
    good = nifti(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    bomb = gzip.compress(good + bytes(50_000_000))
    assert len(bomb) < 100_000
    assert reason(bomb) == "too large"


def test_gzip_of_many_members_is_not_copied_for_each() -> None:
    data = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    packed = b"".join(gzip.compress(data[at : at + 7]) for at in range(0, len(data), 7))
    assert gunzip(packed, len(data)) == data
    assert gunzip(gzip.compress(data) + packed + bytes(9), 2 * len(data)) == 2 * data
    assert gunzip(packed, 100, whole=False) == data[:100]
    started = time.process_time()
    assert gunzip(gzip.compress(b"") * 500_000, 10) == b""
    assert time.process_time() - started < 15
