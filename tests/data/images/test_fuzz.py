"""Real files with bytes flipped, cut out and cut off: every outcome is an image or `Unreadable`."""

import hashlib
import io
import time
import warnings
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.data import get_testdata_file

from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable
from tests.data.images.dicom_files import enhanced

pytestmark = pytest.mark.slow

ROUNDS = 60
LIMIT = 2**26
NAMES = [
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_rle_2frame.dcm",
    "JPGExtended.dcm",
    "examples_palette.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "rtdose.dcm",
    "DICOMDIR",
    "zipMR.gz",
]


def seeds() -> dict[str, bytes]:
    found = {name: Path(get_testdata_file(name)).read_bytes() for name in NAMES}
    nifti = Path(nibabel.__file__).parent / "tests/data"
    for name in ("standard.nii.gz", "anatomical.nii", "example_nifti2.nii.gz"):
        found[name] = (nifti / name).read_bytes()
    ramp = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint8)
    found["grey.png"] = imagecodecs.png_encode(ramp)
    found["colour.jpg"] = imagecodecs.jpeg8_encode(np.stack([ramp] * 3, axis=-1))
    for name, options in {"plain": {}, "jpeg": {"tile": (16, 16)}, "zlib": {}}.items():
        stream = io.BytesIO()
        compression = None if name == "plain" else name
        tifffile.imwrite(stream, ramp, compression=compression, **options)
        found[f"{name}.tif"] = stream.getvalue()
    for name, save in (("ramp.npy", np.save), ("ramp.npz", np.savez_compressed)):
        stream = io.BytesIO()
        save(stream, ramp)
        found[name] = stream.getvalue()
    volume = np.arange(3 * 4 * 6, dtype=np.uint16).reshape(3, 4, 6)
    found["enhanced.dcm"] = enhanced(volume, [[0.0, 0.0, float(place)] for place in range(3)])
    return found


SEEDS = seeds()
REASONS = {
    "read",
    "unreadable",
    "truncated",
    "unsupported",
    "too large",
    "no pixels",
    "hostile",
    "encrypted",
}


def damaged(data: bytes, numbers: np.random.Generator) -> bytes:
    """Damage a file in one of the ways in which files come to harm, or are made to."""
    kind = numbers.integers(6)
    head = int(numbers.integers(1, min(len(data), 2048)))
    at = head if numbers.random() < 0.7 else int(numbers.integers(len(data)))
    changed = bytearray(data)
    if kind == 0:
        changed[at] ^= 1 << int(numbers.integers(8))
    elif kind == 1:
        for place in numbers.integers(0, len(data), 20):
            changed[place] = int(numbers.integers(256))
    elif kind == 2:
        del changed[at:]
    elif kind == 3:
        del changed[at : at + int(numbers.integers(1, 40))]
    elif kind == 4:
        changed[at : at + 4] = numbers.choice(
            [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"]
        )
    else:
        changed[at:at] = numbers.bytes(int(numbers.integers(1, 40)))
    return bytes(changed)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    data = SEEDS[name]
    numbers = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    outcomes = {"read": 0}
    start = time.monotonic()
    for _ in range(ROUNDS):
        attempt = damaged(data, numbers)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array, meta = decode_upload(attempt, limit=LIMIT)
        except Unreadable as error:
            outcomes[error.reason] = outcomes.get(error.reason, 0) + 1
        else:
            assert array.shape == meta.shape
            assert array.nbytes <= 4 * LIMIT
            outcomes["read"] += 1
    assert sum(outcomes.values()) == ROUNDS
    assert len(outcomes) > 1
    assert set(outcomes) <= REASONS
    # Most take a millisecond; a hang or a bomb would not go unnoticed.
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_jp2klossless.dcm", "rtdose.dcm"])
def test_every_cut_of_a_file(name: str) -> None:
    data = SEEDS[name]
    last = pydicom.dcmread(io.BytesIO(data))["PixelData"].file_tell
    for cut in range(0, len(data), max(1, len(data) // 150)):
        if cut < last + 100:
            with pytest.raises(Unreadable):
                decode_upload(data[:cut], limit=LIMIT)
