"""Uploaded images, decoded for a model. Loaded by the first model of images only."""

from collections.abc import Sequence

from lepton_ai.data.images.decode import Picture, decode_slices, decode_upload, sniff
from lepton_ai.ml.predictor import Predictor

__all__ = ["pictures"]


def pictures(predictor: Predictor, files: Sequence[bytes], limit: int) -> list[Picture]:
    """Return the images that the files of one request hold.

    Each file is an image, but several DICOM files for a model of volumes are the slices of one.

    Args:
        predictor: of a model of images.
        files: in the order they came.
        limit: the most bytes that the decoded images may take together.

    Raises:
        Unreadable: a file is no such image, or they are too large; the message says why.
    """
    usual = predictor.preparation.meta
    of_volumes = usual is not None and len(usual.shape) - (usual.channels > 1) >= 3
    if of_volumes and len(files) > 1 and all(sniff(data) == "dicom" for data in files):
        return [decode_slices(files, limit=limit)]
    found = []
    # All are in memory at once, so a form of many small bombs is held to what one image may be.
    for data in files:
        picture = decode_upload(data, limit=limit)
        limit -= picture[0].nbytes
        found.append(picture)
    return found
