"""Identifiers that sort by time and cannot be guessed."""

import os
import time

__all__ = ["new_id"]

# Crockford's base 32: no I, L, O or U, so an id can be read aloud and typed.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at a time: an id is made for every prediction.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


def new_id(kind: str) -> str:
    """Return ``kind_`` and 26 characters: 48 bits of milliseconds, then 80 random bits.

    The layout is that of a ULID, in lower case, so ids of one kind sort by creation time.
    """
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    text = "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
    return f"{kind}_{text}"
