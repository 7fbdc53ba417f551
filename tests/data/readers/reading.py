"""What the tests of readers share."""

import io
from typing import Any

import polars as pl

from lepton_ai.data.readers import Reader, Rejects

__all__ = ["read"]


def read(
    reader: Reader, data: bytes, *, keep: bool = True, **options: Any
) -> tuple[pl.DataFrame, Rejects]:
    """Return what a reader makes of bytes, and what it rejects."""
    rejects = Rejects(keep=keep)
    return pl.concat([*reader(io.BytesIO(data), rejects, **options)]), rejects
