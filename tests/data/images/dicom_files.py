"""DICOM files for tests: whole ones, built from their elements with pydicom."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

VRS = {1: "OB", 2: "OW", 4: "OW"}


def dataset(pixels: np.ndarray | None = None, **attributes: Any) -> FileDataset:
    """Build a data set around (frames, y, x[, 3]) or (y, x[, 3]) integer pixels.

    Keyword arguments set elements by their DICOM keyword; None removes one.
    """
    meta = FileMetaDataset()
    syntax = UID(attributes.pop("TransferSyntaxUID", ExplicitVRLittleEndian))
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = CTImageStorage
    built = FileDataset(
        None,
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    built.SOPClassUID = CTImageStorage
    built.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    built.Modality = "CT"
    built.PatientID = "P1"
    built.StudyInstanceUID = "1.2.3"
    built.SeriesInstanceUID = "1.2.3.4"
    if pixels is not None:
        colour = pixels.ndim > 2 and pixels.shape[-1] == 3
        built.SamplesPerPixel = 3 if colour else 1
        built.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            built.PlanarConfiguration = 0
        space = pixels.shape[:-1] if colour else pixels.shape
        built.Rows, built.Columns = space[-2:]
        if len(space) == 3:
            built.NumberOfFrames = space[0]
        built.BitsAllocated = built.BitsStored = 8 * pixels.dtype.itemsize
        built.HighBit = built.BitsStored - 1
        built.PixelRepresentation = int(pixels.dtype.kind == "i")
        built.PixelData = pixels.tobytes()
        built["PixelData"].VR = VRS[pixels.dtype.itemsize]
    for keyword in attributes:
        if keyword in built:
            delattr(built, keyword)
    for keyword, value in attributes.items():
        if value is not None:
            setattr(built, keyword, value)
    if syntax.is_compressed and pixels is not None:
        built["PixelData"].VR = "OB"
        built["PixelData"].is_undefined_length = True
    return built


def dicom(pixels: np.ndarray | None = None, **attributes: Any) -> bytes:
    """Return the bytes of a DICOM file; see `dataset`."""
    return written(dataset(pixels, **attributes))


def written(built: FileDataset) -> bytes:
    stream = io.BytesIO()
    built.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def compressed(frames: list[bytes], like: np.ndarray, syntax: str, **attributes: Any) -> bytes:
    """Return a DICOM file with encapsulated frames."""
    return dicom(like, TransferSyntaxUID=syntax, PixelData=encapsulate(frames), **attributes)


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    step: tuple[float, float, float] = (0.0, 0.0, 2.0),
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    names: list[str] | None = None,
    **attributes: Any,
) -> list[Path]:
    """Write the slices of a volume (z, y, x), each ``step`` mm from the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, pixels in enumerate(volume):
        position = [10.0 + number * part for part in step]
        values = {
            "ImagePositionPatient": position,
            "ImageOrientationPatient": list(orientation),
            "PixelSpacing": [0.5, 0.75],
            "InstanceNumber": len(volume) - number,
        } | attributes
        path = folder / (names[number] if names else f"{number:03d}.dcm")
        path.write_bytes(dicom(pixels, **values))
        paths.append(path)
    return paths


def enhanced(pixels: np.ndarray, positions: list[list[float]], **attributes: Any) -> bytes:
    """Return a multi-frame file with functional groups: shared orientation and spacing."""
    built = dataset(pixels, **attributes)
    orientation, measures = pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [0.5, 0.75]
    shared = pydicom.Dataset()
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    built.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for number, position in enumerate(positions):
        place, scale, frame = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = position
        scale.RescaleSlope, scale.RescaleIntercept = 1 + number, 0
        frame.PlanePositionSequence = Sequence([place])
        frame.PixelValueTransformationSequence = Sequence([scale])
        frames.append(frame)
    built.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return written(built)


def dicomdir(*names: list[str]) -> bytes:
    """Return an index of a DICOM medium that lists files by their components."""
    built = dataset()
    records = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such names are what pydicom warns of
        for name in names:
            record = pydicom.Dataset()
            record.ReferencedFileID = name
            records.append(record)
        built.DirectoryRecordSequence = Sequence(records)
        built.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
        return written(built)
