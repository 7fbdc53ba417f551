"""Frames: whatever holds columns, as Polars."""

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load

__all__ = ["checked", "frame_of"]


def frame_of(data: Any) -> pl.DataFrame:
    """Return pandas, Polars or Arrow frames, mappings of columns, or lists of records as Polars.

    Raises:
        InvalidInput: the data is none of these, or its columns cannot be kept.
    """
    try:
        if isinstance(data, pl.LazyFrame):
            frame = data.collect()
        elif isinstance(data, Mapping):
            frame = pl.DataFrame({name: _numbers(values) for name, values in data.items()})
        elif isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
            frame = pl.from_dicts(data, infer_schema_length=None)
        else:
            eager = nw.from_native(data, eager_only=True)
            if eager.implementation.is_pandas():
                load("pyarrow", extra="frames")  # what brings pandas columns to Polars
            frame = eager.to_polars()
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(
            "expected a pandas, Polars or Arrow frame, a mapping from column name to values, or "
            f"a list of records; got {type(data).__name__}: {error}"
        ) from error
    return checked(frame)


def _numbers(values: Any) -> Any:
    """Return a list in which some numbers are whole and others not as numbers of one kind."""
    if not isinstance(values, list | tuple) or {*map(type, values)} - {type(None)} != {int, float}:
        return values
    whole = [value for value in values if isinstance(value, int)]
    # Beyond 2 to the 53rd not every whole number has one of the other kind.
    return (
        values
        if any(abs(value) > 2**53 for value in whole)
        else pl.Series(values, dtype=pl.Float64, strict=False)
    )


def checked(frame: pl.DataFrame) -> pl.DataFrame:
    """Refuse columns that cannot be kept, and make equal content equal bytes."""
    schema = frame.schema  # made anew each time it is asked for
    odd = [name for name, kind in schema.items() if kind == pl.Object]
    if odd:
        raise InvalidInput(f"the columns {odd} mix types; make each all numbers or all text")
    if not frame.width or "" in frame.columns:
        raise InvalidInput(f"every column needs a name; got {frame.columns}")
    # The codes of a categorical depend on the order in which a process met its values, and what is
    # empty throughout inside a list has no type of its own.
    kinds = {name: _settled(kind) for name, kind in schema.items() if kind != pl.Null}
    changed: dict[Any, Any] = {n: kind for n, kind in kinds.items() if kind != schema[n]}
    return (frame.cast(changed) if changed else frame).rechunk()


def _settled(kind: Any) -> Any:
    if isinstance(kind, pl.List):
        return pl.List(_settled(kind.inner))
    if isinstance(kind, pl.Array):
        return pl.Array(_settled(kind.inner), kind.size)
    if isinstance(kind, pl.Struct):
        return pl.Struct([pl.Field(field.name, _settled(field.dtype)) for field in kind.fields])
    return pl.String() if kind in (pl.Categorical, pl.Null) else kind
