"""Words in places that no viewer shows, of people whom no other attribute names."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.privacy.dicom import deidentify_images
from lepton_ai.storage import Workspace

# What is planted breaks rules.
pytestmark = pytest.mark.filterwarnings("ignore:.*Invalid value for VR:UserWarning")

WORD = b"Rudenkovych1"
COMMENT = b"\xff\xfe" + struct.pack(">H", len(WORD) + 2) + WORD
COMMENT_2000 = b"\xff\x64" + struct.pack(">H", len(WORD) + 4) + b"\0\1" + WORD


def sample(name: str) -> Any:
    ds = pydicom.dcmread(get_testdata_file(name))
    ds.BurnedInAnnotation, ds.Modality = "NO", "CT"
    ds.PatientName, ds.PatientID = "Hlushchenko^Oles", "QX-778-12"
    return ds


def published(ds: Any, folder: Path, workspace: Workspace) -> Path:
    (folder / "in").mkdir()
    ds.save_as(folder / "in" / "a.dcm", enforce_file_format=True)
    deidentify_images(folder / "in", folder / "out" / "deep", workspace=workspace)
    (path,) = (folder / "out" / "deep").rglob("*.dcm")
    return path


def in_app0(stream: bytes) -> bytes:
    body = b"JFIF\0\1\2\0\0\1\0\1\4\1" + WORD
    return stream[:2] + b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body + stream[2:]


def in_tile(stream: bytes) -> bytes:
    at = stream.find(b"\xff\x90")
    (length,) = struct.unpack(">I", stream[at + 6 : at + 10])
    longer = struct.pack(">I", length + len(COMMENT_2000))
    return stream[: at + 6] + longer + stream[at + 10 : at + 12] + COMMENT_2000 + stream[at + 12 :]


JPEG, JPEG_2000, RLE = "SC_rgb_small_odd_jpeg.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm"
STREAMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "comment": (JPEG, lambda s: s[:2] + COMMENT + s[2:]),
    "comment behind fill bytes": (JPEG, lambda s: s[:2] + b"\xff\xff" + COMMENT + s[2:]),
    "comment behind the scan": (JPEG, lambda s: s.replace(b"\xff\xd9", COMMENT + b"\xff\xd9")),
    "behind the end, with another end": (JPEG, lambda s: s + WORD + b"\xff\xd9"),
    "thumbnail": (JPEG, in_app0),
    "comment in JPEG 2000": (JPEG_2000, lambda s: s[:2] + s[2:].replace(b"\xff\x90", COMMENT_2000 + b"\xff\x90", 1)),  # noqa: E501
    "comment in a tile": (JPEG_2000, in_tile),
    "behind the end of JPEG 2000": (JPEG_2000, lambda s: s + WORD + b"\xff\xd9"),
    "behind a run": (RLE, lambda s: s + WORD),
    "between runs": (RLE, lambda s: s[:52] + WORD + s[64:]),
}  # fmt: skip


@pytest.mark.parametrize("place", STREAMS)
def test_streams_hold_nothing_but_the_image(
    place: str, tmp_path: Path, workspace: Workspace
) -> None:
    name, hide = STREAMS[place]
    ds = sample(name)
    before = ds.pixel_array
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    hidden = hide(frame)
    assert WORD in hidden
    ds.PixelData = encapsulate([hidden + bytes(len(hidden) % 2)])
    path = published(ds, tmp_path, workspace)
    assert WORD not in path.read_bytes()
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, before)


def test_the_table_of_offsets_is_made_anew(tmp_path: Path, workspace: Workspace) -> None:
    ds = sample(RLE)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(WORD))
    ds.PixelData = item + WORD + encapsulate([frame], has_bot=False)[8:]
    assert WORD not in published(ds, tmp_path, workspace).read_bytes()


def test_rle_of_another_length_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    ds = sample(RLE)
    ds.Rows += 1
    with pytest.raises(InvalidInput, match=r"nothing was published"):
        published(ds, tmp_path, workspace)


def test_an_odd_number_of_swapped_bytes_keeps_its_last(
    tmp_path: Path, workspace: Workspace
) -> None:
    ds = sample("SC_rgb_small_odd_big_endian.dcm")
    before = ds.pixel_array
    after = pydicom.dcmread(published(ds, tmp_path, workspace)).pixel_array
    np.testing.assert_array_equal(after, before)


def unknown(ds: Any) -> None:
    ds.add_new(0x00089FFF, "LO", WORD.decode())
    inner = Dataset()
    inner.add_new(0x00089FFE, "LT", WORD.decode())
    ds.add_new(0x00089FFC, "SQ", Sequence([inner]))


def wrong_kind(ds: Any) -> None:
    ds.add_new(0x00185100, "OB", WORD)


def inner_pixels(ds: Any) -> None:
    item = Dataset()
    item.BitsAllocated, item.PixelData = 8, WORD
    ds.DerivationCodeSequence = Sequence([item])


def calendar(ds: Any) -> None:
    ds.PatientBirthDateInAlternativeCalendar = WORD.decode()
    ds.ReferenceToRecordedSound = WORD.decode()


def encrypted(ds: Any) -> None:
    item = Dataset()
    item.EncryptedContent = WORD
    ds.EncryptedAttributesSequence = Sequence([item])


def standard_looking(ds: Any) -> None:
    ds.StudyInstanceUID = "1.2.840.10008.7781261"
    ds.FrameOfReferenceUID = f"1.2.840.10008.{WORD.decode()}"


@pytest.mark.parametrize(
    "plant", [unknown, wrong_kind, inner_pixels, calendar, encrypted, standard_looking]
)
def test_attributes_hold_nothing(
    plant: Callable[[Any], None], tmp_path: Path, workspace: Workspace
) -> None:
    ds = sample("CT_small.dcm")
    plant(ds)
    path = published(ds, tmp_path, workspace)
    data = path.read_bytes() + str(path.relative_to(tmp_path)).encode()
    assert WORD not in data
    assert b"7781261" not in data
    assert pydicom.dcmread(path).SOPClassUID == ds.SOPClassUID


def test_a_uid_leads_nowhere_else(tmp_path: Path, workspace: Workspace) -> None:
    ds = sample("CT_small.dcm")
    ds.StudyInstanceUID = "1.2.840.10008.x/../../../../elsewhere"
    published(ds, tmp_path, workspace)
    assert not list(tmp_path.rglob("*elsewhere*"))


def test_short_names_are_found_together(tmp_path: Path, workspace: Workspace) -> None:
    ds = sample("CT_small.dcm")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Li^Bo=李^波"
    ds.InterventionDescription = "scan of 李波, LI BO; libor, bolus given"
    said = pydicom.dcmread(published(ds, tmp_path, workspace)).InterventionDescription
    assert said == "scan of , ; libor, bolus given"


def test_a_voice_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    ds = sample("CT_small.dcm")
    del ds.PixelData
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.9.4.1"
    wave = Dataset()
    wave.WaveformBitsAllocated, wave.WaveformData = 8, WORD
    ds.WaveformSequence = Sequence([wave])
    with pytest.raises(InvalidInput, match="voice"):
        published(ds, tmp_path, workspace)
