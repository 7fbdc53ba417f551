"""Evolution: a table's columns change, and older versions keep theirs.

A column is known by its number, not by its name: a renamed one keeps its number and its rows, a
dropped name that comes again is a new column. Source: Apache Iceberg's specification, "Schema
evolution".
"""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import polars as pl
from pyiceberg.exceptions import ResolveError
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids
from pyiceberg.schema import Schema, assign_fresh_schema_ids, promote
from pyiceberg.table.update import AddSchemaUpdate, SetCurrentSchemaUpdate
from pyiceberg.types import NestedField, PrimitiveType

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.tables.commit import TableCommit
from lepton_ai.data.tables.types import arrow_of, stored_schema, wider

__all__ = ["adapt", "change_columns", "iceberg_schema"]


def iceberg_schema(schema: Mapping[str, Any]) -> Schema:
    """Return the Iceberg schema, with numbers of its own, of Polars types."""
    empty = arrow_of(pl.DataFrame(schema=schema))
    return assign_fresh_schema_ids(_pyarrow_to_schema_without_ids(empty.schema))


def adapt(commit: TableCommit, wanted: Schema) -> None:
    """Make the table's columns those of a schema; a column of another type is a new column."""
    assert commit.table is not None
    present = {field.name: field for field in commit.table.schema().fields}
    if _shape(commit.table.schema()) == _shape(wanted):
        return
    fields = []
    for field in wanted.fields:
        old = present.get(field.name)
        fields.append(old if old is not None and _bare(old) == _bare(field) else field)
    _stage(commit, fields, keep={id(field) for field in present.values()})


def change_columns(
    commit: TableCommit,
    schema: Mapping[str, Any],
    *,
    add: Mapping[str, Any],
    drop: Sequence[str],
    rename: Mapping[str, str],
    types: Mapping[str, Any],
) -> dict[str, Any]:
    """Change columns without touching rows, and return the Polars types that come out.

    Args:
        schema: the Polars types of the version at hand.
        add: new columns by name and Polars type; empty in the rows that are there.
        drop: columns that later versions do not have.
        rename: new names by old names.
        types: wider types of columns: Int32 to Int64, Float32 to Float64, longer decimals.

    Raises:
        InvalidInput: a column is not there or is there already, or a type is not wider.
    """
    assert commit.table is not None
    unknown = [name for name in (*drop, *rename, *types) if name not in schema]
    if unknown:
        raise InvalidInput(f"there are no columns {unknown}; there are {list(schema)}")
    result: dict[str, Any] = {}
    fields: list[NestedField] = []
    present = {field.name: field for field in commit.table.schema().fields}
    keep: set[int] = set()
    for name, kind in schema.items():
        if name in drop:
            continue
        new = rename.get(name, name)
        field = present[name]
        if name in types:
            old, kind = kind, _polars_type(name, types[name])
            if not wider(old, kind):
                raise InvalidInput(
                    f"column {name!r} cannot become {kind} without writing its rows anew: not "
                    f"every {old} is one; cast it in the frame and use overwrite"
                )
            field = _widened(field, iceberg_schema({name: kind}).fields[0])
        field = field.model_copy(update={"name": new})
        keep.add(id(field))
        fields.append(field)
        if new in result:
            raise InvalidInput(f"there would be two columns {new!r}")
        result[new] = kind
    taken = [name for name in add if name in result]
    if taken:
        raise InvalidInput(f"the columns {taken} are there already")
    result |= {name: _polars_type(name, kind) for name, kind in add.items()}
    if not result:
        raise InvalidInput("a table needs at least one column")
    stored_schema(result)  # refuses names that a table cannot have
    fields += iceberg_schema(result).select(*add).fields if add else ()
    _stage(commit, fields, keep)
    return result


def _stage(commit: TableCommit, fields: Sequence[NestedField], keep: set[int]) -> None:
    """Give new columns numbers that were never used, and make the schema the present one."""
    numbers = count(commit.metadata.last_column_id + 1)
    done = [
        field
        if id(field) in keep
        else assign_fresh_schema_ids(Schema(field), lambda: next(numbers)).fields[0]
        for field in fields
    ]
    known = commit.metadata.schemas
    for schema in known:
        if schema.fields == tuple(done):
            commit.staged()._stage((_use(schema.schema_id),))
            return
    newest = Schema(*done, schema_id=1 + max(schema.schema_id for schema in known))
    commit.staged()._stage((AddSchemaUpdate(schema=newest), _use(newest.schema_id)))


def _polars_type(name: str, kind: Any) -> Any:
    try:
        return pl.DataFrame(schema={name: kind}).schema[name]
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"column {name!r} needs a Polars type, such as polars.Float64; got {kind!r}"
        ) from error


def _use(schema_id: int) -> SetCurrentSchemaUpdate:
    return SetCurrentSchemaUpdate.model_validate({"schema-id": schema_id})


def _widened(field: NestedField, wanted: NestedField) -> NestedField:
    old, new = field.field_type, wanted.field_type
    if old == new:
        return field
    try:
        if not (isinstance(old, PrimitiveType) and isinstance(new, PrimitiveType)):
            raise ResolveError("it is nested")
        promote(old, new)
    except ResolveError as error:
        raise InvalidInput(
            f"column {field.name!r} cannot become {new} without writing its rows anew ({error}); "
            "cast it in the frame and use overwrite"
        ) from error
    return field.model_copy(update={"field_type": new})


def _shape(schema: Schema) -> list[tuple[str, str]]:
    return [(field.name, _bare(field)) for field in schema.fields]


def _bare(field: NestedField) -> str:
    """Return a type as text without the numbers inside it."""
    return str(assign_fresh_schema_ids(Schema(field)).fields[0].field_type)
