"""Identifiers: what in the originals could name the person, and whether any of it is left.

People write a name without its accents, a number with blanks and a date in many ways, so each is
looked for in all of them. Numbers and UIDs are compared as wholes: digits repeat by chance.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from lepton_ai.data.privacy.dicom.profile import action_of
from lepton_ai.data.privacy.dicom.pseudonyms import is_standard

__all__ = ["Identifiers", "identifiers_in"]

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
# Of these, each word names the person as well.
_ADDRESSES = {"PatientAddress", "PersonAddress"}
_ENCODINGS = (
    "utf-8", "latin-1", "iso8859_2", "iso8859_5", "cp1251", "koi8_r", "iso8859_7", "iso2022_jp",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "utf-16-le", "utf-16-be",
)  # fmt: skip
_ESCAPE = re.compile(rb"\x1b[$(][()]?[A-Z@]")
# What de-identified files say instead of a name, ours among them, names nobody.
_NOBODY = {"anon", "anonymous", "anonymized", "anonymised", "unknown", "19000101", "000000"}
# Shorter ones occur by chance, and name nobody alone; ideograms tell more.
_SHORTEST, _SHORTEST_IDEOGRAMS, _SHORTEST_BYTES = 3, 2, 4
# From so many characters on, an identifier is no part of another word.
_LONG = 6
_DIGITS = 5
_WORD = re.compile(r"[^\W_]+")
_UID = re.compile(r"[0-2](?:\.\d+){3,}")
_UID_BYTES = re.compile(rb"[0-2](?:\.\d+){3,}")
_IDEOGRAMS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CENTURIES = {"18", "19", "20", "21"}
_MONTHS = {
    word: number
    for number, words in enumerate(
        ("jan", "feb", "mar mär", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov",
         "dec dez"), 1,
    )
    for word in words.split()
}  # fmt: skip
# The day first or the month; a month by its name; the year first. Six digits of time may follow.
_DATE = re.compile(
    r"(?<!\d)(?:"
    r"(\d{1,2})[\s./-]{1,2}(\d{1,2})[\s./-]{1,2}(\d{4}|\d{2})"
    r"|(?P<eight>\d{8})"
    r"|(\d{1,2})(?:st|nd|rd|th|\.)?[\s-]*(?:of\s+)?([^\W\d_]{3,9})[\s,.-]*(\d{4}|\d{2})"
    r"|(?P<ymd>(\d{4})[\s./-](\d{1,2})[\s./-](\d{1,2}))"
    r")(?!\d(?!\d{5}(?!\d)))"
    r"|(?<![^\W_])([^\W\d_]{3,9})[\s.-]*(\d{1,2})(?:st|nd|rd|th)?[\s,-]*(\d{4}|\d{2})(?!\d)"
)
_DATE_BYTES = re.compile(
    rb"(?<!\d)(?:(?P<ymd>\d{8}|\d{4}-\d\d-\d\d)|(?P<dmy>\d\d\.\d\d\.\d{4}))(?!\d(?!\d{5}(?!\d)))"
)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


Day = tuple[int, int, int]


class Identifiers:
    """The identifiers of one person, to be found in text and in bytes.

    Args:
        values: the identifiers, in clear.
    """

    def __init__(self, values: Iterable[str]) -> None:
        stripped = {value.strip() for value in values}
        # There may be thousands of these: they are looked up, not searched for.
        self._uids = {value for value in stripped if _UID.fullmatch(value)}
        self._days = {day for value in stripped if (day := _day(value)) is not None}
        words = {value for value in stripped - self._uids if _tells(value) and not _day(value)}
        forms = sorted({form for word in words for form in _written(word)}, key=len, reverse=True)
        self._text = re.compile("|".join(map(_pattern, forms)), re.IGNORECASE) if forms else None
        self._numbers = {form for form in forms if len(form) >= _LONG}
        self._bytes = sorted({part for form in forms for part in _encoded(form)})

    def in_text(self, text: str) -> bool:
        """Say whether a text holds one, however it is written there."""
        return self._without(text) != text

    def is_one(self, value: str) -> bool:
        """Say whether a number or a UID is one, as a whole."""
        return value in self._uids or value in self._numbers or _day(value) in self._days

    def without(self, text: str) -> str:
        """Return a text with each one taken out."""
        # What stood around one may make another.
        while (less := self._without(text)) != text:
            text = less
        return text

    def _without(self, text: str) -> str:
        text = _UID.sub(lambda found: "" if found.group() in self._uids else found.group(), text)
        text = _DATE.sub(
            lambda found: found.group() if self._days.isdisjoint(_days(found)) else "", text
        )
        return text if self._text is None else self._text.sub("", text)

    def in_bytes(self, data: bytes, *, shortest: int = 0, besides: Collection[str] = ()) -> bool:
        """Say whether bytes hold one, in any of the usual encodings.

        Args:
            shortest: how many bytes one must have to tell anything in so many bytes.
            besides: words and dates that stand there rightly, in lower case.
        """
        lowered = data.lower()
        allowed = {_day(word) for word in besides}
        # The second time, text in UTF-16 looks like ASCII.
        for view in (lowered, lowered.replace(b"\0", b"")):
            if any(uid.decode() in self._uids for uid in _UID_BYTES.findall(view)):
                return True
            for found in _DATE_BYTES.finditer(view):
                day = _day(re.sub(r"\D", "", found.group().decode()), found.lastgroup or "")
                if day in self._days and day not in allowed:
                    return True
            for part in self._bytes:
                known = len(part) >= shortest and part.decode("latin-1") not in besides
                if known and _stands(part, view):
                    return True
        return False


def identifiers_in(dataset: Any) -> Iterator[str]:
    """Yield what could name the person: names and their parts, numbers, places, dates, UIDs."""
    for element in dataset.iterall():
        if element.VR in ("OB", "OW", "OF", "OD", "SQ", "UN"):
            continue
        values = element.value if element.VM > 1 else [element.value]
        for value in values:
            text = str(value)
            if element.VR == "PN":
                yield from _WORD.findall(text)
                yield from _whole_names(text)
            elif element.VR == "UI":
                own = action_of(element.tag.group, element.tag.element) == "uid"
                if not is_standard(text, own=own):
                    yield text
            elif element.VR in ("DA", "DT"):
                yield text[:8]
            elif element.keyword in _KEYWORDS and element.VR in _TEXT:
                yield text
                yield from re.findall(rf"\d{{{_DIGITS},}}", text)
                if element.keyword in _ADDRESSES:
                    yield from (word for word in _WORD.findall(text) if len(word) >= _DIGITS)


def _whole_names(value: str) -> Iterator[str]:
    """Yield family and given name together: alone, short ones occur by chance."""
    for group in value.split("="):
        words = _WORD.findall(group)[:2]
        if len(words) == 2 and not all(map(_tells, words)):
            yield from (" ".join(words), " ".join(reversed(words)))
            if _IDEOGRAMS.search(group):
                yield "".join(words)


def _tells(value: str) -> bool:
    shortest = _SHORTEST_IDEOGRAMS if _IDEOGRAMS.search(value) else _SHORTEST
    return len(value) >= shortest and value.casefold() not in _NOBODY


def _written(value: str) -> Iterator[str]:
    """Yield the ways to write a word: composed, decomposed, without accents, with digraphs."""
    composed = unicodedata.normalize("NFC", value)
    decomposed = unicodedata.normalize("NFD", value)
    yield from (value, composed, decomposed)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    if len(bare) >= _SHORTEST:
        yield from (bare, composed.translate(_GERMAN))


def _pattern(form: str) -> str:
    """Return what finds a word in text."""
    if " " in form and not any(map(str.isdigit, form)):
        words = r"[\W_]{0,3}".join(map(re.escape, form.split()))
        whole = len(form) >= _LONG or _IDEOGRAMS.search(form)
        return words if whole else rf"(?<![^\W_]){words}(?![^\W_])"
    if _IDEOGRAMS.search(form):
        return re.escape(form)
    if form.isdigit() and len(form) >= _LONG:
        return rf"(?<!\d){_spaced(form)}(?!\d)"
    if len(form) >= _LONG:
        return _spaced(form) if any(map(str.isdigit, form)) else re.escape(form)
    return rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"


def _spaced(form: str) -> str:
    """Return a pattern for a number however it is grouped."""
    return r"[\W_]{0,2}".join(re.escape(letter) for letter in form if letter.isalnum())


def _day(text: str, order: str = "ymd") -> Day | None:
    """Return the day of eight digits: its year in the century, its month, its day."""
    if len(text) != 8 or not text.isdecimal():
        return None
    year, month, day = (
        (text[:4], text[4:6], text[6:]) if order == "ymd" else (text[4:], text[2:4], text[:2])
    )
    whole = int(year[2:]), int(month), int(day)
    return whole if 1 <= whole[1] <= 12 and 1 <= whole[2] <= 31 and year[:2] in _CENTURIES else None


def _days(found: re.Match[str]) -> Iterator[Day]:
    """Yield the days that a date in text may mean."""
    parts = [part for part in found.groups() if part]
    if found.lastgroup == "eight":
        text = parts[0]
        orders = [
            [text[:4], text[4:6], text[6:]],
            [text[4:], text[2:4], text[:2]],
            [text[4:], text[:2], text[2:4]],
        ]
    elif found.lastgroup == "ymd":
        orders = [parts[1:]]
    elif parts[0][0].isalpha():
        orders = [[parts[2], parts[0], parts[1]]]
    else:
        # The day or the month comes first, depending on the country.
        orders = [[parts[2], parts[1], parts[0]], [parts[2], parts[0], parts[1]]]
    for year, month, day in orders:
        number = month if month.isdecimal() else _MONTHS.get(month[:3].lower(), 0)
        if day.isdecimal():
            yield int(year[-2:]), int(number), int(day)


def _encoded(form: str) -> Iterator[bytes]:
    """Yield a word in every encoding that has its letters; `bytes.lower` folds ASCII only."""
    encodings = ("ascii",) if form.isascii() else _ENCODINGS
    for written in {form, form.upper(), form.lower(), form.title()}:
        for encoding in encodings:
            try:
                part = _ESCAPE.sub(b"", written.encode(encoding)).lower()
            except UnicodeEncodeError:
                continue
            if len(part) >= _SHORTEST_BYTES:
                yield part


def _stands(part: bytes, data: bytes) -> bool:
    """Say whether a word stands in bytes: if it is short or a number, not within another."""
    alone = len(part) < _LONG or part.isdigit()
    at = data.find(part)
    while at >= 0:
        before, after = data[at - 1 : at] if at else b"", data[at + len(part) :][:1]
        if not alone or not (before.isalnum() or after.isalnum()):
            return True
        at = data.find(part, at + 1)
    return False
