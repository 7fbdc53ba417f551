"""Every file that lies in pydicom's and nibabel's wheels: read right, or set aside with a reason.

Pixels are compared with pydicom's or nibabel's own, and, with their geometry, with SimpleITK's.
"""

import gzip
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.pixels import apply_color_lut

from lepton_ai.data.folder import File
from lepton_ai.data.images.decode import decode_upload
from lepton_ai.data.images.failure import Unreadable
from lepton_ai.data.images.load import Loaded, load
from lepton_ai.storage import ObjectStore, Workspace

LIMIT = 2**28
DICOM = Path(pydicom.__file__).parent / "data"
NIFTI = Path(nibabel.__file__).parent

# Set aside, and why. What is in neither table must be read right.
ASIDE = {
    "ExplVR_BigEndNoMeta.dcm": "no pixels",
    "ExplVR_LitEndNoMeta.dcm": "no pixels",
    # Four bytes of the codestream are overwritten; pydicom fails too.
    "JPEG2000-embedded-sequence-delimiter.dcm": "unreadable",
    "MR_truncated.dcm": "truncated",
    "UN_sequence.dcm": "no pixels",
    "badVR.dcm": "unreadable",  # NumberOfFrames is 1A
    "crayons.icc": "unsupported",
    "DICOMDIR-nooffset": "truncated",
    "empty_charset_LEI.dcm": "no pixels",
    "meta_missing_tsyntax.dcm": "unreadable",  # neither Rows nor Columns
    "nested_priv_SQ.dcm": "unreadable",  # neither Rows nor Columns
    "no_meta.dcm": "unsupported",  # starts with a stray byte; pydicom finds no Rows either
    "no_meta_group_length.dcm": "no pixels",
    "priv_SQ.dcm": "no pixels",
    "reportsi.dcm": "no pixels",
    "reportsi_with_empty_number_tags.dcm": "no pixels",
    "rtplan.dcm": "no pixels",
    "rtplan_truncated.dcm": "truncated",
    "rtstruct.dcm": "no pixels",
    "test-SR.dcm": "no pixels",
    "waveform_ecg.dcm": "no pixels",
    "chrJapMulti.dcm": "no pixels",
    "chrJapMultiExplicitIR6.dcm": "no pixels",
    "chrKoreanMulti.dcm": "no pixels",
    "chrSQEncoding.dcm": "no pixels",
    "chrSQEncoding1.dcm": "no pixels",
    "csa_slice_norm.dcm": "no pixels",
    "row_major.dconn.nii": "unsupported",
    "csa2_zero_len.bin.gz": "unsupported",
    "test.mgz": "unsupported",
    "example4d+orig.BRIK.gz": "unsupported",
}
PALETTES = ("fall", "hotiron", "hotmetalblue", "pet", "pet20step", "spring", "summer", "winter")
ASIDE |= {f"{name}.dcm": "no pixels" for name in PALETTES}
ASIDE |= {f"IM{number:06d}": "no pixels" for number in range(20)}
# Formats that are not read, and data that are no images.
ASIDE_SUFFIXES = {
    ".PAR", ".REC", ".HEAD", ".BRIK", ".mnc", ".v", ".trk", ".tck", ".bin", ".hdr",
}  # fmt: skip
IGNORED_SUFFIXES = {".py", ".txt", ".md", ".dump", ".json", ".rst", ".m", ".csa"}
IGNORED = {"README", "DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nopatient"}
IGNORED |= {"DICOMDIR-reordered", "DICOMDIR-empty.dcm", "no_header_end_eof.tck"}
# JPEG decoders may round differently: by so much in so many pixels.
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
# What SimpleITK reads otherwise: 16 and 32-bit RLE colours, bits as 0 and 255, dose unscaled,
# palettes in 8 bits. pydicom and the DICOM standard agree with us.
ITK_VALUES = {"RLE Lossless", "PALETTE COLOR", "SEG", "RTDOSE", "MONOCHROME1"}


def samples(root: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != "."
    )


