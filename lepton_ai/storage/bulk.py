"""Many rows at once: written and looked up by one statement, past SQLAlchemy.

SQLAlchemy's care for each single row, and even the driver's for each parameter, cost more than the
rest of storing a small file.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from itertools import accumulate
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql

from lepton_ai.core.background import start

__all__ = ["ROWS", "find_many", "insert_missing", "insert_parts"]

# Rows of one statement: the next one's are made ready while the database takes in the last one's.
ROWS = 12_544
# SQLite counts them in two digits: step by step it would take twice as long.
_COUNTING = (
    "WITH RECURSIVE digit(d) AS "
    "(SELECT 0 UNION ALL SELECT d + 1 FROM digit WHERE d < min(111, ?1 - 1)), "
    "row(n) AS (SELECT a.d * 112 + b.d FROM digit a CROSS JOIN digit b "
    "WHERE a.d * 112 < ?1 AND a.d * 112 + b.d < ?1)"
)

Columns = Mapping[str, Sequence[Any]]


def insert_missing(connection: Connection, table: sa.Table, columns: Columns, **same: Any) -> None:
    """Insert many rows, leaving alone those whose primary key is there already.

    Args:
        columns: the values of all rows, column by column.
        same: columns that have one value in all rows.
    """
    parts = _parts(columns)
    if len(parts) > 1:
        insert_parts(connection, table, parts, **same)
    elif parts:
        connection.exec_driver_sql(*_statement(connection, table, columns, same))


def insert_parts(
    connection: Connection, table: sa.Table, parts: Iterable[Columns], **same: Any
) -> None:
    """Insert rows as `insert_missing` does, of which each part is asked for when it is due.

    The database takes a part in while the next one is made: at work, it needs no interpreter.

    Args:
        parts: the values of up to `ROWS` rows each, column by column.
    """
    running: Future[Any] | None = None
    try:
        for part in parts:
            statement = _statement(connection, table, part, same)
            if running is not None:
                running.result()
            running = start(connection.exec_driver_sql, *statement)
    finally:
        # Before anything else is done with the connection, and before it is undone.
        if running is not None:
            wait([running])
    if running is not None:
        running.result()


def find_many(
    connection: Connection, query: sa.Select[Any], column: sa.Column[str], values: Sequence[str]
) -> list[sa.Row[Any]]:
    """Return the rows of a query in which an indexed column has one of many different values."""
    if connection.dialect.name == "sqlite":
        given = sa.func.json_each(sa.bindparam("given")).table_valued("value")
        # A join takes the values as they come; IN would put them in order first.
        wanted = query.where(column == given.c.value)
        return [*connection.execute(wanted, {"given": msgspec.json.encode(values).decode()})]
    wanted = query.where(column == sa.func.any(sa.bindparam("given", type_=_TEXTS)))
    return [*connection.execute(wanted, {"given": [*values]})]


_TEXTS = postgresql.ARRAY(sa.Text)


def _parts(columns: Columns) -> list[Columns]:
    count = len(next(iter(columns.values())))
    if count <= ROWS:
        return [columns] if count else []
    return [
        {name: column[start : start + ROWS] for name, column in columns.items()}
        for start in range(0, count, ROWS)
    ]


def _statement(
    connection: Connection, table: sa.Table, columns: Columns, same: Mapping[str, Any]
) -> tuple[str, Any]:
    """Return the statement that inserts rows, and its parameters."""
    make = _insert_sqlite if connection.dialect.name == "sqlite" else _insert_postgres
    return make(connection, table, columns, same)


def _insert_sqlite(
    connection: Connection, table: sa.Table, columns: Columns, same: Mapping[str, Any]
) -> tuple[str, Any]:
    """Return the insertion of columns of which each comes as one text or blob, cut by SQLite.

    No Python object is made for a row: so many at once would call for the garbage collector,
    which then looks at all there are. NULL and the empty text cannot both be in one column.
    """
    bound: list[Any] = []
    whole = {**columns, **{name: [value] for name, value in same.items()}}
    chosen = {
        name: _cut(bound, _ready(connection, table.c[name], values))
        for name, values in whole.items()
    }
    names = ", ".join(f'"{name}"' for name in chosen)
    # Names of the schema and expressions of `_cut`; every value is bound. "WHERE true" tells SQLite
    # that ON belongs to the INSERT, as its documentation says.
    command = f'INSERT INTO "{table.name}" ({names}) SELECT {", ".join(chosen.values())}'
    command = f"{_COUNTING} {command} FROM row WHERE true ON CONFLICT DO NOTHING"
    return command, (len(next(iter(columns.values()))), *bound)


def _cut(bound: list[Any], values: Sequence[Any]) -> str:
    """Bind a column's values and return the expression for the one of row ``n``."""
    if values.count(values[0]) == len(values):
        bound.append(values[0])
        return "?"
    example = next(value for value in values if value is not None)
    if isinstance(example, int):
        bound.append(b"%020d" * len(values) % tuple(values))
        return "CAST(substr(?, n * 20 + 1, 20) AS INTEGER)"
    whole, sizes = _joined(values, isinstance(example, bytes))
    bound.append(whole)
    if sizes.count(sizes[0]) == len(sizes):
        piece = f"substr(?, n * {sizes[0]} + 1, {sizes[0]})"
    else:
        start, size = _cut(bound, [*accumulate(sizes, initial=1)][:-1]), _cut(bound, sizes)
        piece = f"substr(?, {start}, {size})"
    if isinstance(example, bytes):
        return piece
    return f"NULLIF(CAST({piece} AS TEXT), '')" if 0 in sizes else f"CAST({piece} AS TEXT)"


def _joined(values: Sequence[Any], binary: bool) -> tuple[bytes, list[int]]:
    """Return all values as one piece, and the size of each in it."""
    if not binary:
        values = [value or "" for value in values] if None in values else values
        whole = "".join(values)
        if whole.isascii():
            return whole.encode(), [*map(len, values)]
        values = [value.encode() for value in values]
    return b"".join(values), [*map(len, values)]


def _insert_postgres(
    connection: Connection, table: sa.Table, columns: Columns, same: Mapping[str, Any]
) -> tuple[str, Any]:
    names = [*columns, *same]
    insert = postgresql.insert(table).on_conflict_do_nothing(index_elements=[*table.primary_key])
    text = str(insert.compile(dialect=connection.dialect, column_keys=names))
    ready = [_ready(connection, table.c[name], column) for name, column in columns.items()]
    tail = [_ready(connection, table.c[name], [value])[0] for name, value in same.items()]
    rows = [dict(zip(names, (*row, *tail), strict=True)) for row in zip(*ready, strict=True)]
    return text, rows


def _ready(connection: Connection, column: sa.Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    """Return values as the driver takes them."""
    convert = column.type.bind_processor(connection.dialect)
    binary = isinstance(column.type, sa.LargeBinary)
    return values if convert is None or binary else [*map(convert, values)]
