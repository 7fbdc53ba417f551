"""Pseudonyms: the same person, study and image get the same new names, under a key."""

import hashlib
import re
from datetime import datetime, timedelta

from pydicom._uid_dict import UID_dictionary

__all__ = ["Pseudonyms", "is_standard"]

_STANDARD = re.compile(r"1\.2\.840\.10008(?:\.\d+)+")
# What may follow the day: a time and an offset from UTC.
_TIME = re.compile(r"[0-9.+-]*")


class Pseudonyms:
    """New names that follow from old ones and a key; without the key nobody finds the way back.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _number(self, kind: str, text: str) -> int:
        digest = hashlib.blake2b(f"{kind}\0{text}".encode(), key=self._key, digest_size=16)
        return int.from_bytes(digest.digest(), "big")

    def patient(self, patient_id: str) -> str:
        """Return a patient's new id and name."""
        return f"anon-{self._number('patient', patient_id) >> 64:016x}"

    def uid(self, uid: str) -> str:
        """Return a new unique identifier (ISO/IEC 9834-8, under 2.25)."""
        return f"2.25.{self._number('uid', uid)}"

    def days(self, patient_id: str) -> int:
        """Return by how many days all dates of a patient move: 1 to 3650, into the past."""
        return -1 - self._number("days", patient_id) % 3650

    def date(self, text: str, days: int) -> str:
        """Return a date (DA) or a date with a time (DT) moved by days; what is neither, empty."""
        stripped = text.strip()
        if not _TIME.fullmatch(stripped[8:]):
            return ""
        try:
            moved = datetime.strptime(stripped[:8], "%Y%m%d") + timedelta(days=days)
        except (ValueError, OverflowError):
            return ""
        return f"{moved:%Y%m%d}{stripped[8:]}"

    def time(self, text: str) -> str:
        """Return a time of day (TM) as it is; what is none, empty."""
        return text if _TIME.fullmatch(text.strip().replace(":", "")) else ""


def is_standard(uid: str, *, own: bool) -> bool:
    """Say whether a UID is one of the DICOM standard, which names nobody.

    Args:
        own: of an object, which only the few that the standard lists can share; what is of a kind
            of objects may be newer than the list.
    """
    return uid in UID_dictionary or (not own and _STANDARD.fullmatch(uid) is not None)
