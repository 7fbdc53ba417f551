"""Types: what an Iceberg table can hold, and how the other Polars types are kept in it.

Iceberg knows integers of 32 and 64 bits, microseconds and UTC. What is narrower, unsigned or in
another time zone is widened when it is stored and restored when it is read, so that a frame comes
back as it was.
"""

import base64
from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from lepton_ai.core.errors import InvalidInput

__all__ = ["arrow_of", "restored", "schema_of", "schema_text", "stored_schema"]

_INTEGERS: Mapping[Any, Any] = {
    pl.Int8: pl.Int32,
    pl.Int16: pl.Int32,
    pl.UInt8: pl.Int32,
    pl.UInt16: pl.Int32,
    pl.UInt32: pl.Int64,
    pl.UInt64: pl.Decimal(20, 0),
    pl.Int128: pl.Decimal(38, 0),
    pl.Duration: pl.Int64,
    pl.Null: pl.String,
    pl.Categorical: pl.String,
    pl.Enum: pl.String,
}


def stored_schema(schema: Mapping[str, Any]) -> pl.Schema:
    """Return the types that columns have inside Iceberg.

    Raises:
        InvalidInput: a column's type or name cannot be kept.
    """
    lower: dict[str, str] = {}
    for name in schema:
        if not name or not name.isprintable():
            raise InvalidInput(f"every column needs a name that can be printed; got {list(schema)}")
        other = lower.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInput(
                f"the columns {other!r} and {name!r} differ in case only, which SQL cannot tell "
                f"apart; rename one: frame.rename({{{name!r}: ...}})"
            )
    return pl.Schema({name: _stored(name, kind) for name, kind in schema.items()})


def _stored(name: str, kind: Any) -> Any:
    base = kind.base_type()
    if base in _INTEGERS:
        return _INTEGERS[base]
    if base == pl.Datetime:
        return pl.Datetime("us", "UTC" if kind.time_zone else None)
    if base == pl.List:
        return pl.List(_stored(name, kind.inner))
    if base == pl.Array:
        return pl.List(_stored(name, kind.inner))
    if base == pl.Struct:
        return pl.Struct([pl.Field(f.name, _stored(name, f.dtype)) for f in kind.fields])
    if base == pl.Object:
        raise InvalidInput(f"the columns {[name]} mix types; make each all numbers or all text")
    return kind


def arrow_of(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as the Arrow table that is stored.

    Raises:
        InvalidInput: a column cannot be kept, or would lose what it holds.
    """
    wanted = stored_schema(frame.schema)
    changed: dict[Any, Any] = {
        name: kind for name, kind in wanted.items() if frame.schema[name] != kind
    }
    if changed:
        lossy = [
            name
            for name, kind in frame.schema.items()
            if isinstance(kind, pl.Datetime)
            and kind.time_unit == "ns"
            and (frame[name].to_physical() % 1000 != 0).any()
        ]
        if lossy:
            raise InvalidInput(
                f"the columns {lossy} hold times finer than a microsecond, which a table cannot "
                'keep; round them: frame.with_columns(pl.col("time").dt.round("1us"))'
            )
        durations = [
            pl.col(name).dt.cast_time_unit("us").to_physical().alias(name)
            for name in changed
            if isinstance(frame.schema[name], pl.Duration)
        ]
        frame = frame.with_columns(durations).cast(changed)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    # Polars counts the time of day in nanoseconds, Iceberg in microseconds.
    for place, field in enumerate(table.schema):
        if pa.types.is_time64(field.type):
            column = table.column(place).cast(pa.time64("us"), safe=False)
            table = table.set_column(place, field.name, column)
    return table


def restored(table: pa.Table, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return what was stored, in the types it had before.

    Args:
        schema: the type of each column of the whole version.
    """
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    changed: dict[Any, Any] = {}
    special: list[pl.Expr] = []
    for name, now in frame.schema.items():
        kind = schema[name]
        if kind == now:
            continue
        if isinstance(kind, pl.Duration):
            value = pl.col(name).cast(pl.Duration("us"))
            special.append(value.dt.cast_time_unit(kind.time_unit or "us"))
        elif isinstance(kind, pl.Datetime) and kind.time_zone:
            special.append(
                pl.col(name).dt.convert_time_zone(kind.time_zone).dt.cast_time_unit(kind.time_unit)
            )
        else:
            changed[name] = kind
    return frame.with_columns(special).cast(changed) if changed or special else frame


def schema_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as text that `schema_of` reads: Arrow's own form, in base64."""
    empty = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest())
    return base64.b64encode(empty.schema.serialize().to_pybytes()).decode()


def schema_of(text: str) -> pl.Schema:
    """Return the schema that `schema_text` wrote."""
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    frame = pl.from_arrow(schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.schema
