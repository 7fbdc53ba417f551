"""Filling a database with the rows of a snapshot, of this or of an older revision."""

import sqlalchemy as sa
from sqlalchemy import Connection

from lepton_ai.core.errors import Conflict, Corrupt
from lepton_ai.storage.backup.snapshot import Rows
from lepton_ai.storage.database import Database
from lepton_ai.storage.meanings import shown
from lepton_ai.storage.schema import metadata

__all__ = ["empty_database", "fill_database"]


def fill_database(database: Database, revision: str, rows: Rows) -> None:
    """Make the tables as they were, fill them, and bring them up to date.

    Raises:
        Conflict: the database is in use, or a newer version of Lepton AI wrote the rows.
    """
    with database.write(exclusive=True) as connection:
        present = {*sa.inspect(connection).get_table_names()}
        for table in metadata.sorted_tables:
            if table.name in present and connection.execute(sa.select(table).limit(1)).first():
                raise Conflict(
                    f"the database {shown(database.url)} holds a "
                    "workspace already; restore into an empty one"
                )
        database.migrate(connection, revision)
        tables = _tables(connection)
        for name, batch in rows:
            if name not in tables:
                raise Corrupt(f"the backup holds a table {name!r} that this version does not know")
            connection.execute(sa.insert(tables[name]), batch)
        database.migrate(connection)


def empty_database(database: Database) -> None:
    """Remove all rows, for a restore that failed."""
    with database.write(exclusive=True) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))


def _tables(connection: Connection) -> dict[str, sa.Table]:
    """Return the tables that there are, with the types that the code knows of their columns."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        known = metadata.tables.get(table.name, table)
        for column in table.columns:
            column.type = known.columns.get(column.name, column).type
    return dict(found.tables)
