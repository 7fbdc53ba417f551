"""Cleaning one DICOM data set: each attribute by its action, down through all sequences."""

from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lepton_ai.data.privacy.detect import redact
from lepton_ai.data.privacy.dicom.identifiers import Identifiers
from lepton_ai.data.privacy.dicom.pixels import clean_pixels
from lepton_ai.data.privacy.dicom.profile import METHOD, METHODS, action_of, kinds_of
from lepton_ai.data.privacy.dicom.pseudonyms import Pseudonyms, is_standard

__all__ = ["clean"]

_DATES = {"DA", "DT"}
_WORDS = {"LO", "SH", "UR", "AE", "CS"}
_PROSE = {"LT", "ST", "UT", "UC"}
_BIRTH = {(0x0010, 0x0030), (0x0010, 0x0032)}
_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW"}
_PIXELS = 0x7FE0
_DUMMIES: dict[str, Any] = {
    "AE": "ANON", "AS": "000Y", "CS": "ANON", "DS": "0", "IS": "0", "LO": "ANON", "LT": "ANON",
    "PN": "ANON", "SH": "ANON", "ST": "ANON", "UC": "ANON", "UT": "ANON", "UR": "", "TM": "000000",
    "DA": "19000101", "DT": "19000101", "FD": 0.0, "FL": 0.0, "SL": 0, "SS": 0, "UL": 0, "US": 0,
}  # fmt: skip
_IMPLEMENTATION = generate_uid(entropy_srcs=["lepton-ai de-identification"])


def clean(dataset: Dataset, names: Pseudonyms, known: Identifiers, patient: str) -> Dataset:
    """Change a data set in place so that it names nobody, and return it.

    Args:
        known: the patient's identifiers, which are taken out of all text that stays.
        patient: the original patient id, which pseudonyms and the shift of dates follow from.
    """
    clean_pixels(dataset)
    _Cleaner(names, known, patient).clean(dataset)
    dataset.PatientID = dataset.PatientName = names.patient(patient)
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.DeidentificationMethod = METHOD
    codes = []
    for value, meaning in METHODS:
        code = Dataset()
        code.CodeValue = value
        code.CodingSchemeDesignator = "DCM"
        code.CodeMeaning = meaning[:64]
        codes.append(code)
    dataset.DeidentificationMethodCodeSequence = Sequence(codes)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    before = getattr(dataset, "file_meta", None)
    meta.TransferSyntaxUID = getattr(before, "TransferSyntaxUID", ExplicitVRLittleEndian)
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "LEPTON"
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
    return dataset


class _Cleaner:
    def __init__(self, names: Pseudonyms, known: Identifiers, patient: str) -> None:
        self._names = names
        self._known = known
        self._days = names.days(patient)

    def clean(self, dataset: Dataset, *, inner: bool = False) -> None:
        for element in list(dataset):
            tag = (element.tag.group, element.tag.element)
            action = action_of(*tag)
            if element.VR in _DATES | {"TM"} and tag not in _BIRTH and not tag[0] % 2:
                action = "keep"  # dates are moved, not removed: the option of the profile
            if element.VR == "UN" or (element.VR in _BYTES and _BYTES.isdisjoint(kinds_of(*tag))):
                action = "remove"  # nobody knows what it holds
            if inner and tag[0] == _PIXELS:
                action = "remove"  # a smaller picture, which nothing looks at
            if action == "remove" or (action == "dummy" and element.VR in ("OB", "OW")):
                del dataset[element.tag]
            elif action == "empty" or (element.VR == "PN" and action == "keep"):
                element.value = Sequence() if element.VR == "SQ" else None
            elif element.VR == "SQ":
                if action == "dummy":
                    element.value = Sequence()
                for item in element.value or []:
                    self.clean(item, inner=True)
            elif action == "dummy":
                element.value = _DUMMIES.get(element.VR)
            elif element.VR == "UI":
                own = action == "uid"
                element.value = self._each(
                    element.value,
                    lambda uid, own=own: uid if is_standard(uid, own=own) else self._names.uid(uid),
                )
            elif element.VR in _DATES:
                element.value = self._each(
                    element.value, lambda text: self._names.date(text, self._days)
                )
            elif element.VR == "TM":
                element.value = self._each(element.value, self._names.time)
            elif element.VR in _WORDS:
                element.value = self._each(element.value, self._known.without)
            elif element.VR in _PROSE:
                # Whoever writes prose names others too, who stand nowhere else.
                element.value = self._each(
                    element.value, lambda text: redact(self._known.without(text))
                )

    def _each(self, value: Any, change: Any) -> Any:
        if value is None or value == "":
            return value
        if isinstance(value, list) or type(value).__name__ == "MultiValue":
            return [change(str(part)) for part in value]
        return change(str(value))
