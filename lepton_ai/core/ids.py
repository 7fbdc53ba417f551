"""Identifiers that sort by time and cannot be guessed."""

import os
import time
from datetime import UTC, datetime

__all__ = ["new_id", "time_of"]

# Crockford's base 32: no I, L, O or U, so an id can be read aloud and typed.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at a time: an id is made for every prediction.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


_BITS = 5


def new_id(kind: str, *, after: str = "") -> str:
    """Return ``kind_`` and 26 characters: 48 bits of milliseconds, then 80 random bits.

    The layout is that of a ULID, in lower case, so ids of one kind sort by creation time.

    Args:
        after: an id that this one must sort after, even where the clock was set back since.
    """
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    if after:
        number = max(number, _number(after) + 1 + int.from_bytes(os.urandom(9)))
    text = "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
    return f"{kind}_{text}"


def time_of(identifier: str) -> datetime:
    """Return the moment that an id of `new_id` holds, in UTC."""
    return datetime.fromtimestamp((_number(identifier) >> 80) / 1000, UTC)


def _number(identifier: str) -> int:
    number = 0
    for character in identifier.rpartition("_")[2]:
        number = number << _BITS | _ALPHABET.index(character)
    return number
