"""Result: what every analysis returns, as data that others can take."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

__all__ = ["Result"]


class Result(Struct, frozen=True, eq=False):
    """What an analysis found.

    Attributes:
        subject: the dataset and its version.
        sampled: which rows were looked at, in words.
    """

    subject: str
    sampled: str

    def text(self) -> str:
        """Return what is printed."""
        raise NotImplementedError

    def __str__(self) -> str:
        # Values and names may be anything; none of them steers a terminal.
        return "".join(mark if mark.isprintable() or mark == "\n" else "?" for mark in self.text())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, text and numbers, None for NaN."""
        # JSON has no NaN, so what goes through it holds none.
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self, enc_hook=_plain))
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(str).tolist() if value.dtype.kind == "M" else value.tolist()
    return value.item() if isinstance(value, np.generic) else str(value)
