"""Fitting: rows that come to a table take the types of its columns, and keep their values."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from lepton_ai.core.errors import InvalidInput

__all__ = ["fitted"]


def fitted(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return rows in the columns of a table: in their order and types, empty where left out.

    Raises:
        InvalidInput: there are other columns, or values that do not fit the types.
    """
    unknown = [name for name in frame.columns if name not in schema]
    if unknown:
        raise InvalidInput(
            f"the table has no columns {unknown}, only {list(schema)}; add them first: "
            f"table.evolve(add={{{unknown[0]!r}: polars.{frame.schema[unknown[0]]!r}}})"
        )
    for name, kind in frame.schema.items():
        if _unlike(kind, schema[name]):
            raise InvalidInput(
                f"column {name!r} holds {schema[name]}, and the new rows have {kind} there; cast "
                "them first"
            )
    columns = [
        pl.col(name).cast(kind, strict=True)
        if name in frame.columns
        else pl.lit(None, dtype=kind).alias(name)
        for name, kind in schema.items()
    ]
    try:
        fitting = frame.select(columns)
        for name, kind in frame.schema.items():
            if kind != schema[name]:
                _keep_values(frame[name], fitting[name])
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(
            f"the rows do not fit the table's types {dict(schema)}: {error}"
        ) from error
    return fitting


def _unlike(kind: Any, wanted: Any) -> bool:
    """Say whether values of a type mean nothing as another, though their bits could be cast."""
    if pl.Null in (kind, wanted) or kind == pl.String:
        return False
    if wanted == pl.String:
        # A number may have been written otherwise: 1.10 as 1.1.
        return bool(kind.is_nested() or kind.is_float())
    sorts = ((one.is_temporal(), one.is_nested()) for one in (kind, wanted))
    return len(set(sorts)) > 1


def _keep_values(came: pl.Series, fits: pl.Series) -> None:
    """Refuse rows of which a value became another: rounded, cut off or too large."""
    if pl.String in (came.dtype, fits.dtype) or came.dtype == pl.Null:
        return
    if came.dtype.is_float() and fits.dtype.is_float():
        # Of fewer digits, as everybody expects, but not infinite.
        changed = came.is_finite() & ~fits.is_finite()
    else:
        changed = came.ne_missing(fits.cast(came.dtype, strict=False))
    if changed.any():
        kept = "whole numbers" if fits.dtype.is_integer() else fits.dtype
        raise InvalidInput(
            f"column {came.name!r} holds {kept}, and {came.filter(changed)[0]!r} of the new "
            "rows would be another value as one; round or cast it first, or widen the column"
        )
