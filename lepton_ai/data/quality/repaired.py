"""Repaired: rows of a quarantine as they come back, from a file or a frame, in its own types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.read_table import read_frame

__all__ = ["read_repaired", "typed"]

_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def read_repaired(path: Path) -> pl.DataFrame:
    """Read a file of repaired rows; of CSV all as text, so that 007 stays what it was.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no table.
    """
    if path.suffix.lower() != ".csv":
        return read_frame(path)
    try:
        return pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}; write one: lepton quality quarantine") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read as CSV: {error}") from error


def typed(rows: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return rows in the types that they had before they were written as text.

    Raises:
        InvalidInput: a value cannot be read as one; the message shows it.
    """
    columns = [
        _read(values, schema[values.name]) if values.name in schema else values for values in rows
    ]
    return pl.DataFrame(columns)


def _read(values: pl.Series, kind: Any) -> pl.Series:
    # What is no text has a type of its own, and must fit that of the table.
    if kind == pl.String or values.dtype != pl.String:
        return values
    if kind == pl.Binary:
        raise InvalidInput(f"column {values.name!r} holds bytes, which text does not stand for")
    try:
        if kind.is_temporal() and kind != pl.Duration:
            done = values.str.strptime(kind, strict=False)
        elif kind == pl.Boolean:
            done = values.str.to_lowercase().replace_strict(
                _TRUTHS, default=None, return_dtype=pl.Boolean
            )
        else:
            done = values.cast(kind, strict=False)
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            f"column {values.name!r} holds text, and the table {kind}: {error}"
        ) from error
    lost = values.filter(done.is_null() & values.is_not_null())
    if lost.len():
        raise InvalidInput(
            f"column {values.name!r} holds {kind}, which {lost[0]!r} is not ({lost.len():,} such "
            "values); mend them first"
        )
    return done
