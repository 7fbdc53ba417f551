"""Generated chest phantoms as DICOM files: something to try the platform on, not medicine.

Each image is a slice through an ellipse of tissue with two lungs, in Hounsfield units;
in half of them one lung holds a round nodule. Every header says that it is generated.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["write_phantoms"]

_SIDE, _SPACING = 64, 5.0


def write_phantoms(folder: Path, count: int = 240, seed: int = 0) -> None:
    """Write phantoms into the class folders ``clear`` and ``nodule``.

    Args:
        folder: where to write; made when it does not exist.
        count: how many images; each invented patient has two of them.
        seed: the same seed gives the same files, byte for byte.
    """
    random = np.random.default_rng(seed)
    for number in range(count):
        patient = number // 2
        label = ("clear", "nodule")[patient % 2]
        slice_ = _slice(random, nodule=label == "nodule")
        path = folder / label / f"phantom-{number:04d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        _dataset(slice_, patient, number, seed).save_as(path, enforce_file_format=True)


def _slice(random: np.random.Generator, *, nodule: bool) -> np.ndarray:
    """Return one slice in Hounsfield units: int16, (64, 64)."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float64)
    centre = _SIDE / 2 + random.normal(0, 0.7, 2)
    image = np.full((_SIDE, _SIDE), -1000.0)
    image[((y - centre[0]) / 22) ** 2 + ((x - centre[1]) / 29) ** 2 < 1] = 40
    lungs = []
    for side in (-1, 1):
        middle = (centre[0] + random.normal(0, 0.5), centre[1] + side * 13)
        height, width = 16 + random.normal(0, 0.5), 9 + random.normal(0, 0.4)
        image[((y - middle[0]) / height) ** 2 + ((x - middle[1]) / width) ** 2 < 1] = -850
        lungs.append((middle, height, width))
    if nodule:
        (row, column), height, width = lungs[random.integers(2)]
        angle, distance = random.uniform(0, 2 * np.pi), random.uniform(0, 0.6)
        row += distance * height * np.sin(angle)
        column += distance * width * np.cos(angle)
        radius = random.uniform(2.0, 4.0)
        blob = np.exp(-(((y - row) ** 2 + (x - column) ** 2) / (2 * (radius / 1.6) ** 2)))
        image = np.maximum(image, -850 + 420 * blob)
    return np.round(image + random.normal(0, 90, image.shape)).astype(np.int16)


def _dataset(slice_: np.ndarray, patient: int, number: int, seed: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"image {seed} {number}"])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[f"study {seed} {patient}"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[f"series {seed} {number}"])
    dataset.PatientID = f"GENERATED-{patient:04d}"
    dataset.PatientName = f"Generated^Phantom {patient:04d}"
    dataset.ImageComments = "Generated phantom; no patient, no diagnosis"
    dataset.Modality = "CT"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [0.0, 0.0, 0.0]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelSpacing = [_SPACING, _SPACING]
    dataset.SliceThickness = _SPACING
    dataset.Rows = dataset.Columns = _SIDE
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -2048
    dataset.PixelData = (slice_.astype(np.int32) + 2048).astype("<u2").tobytes()
    return dataset
