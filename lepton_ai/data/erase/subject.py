"""Subject: one person, by the identifiers they are known under, and how to recognise them."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.erase.written import bytes_patterns, printed_pattern, text_pattern
from lepton_ai.storage.keys import KeyRing

__all__ = ["ERASED", "Subject"]

ERASED = "[erased]"

# Anything shorter occurs by chance; so do short numbers.
_LETTERS, _DIGITS = 4, 6
# No column of numbers holds longer ones.
_LONGEST = 38
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
# What whole numbers get when a column of them is read as one of fractions.
_POINT = re.compile(r"(?<=[0-9])\.0+$")


class Subject:
    """A person who is to be forgotten.

    An identifier is found as a whole word in any text, whatever its case. One that is too
    short to tell a person (less than four characters, or six digits) is looked for only in
    columns that are known to hold identifiers. A number is also found among numbers, in tables of
    which nobody said where identifiers are. ``2019.0`` is the number 2019, in any column.

    Args:
        identifiers: such as a patient's id, and what else names the same person.

    Raises:
        InvalidInput: there is none, or one is empty.
    """

    def __init__(self, identifiers: Iterable[str]) -> None:
        words = [word.strip() for word in identifiers]
        self.identifiers = tuple(dict.fromkeys([*words, *map(_plain, words)]))
        if not self.identifiers or not all(self.identifiers):
            raise InvalidInput("say who: a subject needs an identifier that is not empty")
        self.distinct = tuple(word for word in self.identifiers if _is_distinct(word))
        # As it is written too: some characters are no longer themselves once normalised.
        forms = {*self.distinct} | {
            unicodedata.normalize(form, word) for word in self.distinct for form in ("NFC", "NFD")
        }
        self._text = text_pattern(forms)
        self._printed = printed_pattern({unicodedata.normalize("NFKC", word) for word in forms})
        self._bytes = [*bytes_patterns(forms)]
        digits = [word for word in self.distinct if word.isascii() and word.isdigit()]
        self._numbers = {int(word) for word in digits if len(word) <= _LONGEST}

    def token(self, keys: KeyRing) -> str:
        """Return what stands for the person in reports: only this workspace can make it."""
        return keys.token(f"subject {' '.join(sorted(map(str.casefold, self.identifiers)))}")

    def words(self) -> "Subject | None":
        """Return the parts of the person's names, which vocabularies hold one by one."""
        names = (word for word in self.distinct if not any(map(str.isdigit, word)))
        parts = [part for name in names for part in _WORD.findall(name) if len(part) >= _LETTERS]
        return Subject(parts) if parts else None

    def named_in(self, text: str) -> bool:
        """Say whether a text names the person."""
        return self._text is not None and self._text.search(text) is not None

    def without(self, text: str) -> str:
        """Return a text with `ERASED` in the place of the person's name."""
        return text if self._text is None else self._text.sub(ERASED, text)

    def printed_in(self, text: str) -> bool:
        """Say whether a text names the person whose blanks are guessed, as those of a PDF are."""
        # Two letters may be one sign in print.
        plain = unicodedata.normalize("NFKC", text)
        return self._printed is not None and self._printed.search(plain) is not None

    def named_in_bytes(self, data: bytes) -> bool:
        """Say whether bytes hold the person's name in any of the usual encodings."""
        return any(pattern.search(data) for pattern in self._bytes)

    def about(self, frame: pl.DataFrame, keys: Collection[str]) -> pl.Series:
        """Return for each row whether it is the person's.

        Args:
            keys: columns that hold identifiers: a value of theirs is compared as a whole. Where
                there is none, a row is theirs that names them.
        """
        folded = {word.casefold() for word in self.identifiers}
        numbers = {Decimal(word) for word in self.identifiers if _NUMBER.fullmatch(word)}
        found = _none(frame)
        for name in keys:
            values = frame[name].cast(pl.String, strict=False).str.strip_chars()
            if frame[name].dtype.is_numeric():
                found |= _tested(values, lambda value: Decimal(value) in numbers)
            else:
                # Python folds more than Polars lowers.
                found |= _tested(values, lambda value: _plain(value).casefold() in folded)
        return found if keys else self.mentions(frame) | self._numbered(frame)

    def mentions(self, frame: pl.DataFrame) -> pl.Series:
        """Return for each row whether any text in it names the person."""
        found = _none(frame)
        for column in frame.get_columns():
            if _holds(column.dtype, _is_text):
                found |= _tested(column, self._named)
        return found

    def _numbered(self, frame: pl.DataFrame) -> pl.Series:
        """Return for each row whether any number in it is an identifier."""
        found = _none(frame)
        for column in frame.get_columns():
            if column.dtype.is_numeric():
                for number in self._numbers:
                    same = pl.select(pl.lit(column) == number).to_series()
                    found |= same.fill_null(value=False)
            elif _holds(column.dtype, lambda kind: kind.is_numeric()):
                found |= _tested(column, self._holds_number)
        return found

    def _named(self, value: Any) -> bool:
        """Say whether a value, or any within it, names the person."""
        if isinstance(value, bytes):
            return self.named_in_bytes(value)
        return any(map(self._named, _parts(value))) or (
            isinstance(value, str) and self.named_in(value)
        )

    def _holds_number(self, value: Any) -> bool:
        number = isinstance(value, int | float | Decimal) and value in self._numbers
        return number or any(map(self._holds_number, _parts(value)))

    def blackened(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows of others without the person's name in their texts."""
        changed = []
        for column in frame.get_columns():
            if not _holds(column.dtype, _is_text):
                continue
            hits = _tested(column, self._named)
            if hits.any():
                assert self._text is not None
                pattern = self._text
                texts = column.dtype == pl.String
                values = [
                    value if not hit else pattern.sub(ERASED, value) if texts else None
                    for value, hit in zip(column.to_list(), hits, strict=True)
                ]
                changed.append(pl.Series(column.name, values, dtype=column.dtype))
        return frame.with_columns(changed)

    def redacted(self, value: Any, *, top: bool = True) -> Any:
        """Return facts, of the same shape, without what names the person.

        Of a record that names them, nothing is left: its other values are theirs too.
        """
        if isinstance(value, str):
            return ERASED if self.named_in(value) else value
        if isinstance(value, dict):
            theirs = not top and self._direct(value.values())
            return {
                self._key(key, place): _emptied(item) if theirs else self.redacted(item, top=False)
                for place, (key, item) in enumerate(value.items())
            }
        if isinstance(value, list):
            if not top and self._direct(value):
                return [item for item in value if not self._direct([item])]
            return [self.redacted(item, top=False) for item in value]
        return value

    def _key(self, key: str, place: int) -> str:
        """Return a key without the person's name, unlike the others."""
        return f"{ERASED} {place}" if self.named_in(key) else key

    def _direct(self, values: Iterable[Any]) -> bool:
        return any(isinstance(value, str) and self.named_in(value) for value in values)


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _emptied(item) for key, item in value.items()}
    if isinstance(value, list):
        return []
    return ERASED if isinstance(value, str) else None


