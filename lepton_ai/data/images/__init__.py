"""Images: reading DICOM, NIfTI, PNG, JPEG, TIFF and NumPy files into named, versioned sets."""

from lepton_ai.data.images.image import ImageEntry, ImageMeta, Part, Rejected

__all__ = ["ImageEntry", "ImageMeta", "Part", "Rejected"]
