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

__all__ = ["arrow_of", "restored", "schema_of", "schema_text", "stored_schema", "wider"]

_STORED: Mapping[Any, Any] = {
    pl.Int8: pl.Int32,
    pl.Int16: pl.Int32,
    pl.UInt8: pl.Int32,
    pl.UInt16: pl.Int32,
    pl.UInt32: pl.Int64,
    pl.UInt64: pl.Decimal(20, 0),
    pl.Duration: pl.Int64,
    pl.Null: pl.String,
    pl.Categorical: pl.String,
    pl.Enum: pl.String,
}
_WIDE = "whole numbers have 64 bits at most; cast it to Float64 or String"
_REFUSED: Mapping[Any, str] = {
    pl.Object: "it mixes types; make it all numbers or all text",
    pl.Int128: _WIDE,
    pl.UInt128: _WIDE,
}
_REFUSED_INSIDE: Mapping[Any, str] = {
    pl.Time: "a time of day needs a column of its own",
    pl.Null: "give what is inside a type",
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
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise InvalidInput(f"{name!r} cannot be the name of a column: it reads as a pattern")
        other = lower.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidInput(
                f"the columns {other!r} and {name!r} differ in case only, which SQL cannot tell "
                f"apart; rename one: frame.rename({{{name!r}: ...}})"
            )
    return pl.Schema({name: _stored(name, kind) for name, kind in schema.items()})


def _stored(name: str, kind: Any, *, nested: bool = False) -> Any:
    base = kind.base_type()
    advice = _REFUSED.get(base) or (_REFUSED_INSIDE.get(base) if nested else None)
    if base == pl.Struct and not kind.fields:
        advice = "give it a field, or leave it out"
    if advice:
        raise InvalidInput(f"column {name!r} holds {kind}, which a table cannot keep; {advice}")
    if base in _STORED:
        return _STORED[base]
    if base == pl.Datetime:
        return pl.Datetime("us", "UTC" if kind.time_zone else None)
    if base in (pl.List, pl.Array):
        return pl.List(_stored(name, kind.inner, nested=True))
    if base == pl.Struct:
        return pl.Struct(
            [pl.Field(f.name, _stored(name, f.dtype, nested=True)) for f in kind.fields]
        )
    return kind


def arrow_of(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as the Arrow table that is stored.

    Raises:
        InvalidInput: a column cannot be kept, or would lose what it holds.
    """
    schema = frame.schema  # made anew each time it is asked for
    wanted = stored_schema(schema)
    changed = [name for name, kind in wanted.items() if schema[name] != kind]
    # A duration is a number inside, and a moment is moved, not cast: a cast stops at overflows.
    moved = [
        value.to_physical() if kind == pl.Duration else value
        for name in changed
        if isinstance(kind := schema[name], pl.Duration | pl.Datetime)
        for value in [pl.col(name).dt.cast_time_unit("us")]
    ]
    try:
        stored = frame.with_columns(moved).cast({name: wanted[name] for name in changed})
        table = stored.to_arrow(compat_level=pl.CompatLevel.oldest())
        # Polars counts the time of day in nanoseconds, Iceberg in microseconds.
        for place, field in enumerate(table.schema):
            if pa.types.is_time64(field.type):
                column = table.column(place).cast(pa.time64("us"))
                table = table.set_column(place, field.name, column)
        back = restored(table.select(changed), schema) if changed else frame
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
        raise _lossy(frame.columns) from error
    lost = [name for name in changed if not back[name].equals(frame[name], check_dtypes=True)]
    if lost:
        raise _lossy(lost)
    blurred = [name for name in table.schema.names if _blurs(table.column(name).combine_chunks())]
    if blurred:
        raise InvalidInput(
            f"the columns {blurred} hold lists of records of which some are missing, which a table "
            "would give back as empty lists; fill them: frame.with_columns(pl.col("
            f"{blurred[0]!r}).fill_null([]))"
        )
    return table


def _blurs(array: pa.Array) -> bool:
    """Say whether a missing list would become an empty one: PyIceberg does so to lists of structs.

    Its projection rebuilds such a list from offsets and values alone, see Arrow's issue 38809.
    """
    kind = array.type
    if pa.types.is_struct(kind):
        return any(_blurs(array.field(place)) for place in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        missing = pa.types.is_struct(kind.value_type) and array.null_count > 0
        return bool(missing) or _blurs(array.flatten())
    return False


def _lossy(names: list[str]) -> InvalidInput:
    return InvalidInput(
        f"among the columns {names} are values that a table cannot keep as they are, such as times "
        "finer than a microsecond or hundreds of thousands of years away; round them: "
        'frame.with_columns(pl.col("time").dt.round("1us"))'
    )


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


def wider(old: Any, new: Any) -> bool:
    """Say whether every value of a type is one of another type too, stored in the same way."""
    if old.is_integer() and new.is_integer():
        return bool(_bounds(new)[0] <= _bounds(old)[0] and _bounds(old)[1] <= _bounds(new)[1])
    if isinstance(old, pl.Enum | pl.Categorical | pl.Null):
        return bool(new == pl.String)
    return bool(old == new) or stored_schema({"n": old}) != stored_schema({"n": new})


def _bounds(kind: Any) -> tuple[int, int]:
    some = pl.lit(0, dtype=kind)
    low, high = pl.select(low=some.lower_bound(), high=some.upper_bound()).row(0)
    return int(low), int(high)


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