def _plain(word: str) -> str:
    """Return a whole number without the point and the zeros behind it; anything else as it is."""
    return _POINT.sub("", word) if _NUMBER.fullmatch(word) else word


def _is_distinct(word: str) -> bool:
    return len(word) >= (_DIGITS if word.isdigit() else _LETTERS)


def _none(frame: pl.DataFrame) -> pl.Series:
    return pl.Series([False]).new_from_index(0, frame.height)


def _holds(kind: Any, test: Callable[[Any], bool]) -> bool:
    """Say whether a test holds for a type, or one within it."""
    if isinstance(kind, pl.List | pl.Array):
        return _holds(kind.inner, test)
    if isinstance(kind, pl.Struct):
        return any(_holds(field.dtype, test) for field in kind.fields)
    return test(kind)


def _is_text(kind: Any) -> bool:
    return kind in (pl.String, pl.Categorical, pl.Binary) or isinstance(kind, pl.Enum)


def _tested(column: pl.Series, test: Any) -> pl.Series:
    """Return for each value whether a test holds; each different value is tested once."""
    if column.dtype in (pl.String, pl.Categorical) or isinstance(column.dtype, pl.Enum):
        text = column.cast(pl.String)
        hits = [value for value in text.unique().drop_nulls() if test(value)]
        return text.is_in(hits).fill_null(value=False)
    return pl.Series(
        [value is not None and test(value) for value in column.to_list()], dtype=pl.Boolean
    )


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
