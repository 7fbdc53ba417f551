"""Elements of real and of broken DICOM files, against pydicom."""

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lepton_ai.data.images.elements import Elements, is_dicom, read_elements
from lepton_ai.data.images.failure import Unreadable
from tests.data.images.dicom_files import dataset, dicom, written

LIMIT = 2**28
SAMPLES = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path for path in SAMPLES.rglob("*") if path.is_file() and is_dicom(path.read_bytes())
)
BROKEN = {"rtplan_truncated.dcm": "truncated"}
# Its sequence says that it ends inside its last item.
BROKEN_ITEMS = {"DICOMDIR-nooffset"}


def agree(ours: Elements, theirs: Dataset) -> int:
    """Compare every value below the pixels, in sequences too; return how many there were."""
    count = 0
    tags = list(theirs.keys())
    assert {tag for tag in ours.places if tag >> 16 != 2} == set(map(int, tags))
    for tag in tags:
        item = theirs.get_item(tag)
        if item.VR == "SQ":
            own = list(ours.items(int(tag)))
            other = theirs[tag].value
            assert len(own) == len(other)
            count += sum(agree(one, two) for one, two in zip(own, other, strict=True))
        elif item.is_raw and ours.places[int(tag)][1] is not None:
            assert ours.raw(int(tag)) == (item.value or b"")
            count += 1
    return count


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_elements_are_those_that_pydicom_finds(path: Path) -> None:
    data = path.read_bytes()
    if path.name in BROKEN:
        with pytest.raises(Unreadable) as caught:
            read_elements(data, LIMIT)
        assert caught.value.reason == BROKEN[path.name]
        return
    ours = read_elements(data, LIMIT)
    if path.name in BROKEN_ITEMS:
        with pytest.raises(Unreadable, match="ends after its sequence"):
            list(ours.items(0x00041220))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(io.BytesIO(data), force=True)
        for tag in list(filter(lambda tag: tag > 0x7FE00010, theirs.keys())):
            del theirs[tag]
        assert agree(ours, theirs) > 0
    if "TransferSyntaxUID" in theirs.file_meta:
        assert ours.syntax == theirs.file_meta.TransferSyntaxUID


def test_there_are_as_many_samples_as_expected() -> None:
    assert len(FILES) > 180


def test_values() -> None:
    elements = read_elements(
        dicom(
            np.zeros((2, 3), np.uint16),
            PixelSpacing=[0.5, 0.75],
            PatientID="ABC ",
            DiffusionBValue=1000.0,
        ),
        LIMIT,
    )
    assert elements.integer(0x00280010) == 2
    assert elements.integer(0x00280011) == 3
    assert elements.numbers(0x00280030) == (0.5, 0.75)
    assert elements.number(0x00280030) == 0.5
    assert elements.text(0x00100020) == "ABC"
    assert elements.doubles(0x00189087) == (1000.0,)
    assert elements.text(0x00100010) is None
    assert elements.raw(0x00100010) is None
    with pytest.raises(Unreadable, match=r"\(0010,0020\) is 'ABC', no number"):
        elements.numbers(0x00100020)


@pytest.mark.parametrize("start", [b"MZ", b"\x7fELF", b"#!/bin/sh\n", b"PK\x03\x04", b"\x89PNG"])
def test_preamble_of_another_format_is_hostile(start: bytes) -> None:
    data = dicom(np.zeros((2, 3), np.uint16))
    with pytest.raises(Unreadable) as caught:
        read_elements(start + data[len(start) :], LIMIT)
    assert caught.value.reason == "hostile"


def test_tiff_in_the_preamble_is_allowed() -> None:
    data = dicom(np.zeros((2, 3), np.uint16))
    assert 0x7FE00010 in read_elements(b"II*\0" + data[4:], LIMIT)


def nested(depth: int) -> bytes:
    inner = Dataset()
    inner.PatientID = "deep"
    for _ in range(depth):
        inner.is_undefined_length_sequence_item = True
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([inner])
        outer["ReferencedStudySequence"].is_undefined_length = True
        inner = outer
    built = dataset()
    built.update(inner)
    return written(built)


def test_sequences_nest_to_a_depth() -> None:
    assert 0x00081110 in read_elements(nested(30), LIMIT)
    with pytest.raises(Unreadable) as caught:
        read_elements(nested(40), LIMIT)
    assert caught.value.reason == "hostile"


def test_absurdly_deep_nesting_does_not_exhaust_the_stack() -> None:
    item = b"\x08\x00\x10\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    head = dicom()
    bare = head[: head.index(b"\x08\x00\x16\x00UI")].replace(
        b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0"
    )
    with pytest.raises(Unreadable) as caught:
        read_elements(bare + item * 100_000, LIMIT)
    assert caught.value.reason == "hostile"


def test_absurdly_many_elements() -> None:
    head = dicom()
    with pytest.raises(Unreadable) as caught:
        read_elements(head + b"\x09\x00\x01\x00LO\x00\x00" * 150_000, LIMIT)
    assert caught.value.reason == "hostile"


def test_length_beyond_the_end() -> None:
    data = dicom(PatientComments="x" * 100)
    with pytest.raises(Unreadable) as caught:
        read_elements(data[:-50], LIMIT)
    assert caught.value.reason == "truncated"
    with pytest.raises(Unreadable) as caught:
        read_elements(data + b"\x7f\x00\x01\x00UT\0\0\xfe\xff\xff\xff", LIMIT)
    assert caught.value.reason == "truncated"


def test_deflated_bomb_is_not_inflated() -> None:
    data = dicom(np.zeros((1000, 1000), np.uint16), TransferSyntaxUID="1.2.840.10008.1.2.1.99")
    assert len(data) < 10_000
    assert read_elements(data, 2**22).raw(0x7FE00010) == bytes(2_000_000)
    with pytest.raises(Unreadable) as caught:
        read_elements(data, 100_000)
    assert caught.value.reason == "too large"


@pytest.mark.parametrize(
    "data",
    [b"", b"DICM", bytes(200), b"\x08\x00", b"\x89PNG\r\n\x1a\n" + bytes(200), b"hello " * 50],
    ids=["empty", "magic", "zeros", "two", "png", "text"],
)
def test_other_files_are_no_dicom(data: bytes) -> None:
    assert not is_dicom(data)
