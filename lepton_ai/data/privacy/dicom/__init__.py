"""De-identification of DICOM files by the profiles of DICOM PS3.15, Annex E."""

from lepton_ai.data.privacy.dicom.deidentify import (
    DeidentificationReport,
    deidentify_images,
)

__all__ = ["DeidentificationReport", "deidentify_images"]
