"""Engines: connections to SQLite and PostgreSQL, set up the way the house needs them."""

import sqlite3
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from lepton_ai.core.optional import load

__all__ = ["WAIT_SECONDS", "make_engine"]

WAIT_SECONDS = 60
_PRAGMAS = (
    # Of a new database. A row of an object has a third of a kilobyte: more of them to a page is
    # fewer pages to log, and storing 50,000 small files takes a twentieth less time.
    "PRAGMA page_size = 8192",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    # Deleted rows hold sealed facts and wrapped keys: what is erased must be gone.
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -65536",
    # Pages move from the write-ahead log to the database once it holds 64 MiB of them, not after
    # each transaction of 4 MiB; and a large one must not leave a large log for good.
    "PRAGMA wal_autocheckpoint = 8192",
    "PRAGMA journal_size_limit = 67108864",
)


def make_engine(url: sa.URL) -> Engine:
    """Return the connection pool of a database.

    Raises:
        MissingExtra: PostgreSQL's driver is not installed.
    """
    return _ENGINES[url.get_backend_name()](url)


class _SqliteCursor(sqlite3.Cursor):
    """A cursor whose errors are errors of the driver, whatever bytes they quote.

    SQLite quotes a damaged schema in its message, and the driver fails to decode that.
    """

    def execute(self, *args: Any) -> Self:
        try:
            return super().execute(*args)
        except UnicodeDecodeError as error:
            raise _malformed(error) from error

    def executemany(self, *args: Any) -> Self:
        try:
            return super().executemany(*args)
        except UnicodeDecodeError as error:
            raise _malformed(error) from error


class _SqliteConnection(sqlite3.Connection):
    """A connection with such cursors."""

    def cursor(self, factory: Any = _SqliteCursor) -> Any:
        return super().cursor(factory)

    def execute(self, *args: Any) -> Any:
        # The driver's own makes a cursor of the driver's.
        return self.cursor().execute(*args)


def _malformed(error: UnicodeDecodeError) -> sqlite3.DatabaseError:
    quoted = error.object.decode(errors="backslashreplace")
    return sqlite3.DatabaseError(f"database disk image is malformed: {quoted}")


def _sqlite(url: sa.URL) -> Engine:
    engine = sa.create_engine(
        url,
        # The driver must not begin transactions by itself: `begin` below does, in the right mode.
        connect_args={
            "timeout": WAIT_SECONDS,
            "isolation_level": None,
            "factory": _SqliteConnection,
        },
        pool_size=8,
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        for pragma in _PRAGMAS:
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("lepton_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _postgres(url: sa.URL) -> Engine:
    load("psycopg", extra="postgres")
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=-1)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        # As on SQLite: waiting for a writer ends in a clear error, never in a hang.
        connection.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        connection.commit()

    return engine


_ENGINES = {"sqlite": _sqlite, "postgresql": _postgres}
