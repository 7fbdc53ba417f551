"""Spans of time, as they are written in steps: ``15m``, ``2h``, ``7d``."""

import re

from lepton_ai.core.errors import InvalidInput

__all__ = ["seconds"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(text: str) -> int:
    """Return how many seconds a span has.

    Raises:
        InvalidInput: it is not written so.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,6})(s|m|h|d|w)", text)
    if match is None:
        raise InvalidInput(f"a span of time is written 30s, 15m, 2h, 7d or 1w; got {text!r}")
    return int(match[1]) * _UNITS[match[2]]
