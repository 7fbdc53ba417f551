"""Kinds of personal data: how each is written, and what proves it. Rows of tables, no branches."""

# ruff: noqa: RUF001 (words of several alphabets)

import ipaddress
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct

from lepton_ai.core.optional import load

__all__ = ["KINDS", "NAMES", "PERSON_IN_TEXT", "Kind", "kind_of_name"]


class Kind(Struct, frozen=True):
    """One kind of personal data.

    Attributes:
        name: such as ``e-mail``.
        pattern: of one value, to be found inside text as well.
        check: proves what the pattern found, by checksum or by what numbers exist.
        proof: whether the check is a proof: few random values pass it.
        tag: ``personal`` names one person, ``sensitive`` must not become known.
    """

    name: str
    pattern: re.Pattern[str]
    check: str = ""
    proof: bool = False
    tag: str = "personal"

    def proves(self, value: str) -> bool:
        """Say whether a value that fits the pattern is really of this kind."""
        return not self.check or bool(_checker(self.check)(value))


@cache
def _checker(path: str) -> Callable[[str], Any]:
    if path in _OWN:
        return _OWN[path]
    check: Callable[[str], Any] = load(f"stdnum.{path}:is_valid", extra="privacy")
    return check


def _phone(value: str) -> bool:
    phonenumbers = load("phonenumbers", extra="privacy")
    digits = sum(map(str.isdigit, value))
    # Without a country only what begins with + can be proved; else the shape has to do.
    if not value.lstrip("( ").startswith("+"):
        return 9 <= digits <= 12 and not value.isdigit()
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(value, None)))
    except phonenumbers.NumberParseException:
        return False


def _address(value: str) -> bool:
    try:
        return not ipaddress.ip_address(value).is_unspecified
    except ValueError:
        return False


def _card(value: str) -> bool:
    digits = re.sub(r"[ -]", "", value)
    return len(set(digits)) > 1 and bool(load("stdnum.luhn:is_valid", extra="privacy")(digits))


_OWN: dict[str, Callable[[str], Any]] = {"phone": _phone, "ip": _address, "card": _card}


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@+-]){text}(?![\w@-])", re.IGNORECASE)


KINDS = (
    Kind("e-mail", _pattern(r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"), proof=True),
    Kind("IBAN", _pattern(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"), "iban",
         proof=True, tag="sensitive"),
    Kind("payment card", _pattern(r"[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}"), "card",
         tag="sensitive"),
    Kind("US social security number", _pattern(r"\d{3}-\d{2}-\d{4}"), "us.ssn"),
    Kind("Italian fiscal code", _pattern(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]"),
         "it.codicefiscale", proof=True),
    Kind("Spanish identity number", _pattern(r"(?:\d{8}|[XYZ]\d{7})-?[A-Z]"), "es.nif"),
    Kind("French social security number", _pattern(r"[12] ?\d{2} ?(?:0\d|1[0-2]|[2-9]\d) ?"
         r"(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"), "fr.nir", proof=True),
    Kind("British NHS number", _pattern(r"\d{3}[ -]\d{3}[ -]\d{4}"), "gb.nhs"),
    Kind("Polish PESEL", _pattern(r"\d{11}"), "pl.pesel"),
    Kind("German tax number", _pattern(r"\d{2} ?\d{3} ?\d{3} ?\d{3}"), "de.idnr"),
    Kind("Ukrainian tax number", _pattern(r"\d{10}"), "ua.rntrc"),
    Kind("MAC address", _pattern(r"(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2}"), proof=True),
    Kind("IP address", _pattern(r"(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-F]{0,4}:){3,7}[0-9A-F]{1,4}"),
         "ip", proof=True),
    Kind("telephone number", _pattern(r"\+?\(?\d[\d ()./-]{6,18}\d"), "phone"),
    Kind("coordinates", _pattern(r"-?\d{1,2}\.\d{4,},\s?-?\d{1,3}\.\d{4,}")),
)  # fmt: skip

# Words in the names of columns, in several languages, and what such a column holds. A value that
# is alone no proof of anything (a first name, a birthday) is known by its column.
NAMES: dict[str, tuple[str, str]] = {
    "name": (r"(?:(?:full|first|last|middle|given|family|maiden|patient|customer|client)_?)?names?"
             r"|surnames?|vor_?name|nach_?name|nom|prenom|apellidos?|nombres?|cognome|imie|nazwisko"
             r"|pib|прізвище|імя|піб|фамилия|имя", "personal"),
    "e-mail": (r"e?_?mail(?:_?address)?", "personal"),
    "telephone number": (r"(?:tele)?phone(?:_?(?:no|number))?|mobile|tel|telefon|fax", "personal"),
    "address": (r"(?:home|street|postal|mailing)?_?address|street|strasse|rue|adresse?|адреса",
                "personal"),
    "date of birth": (r"(?:date_?of_?)?birth(?:_?(?:date|day))?|dob|geburts_?datum"
                      r"|date_?naissance|дата_?народження", "personal"),
    "identifier": (r"(?:patient|person|customer|client|subject|member|citizen|employee|account)"
                   r"_?(?:id|no|nr|number)|mrn|ssn|nhs_?(?:no|number)|passport|national_?id"
                   r"|tax_?(?:id|no)|pesel|inn|ipn|iban", "personal"),
    "postal code": (r"zip(?:_?code)?|post(?:al)?_?code|plz|code_?postal", "quasi"),
    "sex": (r"sex|gender|geschlecht|стать", "quasi"),
    "age": (r"age|alter|вік", "quasi"),
    "health": (r"diagnos[ei]s|icd_?(?:10|code)?|hiv|disease|illness", "sensitive"),
    "income": (r"salary|income|wage", "sensitive"),
    "belief or origin": (r"religion|ethnicity|race|nationality", "sensitive"),
}  # fmt: skip

_COLUMN = {kind: (re.compile(words, re.IGNORECASE), tag) for kind, (words, tag) in NAMES.items()}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s.\-_]+")


def kind_of_name(column: str) -> tuple[str, str] | None:
    """Return kind and tag of what a column of this name usually holds; None where none says."""
    plain = _BETWEEN.sub("_", _CAMEL.sub("_", column).replace("'", "")).strip("_")
    for kind, (words, tag) in _COLUMN.items():
        if words.fullmatch(plain):
            return kind, tag
    return None


_WORD = r"[^\W\d_a-zа-яіїєґ][^\W\d_]+(?:[-'’][^\W\d_]+)?"
# A title or a role, then words with capitals: the context in which a name stands in a report.
PERSON_IN_TEXT = re.compile(
    r"(?:\b(?i:mr|mrs|ms|miss|dr|prof|sir|herr|frau|hr|fr|mme|mlle|sig|sig\.ra|sra?|don|doña"
    r"|pan|pani|пан|пані|д-р|patient(?:in)?|named|name is|signed by|surgeon|nurse|doctor|пацієнт"
    r"(?:ка)?|лікар|хворий|хвора)\b\.?:?\s+)"
    rf"({_WORD}(?:\s+(?:(?:van|von|de|der|la|di|bin|al)\s+)*{_WORD}){{0,3}})"
)
