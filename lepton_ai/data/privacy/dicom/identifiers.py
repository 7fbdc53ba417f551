"""Identifiers: what in the originals could name the person, and whether any of it is left."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Identifiers", "identifiers_in"]

_NAMES = {"PN"}
_TEXT = {"LO", "SH", "LT", "ST", "UT", "UC", "PN", "CS", "AE", "UR", "DA", "DT", "UI", "IS", "AS"}
# Attributes whose whole value names a person, a stay or a place.
_KEYWORDS = {
    "PatientID", "OtherPatientIDs", "AccessionNumber", "InstitutionName", "InstitutionAddress",
    "PatientAddress", "PatientTelephoneNumbers", "IssuerOfPatientID", "AdmissionID",
    "RequestingService", "StationName", "DeviceSerialNumber", "InstitutionalDepartmentName",
    "MilitaryRank", "MedicalRecordLocator", "PatientBirthName", "ServiceEpisodeID", "StudyID",
    "PatientBirthDate", "EthnicGroup", "RequestAttributesSequence", "PerformedProcedureStepID",
    "PersonTelephoneNumbers", "PersonAddress", "CountryOfResidence", "RegionOfResidence",
}  # fmt: skip
_ENCODINGS = (
    "utf-8", "latin-1", "iso8859_5", "cp1251", "koi8_r", "shift_jis", "euc_jp", "gb18030",
    "euc_kr", "utf-16-le", "utf-16-be",
)  # fmt: skip
# Shorter ones occur by chance, and name nobody alone.
_SHORTEST = 3
_WORD = re.compile(r"[^\W_]+")


class Identifiers:
    """The identifiers of one person, to be found in text and in bytes.

    Args:
        values: the identifiers, in clear.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self.values = sorted({v.strip() for v in values if len(v.strip()) >= _SHORTEST}, key=len)
        words = "|".join(re.escape(value) for value in reversed(self.values))
        self._text = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.I) if words else None
        coded = {value.encode(code, "ignore") for value in self.values for code in _ENCODINGS}
        parts = sorted((c for c in coded if len(c) >= _SHORTEST), key=len, reverse=True)
        joined = b"|".join(re.escape(part) for part in parts)
        self._bytes = (
            re.compile(rb"(?<![0-9A-Za-z])(?:" + joined + rb")(?![0-9A-Za-z])", re.I)
            if parts
            else None
        )

    def in_text(self, text: str) -> bool:
        """Say whether a text holds one, as a word or words of its own."""
        return self._text is not None and self._text.search(text) is not None

    def without(self, text: str) -> str:
        """Return a text with each one taken out."""
        return text if self._text is None else self._text.sub("", text)

    def in_bytes(self, data: bytes) -> bool:
        """Say whether bytes hold one, in any of the usual encodings."""
        return self._bytes is not None and self._bytes.search(data) is not None


def identifiers_in(dataset: Any) -> Iterator[str]:
    """Yield what could name the person: names and their parts, numbers, places, dates, UIDs."""
    for element in dataset.iterall():
        if element.VR in ("OB", "OW", "OF", "OD", "SQ", "UN"):
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            text = str(value)
            if element.VR in _NAMES:
                yield from _WORD.findall(text)
            elif element.VR == "UI" and not text.startswith("1.2.840.10008."):
                yield text
            elif element.VR in ("DA", "DT"):
                yield text[:8]
                if len(text) >= 8:
                    yield f"{text[:4]}-{text[4:6]}-{text[6:8]}"
                    yield f"{text[6:8]}.{text[4:6]}.{text[:4]}"
            elif element.keyword in _KEYWORDS and element.VR in _TEXT:
                yield text
