"""Written: how a name may stand in text and in bytes: encodings, escapes, blanks between words."""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote

__all__ = ["bytes_patterns", "printed_pattern", "text_pattern"]

_CODINGS = ("utf-8", "latin-1", "cp1251", "shift_jis", "euc_kr")
_WIDE = ("utf-16-le", "utf-16-be")
# Less usual ones, in which short words would be found by chance.
_OLDER = (
    "iso8859_2", "cp1250", "iso8859_5", "koi8_r", "cp866", "iso8859_7", "cp1254", "iso8859_8",
    "cp1256", "gb18030", "big5", "euc_jp",
)  # fmt: skip
_SHORTEST_OLDER = 5
# Between words: blanks, as escapes as well, and the mark of DICOM.
_WORD = re.compile(r"[^ \t\n\r\f\v\xa0]+")
_BLANK = r"[\s^]+"
# Between letters that were placed one by one: what looks like a blank, or the end of a line.
_GAP = r"(?:[\s\xad]|[-\u2010]\s)*"
# Two shorter numbers side by side make up another by chance.
_LONG_NUMBER = 9
_BLANK_BYTES = rb"(?:[\s^+]|\xc2?\xa0|\\[nrt]|%20|&nbsp;)+"


def text_pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds any of these as a whole word, whatever its case; None without one."""
    joined = "|".join(_BLANK.join(map(re.escape, _WORD.findall(word))) for word in sorted(words))
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if joined else None


def printed_pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds any of these in a text whose blanks are guessed from the letters' places.

    A short number has all of its digits together or each one apart, as in the boxes of a form.
    """
    joined = "|".join(map(_printed, sorted({form for word in words for form in _orders(word)})))
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if joined else None


def _orders(word: str) -> Iterator[str]:
    """Yield a name without blanks; with its words the other way round if read from the right."""
    parts = _WORD.findall(word)
    yield "".join(parts)
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in word):
        yield "".join(reversed(parts))


def _printed(word: str) -> str:
    letters = [*map(re.escape, word)]
    if word.isdigit() and len(word) < _LONG_NUMBER:
        return word + "|" + r"\s+".join(letters)
    return _GAP.join(letters)


def bytes_patterns(words: Iterable[str]) -> Iterator[re.Pattern[bytes]]:
    """Yield a pattern for each width of characters: a neighbour must not continue the word."""
    narrow: set[bytes] = set()
    wide: set[bytes] = set()
    for word in words:
        for form in (word, word.upper(), word.lower(), word.title()):
            narrow.update(_BLANK_BYTES.join(map(re.escape, parts)) for parts in _narrow(form))
            wide.update(_encoded(form, coding) for coding in _WIDE)
    wide.discard(b"")
    if narrow:
        joined = b"|".join(sorted(narrow))
        yield re.compile(rb"(?<![A-Za-z0-9_])(?:" + joined + rb")(?![A-Za-z0-9_])", re.IGNORECASE)
    if wide:
        yield re.compile(b"|".join(map(re.escape, sorted(wide))))


def _narrow(form: str) -> Iterator[list[bytes]]:
    """Yield the words of a name, encoded or escaped in one way."""
    words = _WORD.findall(form)
    for coding in (*_CODINGS, *_OLDER):
        encoded = [_encoded(word, coding) for word in words]
        long = coding in _CODINGS or len(b"".join(encoded)) >= _SHORTEST_OLDER
        if all(encoded) and long:
            yield encoded
    for escape in _ESCAPES:
        yield [escape(word).encode("ascii", "xmlcharrefreplace") for word in words]


def _encoded(form: str, coding: str) -> bytes:
    """Return a word in an encoding; nothing where that lacks its letters."""
    try:
        return form.encode(coding)
    except UnicodeEncodeError:
        return b""


def _hexadecimal(word: str) -> str:
    return "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in html.escape(word))


# As JSON, HTML and addresses write what is not ASCII.
_ESCAPES = (lambda word: json.dumps(word)[1:-1], html.escape, _hexadecimal, quote)
