"""Content: whether stored bytes hold a person, through what wraps and compresses them."""

import polars as pl
from msgspec import Struct

from lepton_ai.data.erase.subject import Subject
from lepton_ai.data.erase.wrappings import BROKEN, TOO_MUCH, Part, Unread, unwrapping

__all__ = ["Sight", "holds", "look"]

# What one content may unfold to in all, and how often one thing may be wrapped in another.
_MOST = 2**32
_DEEPEST = 8


class Sight(Struct, frozen=True):
    """What a look at stored bytes saw of a person.

    Attributes:
        holds: whether they name the person; nothing else matters then.
        unread: why a part of them could not be looked into; empty where all was.
        bare: pages of PDFs without text, such as scans.
    """

    holds: bool
    unread: tuple[str, ...] = ()
    bare: int = 0


def look(subject: Subject, data: bytes, *, whole: bool = False) -> Sight:
    """Look for a person in content: as text in any usual encoding, or inside what wraps it.

    Looks into Parquet, Arrow, archives (workbooks, models, NumPy archives), compressed files,
    PDF, markup, e-mails and mailboxes, and into each within the others.

    Args:
        whole: compare the values of every column of Parquet and Arrow with the identifiers, as
            is right where one of the columns is known to hold them.
    """
    looking = _Looking(subject, whole)
    if looking.holds(data, 0):
        return Sight(holds=True)
    return Sight(False, tuple(sorted(looking.unread)), looking.bare)


def holds(subject: Subject, data: bytes) -> bool:
    """Say whether content names a person; see `look`."""
    return look(subject, data).holds


class _Looking:
    """One look, through everything that its content unfolds to."""

    def __init__(self, subject: Subject, whole: bool) -> None:
        self._subject, self._whole = subject, whole
        self._room = _MOST
        self.unread: set[str] = set()
        self.bare = 0

    def holds(self, data: bytes, depth: int) -> bool:
        if self._subject.named_in_bytes(data):
            return True
        unwrap = unwrapping(data)
        if unwrap is None:
            return False
        try:
            return any(self._told(part, depth) for part in unwrap(data))
        except BROKEN:
            self.unread.add("damaged, or not what it begins like")
        return False

    def _told(self, part: Part, depth: int) -> bool:
        if isinstance(part, pl.DataFrame):
            about = self._subject.about(part, part.columns) if self._whole else None
            return bool((self._subject.mentions(part) if about is None else about).any())
        if isinstance(part, str):
            return self._subject.printed_in(part)
        if isinstance(part, Unread):
            self.unread |= {part.why} if part.why else set()
            self.bare += part.bare
            return False
        self._room -= len(part)
        if depth == _DEEPEST or self._room < 0:
            self.unread.add(TOO_MUCH.why)
            return self._subject.named_in_bytes(part)
        return self.holds(part, depth + 1)
