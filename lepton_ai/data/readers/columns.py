"""Columns: Python's values, as databases give them, as series of one type."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.readers.nested import Unlike, common, type_of

__all__ = ["series", "shared"]

_LARGE = pl.Decimal(38, 0)
_PLAIN = {int, float, str, bool, bytes, date, datetime, time, timedelta, Decimal}


def series(name: str, values: Sequence[Any]) -> pl.Series:
    """Return values as a column.

    Moments are kept in UTC, integers of up to 38 digits exactly, documents as lists and
    structures, and what is of no such type, such as a UUID, as text.

    Raises:
        InvalidInput: they mix types.
    """
    kinds = set(map(type, values)) - {type(None)}
    try:
        if kinds and kinds <= {dict, list}:
            return _nested(name, values)
        if memoryview in kinds or bytearray in kinds:
            values = [value if value is None else bytes(value) for value in values]
        elif not kinds <= _PLAIN:
            return pl.Series(name, [v if v is None else str(v) for v in values], dtype=pl.String)
        if kinds == {datetime} and any(value is not None and value.tzinfo for value in values):
            moved = [value if value is None else value.astimezone(UTC) for value in values]
            return pl.Series(name, moved, dtype=pl.Datetime("us", "UTC"))
        if kinds == {int} and not _small(values):
            whole = [value if value is None else Decimal(value) for value in values]
            return pl.Series(name, whole, dtype=_LARGE)
        if kinds == {Decimal} and not all(v is None or v.is_finite() for v in values):
            kinds = {Decimal, float}
        if float in kinds and kinds <= {int, float, Decimal}:
            values = [value if value is None else float(value) for value in values]
        return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        names = sorted(kind.__name__ for kind in kinds)
        raise _mixed(name, " and ".join(names)) from error


def shared(name: str, first: Any, second: Any) -> Any:
    """Return the type that holds the values of two.

    Raises:
        InvalidInput: there is none.
    """
    if first == second:
        return first
    try:
        both = [pl.DataFrame(schema={name: kind}) for kind in (first, second)]
        wide = pl.concat(both, how="diagonal_relaxed").schema[name]
    except pl.exceptions.PolarsError as error:
        raise _mixed(name, f"{first} and {second}") from error
    if wide == pl.String and pl.Null not in (first, second):
        raise _mixed(name, f"{first} and {second}")
    return wide


def _nested(name: str, values: Sequence[Any]) -> pl.Series:
    try:
        kind = type_of(common(None, values))
        rows = [{name: value} for value in values]
        return pl.from_dicts(rows, schema={name: kind}).to_series()
    except Unlike:
        texts = [v if v is None else json.dumps(v, default=str) for v in values]
        return pl.Series(name, texts, dtype=pl.String)


def _small(values: Sequence[Any]) -> bool:
    whole = [value for value in values if value is not None]
    return bool(min(whole) >= -(2**63) and max(whole) < 2**63)


def _mixed(name: str, kinds: str) -> InvalidInput:
    return InvalidInput(
        f"the column {name!r} mixes {kinds}; make it one type in the query: CAST({name} AS ...)"
    )