def dicom_samples() -> list[Path]:
    return [*samples(DICOM), *samples(NIFTI / "nicom/tests/data")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return Workspace.open(tmp_path_factory.mktemp("store") / "home").objects


def loaded(path: Path, store: ObjectStore) -> Loaded:
    return load(File(path.name, path, path.stat().st_size), store.seal, LIMIT, None)


def is_aside(path: Path) -> bool:
    in_table = path.name in ASIDE or path.parent.name == "SE000000"
    return in_table or path.suffix in ASIDE_SUFFIXES


def is_ignored(path: Path) -> bool:
    return path.name in IGNORED or path.suffix in IGNORED_SUFFIXES


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def pydicom_values(data: bytes) -> tuple[np.ndarray, pydicom.FileDataset]:
    """Return what the modality means, computed in double precision from pydicom's pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        stored = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            return apply_color_lut(stored, dataset), dataset
        values = stored.astype(np.float64)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            assert dataset.PixelRepresentation == 0
            values = 2.0**dataset.BitsStored - 1 - values
        slope = dataset.get("DoseGridScaling", dataset.get("RescaleSlope", 1))
        return values * float(slope) + float(dataset.get("RescaleIntercept", 0)), dataset


@pytest.mark.parametrize("path", dicom_samples(), ids=lambda path: path.name)
def test_dicom_sample(path: Path, store: ObjectStore) -> None:
    outcome = loaded(path, store)
    if is_ignored(path):
        assert outcome.ignored
        assert outcome.rejected is None
        return
    if is_aside(path):
        expected = ASIDE.get(path.name, "unsupported" if path.suffix == ".bin" else "no pixels")
        assert outcome.rejected is not None
        assert outcome.rejected.reason == expected
        assert outcome.rejected.detail
        return
    assert outcome.rejected is None
    assert outcome.part is not None
    array, meta = decode_upload(path.read_bytes())
    assert array.shape == meta.shape
    assert array.dtype.name == meta.dtype
    assert array.dtype.isnative
    assert outcome.piece is not None
    assert outcome.piece.meta == meta
    data = unpacked(path)
    if path.name == "JPEG-lossy.dcm":
        # Its scan header is wrong, which pydicom's decoders take badly; this is the mended one.
        data = path.with_name("JPGExtended.dcm").read_bytes()
    values, dataset = pydicom_values(data)
    assert array.shape == values.shape
    if meta.attributes["TransferSyntaxUID"] in LOSSY:
        difference = np.abs(array.astype(np.float64) - values)
        assert difference.max() <= 3
        assert difference.mean() < 0.2
    else:
        np.testing.assert_array_equal(array, values.astype(array.dtype))
    assert (meta.modality or "") == dataset.get("Modality", "")
    assert (meta.series or "") == dataset.get("SeriesInstanceUID", "")
    if "PixelSpacing" in dataset:
        assert meta.spacing is not None
        assert meta.spacing[-2:] == tuple(map(float, dataset.PixelSpacing))


def test_dicom_samples_are_mostly_read() -> None:
    images = [path for path in dicom_samples() if not is_aside(path) and not is_ignored(path)]
    # pydicom's own count of files with pixels is 105, with those in its other folders.
    assert len(images) >= 105


@pytest.mark.parametrize(
    "path",
    [path for path in dicom_samples() if not is_aside(path) and not is_ignored(path)],
    ids=lambda path: path.name,
)
def test_dicom_sample_as_simpleitk_reads_it(path: Path, tmp_path: Path) -> None:
    array, meta = decode_upload(path.read_bytes())
    copy = tmp_path / "x.dcm"
    copy.write_bytes(unpacked(path))
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = SimpleITK.ReadImage(str(copy))
    except RuntimeError:
        assert path.name in ("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm")
        return  # a dose grid of one frame has no thickness, which SimpleITK does not read
    theirs = SimpleITK.GetArrayFromImage(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(copy, force=True)
    kinds = {
        dataset.get("Modality"),
        dataset.PhotometricInterpretation,
        dataset.file_meta.get("TransferSyntaxUID", pydicom.uid.UID("1.2.840.10008.1.2")).name,
    }
    assert theirs.squeeze().shape == array.squeeze().shape
    if not kinds & ITK_VALUES:
        difference = np.abs(theirs.squeeze().astype(np.float64) - array.squeeze())
        assert difference.max() <= (
            0 if "Lossy" not in str(kinds) and "JPEG" not in str(kinds) else 3
        )
    assert meta.modality != "CT" or meta.origin is not None
    if meta.spacing is not None and "spacing_from" not in meta.attributes:
        theirs_spacing = image.GetSpacing()[: len(meta.spacing)][::-1]
        np.testing.assert_allclose(theirs_spacing, meta.spacing, rtol=1e-5)
    if meta.origin is not None:
        np.testing.assert_allclose(image.GetOrigin(), meta.origin, atol=1e-4)
    if meta.direction is not None:
        np.testing.assert_allclose(image.GetDirection(), meta.direction, atol=1e-5)


@pytest.mark.parametrize("path", list(samples(NIFTI / "tests/data")), ids=lambda path: path.name)
def test_nibabel_sample(path: Path, store: ObjectStore) -> None:
    outcome = loaded(path, store)
    if is_ignored(path):
        assert outcome.ignored
        return
    if is_aside(path):
        assert outcome.rejected is not None
        assert outcome.rejected.reason == "unsupported"
        return
    assert outcome.rejected is None
    array, meta = decode_upload(path.read_bytes())
    if outcome.reader == "dicom":
        np.testing.assert_array_equal(array, pydicom_values(path.read_bytes())[0])
        return
    assert outcome.reader == "nifti"
    image = nibabel.load(path)
    theirs = np.asanyarray(image.dataobj).T
    assert array.shape == meta.shape == theirs.shape
    np.testing.assert_allclose(array, theirs, rtol=1e-6, atol=1e-3 * bool(meta.dtype == "float32"))
    affine = np.diag([-1, -1, 1, 1]) @ image.affine
    assert meta.spacing is not None
    assert meta.direction is not None
    matrix = np.reshape(meta.direction, (3, 3)) * meta.spacing[::-1]
    np.testing.assert_allclose(matrix, affine[:3, :3], atol=1e-6)
    np.testing.assert_allclose(meta.origin, affine[:3, 3], atol=1e-6)


def test_truncated_samples_say_so() -> None:
    with pytest.raises(Unreadable, match="8130 bytes of 8192"):
        decode_upload((DICOM / "test_files/MR_truncated.dcm").read_bytes())
