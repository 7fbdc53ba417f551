"""The metadata database: SQLite in the workspace, or PostgreSQL by URL.

SQLite runs in WAL mode with synchronous=FULL. A writer begins with BEGIN IMMEDIATE, so it
waits its turn at the start and is never told "database is locked" in the middle. On
PostgreSQL every writer holds an advisory lock in shared mode, and the few operations that
must be alone (migration, switching the active key, collection) hold it exclusively.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, exc
from sqlalchemy.dialects import postgresql, sqlite

from lepton_ai.core.errors import Conflict, InvalidInput
from lepton_ai.core.locks import lock_errors
from lepton_ai.storage.engines import WAIT_SECONDS, make_engine
from lepton_ai.storage.meanings import translated
from lepton_ai.storage.schema import metadata

__all__ = ["BATCH", "Database"]

# Rows per statement: below the bound parameters that either database allows.
BATCH = 5000

_WRITERS = 0x4C6570746F6E  # "Lepton": the key of the writers' advisory lock

# Engines of the parent process, kept alive in a forked child: closing an SQLite connection
# that another process opened could delete the write-ahead log under its feet.
_inherited: list[Engine] = []


class Database:
    """Connections to the metadata database, for any number of threads and processes.

    Args:
        url: an SQLAlchemy URL, ``sqlite:///path`` or ``postgresql://user@host/name``.

    Raises:
        InvalidInput: the URL cannot be read or names another database.
        MissingExtra: PostgreSQL's driver is not installed.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self.url = _parse(url)
        self.dialect = self.url.get_backend_name()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pid = os.getpid()

    @property
    def engine(self) -> Engine:
        """The connection pool of this process."""
        if self._pid != os.getpid():
            if self._engine is not None:
                _inherited.append(self._engine)
            # The parent's lock may have been held, by a thread that this process lacks.
            self._lock, self._local = threading.Lock(), threading.local()
            self._engine, self._pid = None, os.getpid()
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.url)
            return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one snapshot (SQLite) or committed rows (PostgreSQL).

        Inside a write of the same thread it is that connection, which sees its own changes.
        """
        engine = self.engine
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            yield outer
            return
        with translated(self.url), engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection that sees one moment for as long as it is used, in every database."""
        options = {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with (
            translated(self.url),
            self.engine.connect().execution_options(**options) as connection,
        ):
            yield connection

    @contextmanager
    def write(self, *, exclusive: bool = False) -> Iterator[Connection]:
        """Give a connection inside a write transaction, committed when the block ends well.

        Inside another write of the same thread, it is a part of that one, undone alone when
        its block fails.

        Args:
            exclusive: let no other writer run meanwhile; on SQLite there never is one.

        Raises:
            Conflict: another writer held on for a minute.
            StorageFull: the disk is full; the transaction was undone.
        """
        engine = self.engine
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            if exclusive:
                raise Conflict(
                    "this cannot be done inside a transaction, as no other writer may run "
                    "meanwhile; finish the transaction first"
                )
            with outer.begin_nested():
                yield outer
            return
        with (
            translated(self.url),
            engine.connect().execution_options(lepton_begin="IMMEDIATE") as connection,
            connection.begin(),
        ):
            if self.dialect == "postgresql":
                lock = "pg_advisory_xact_lock" + ("" if exclusive else "_shared")
                connection.execute(sa.text(f"SELECT {lock}({_WRITERS})"))
            self._local.connection = connection
            try:
                yield connection
            finally:
                self._local.connection = None

    def serialise(self, connection: Connection, subject: str) -> None:
        """Let one transaction at a time work on a subject, until it ends; SQLite always does."""
        if self.dialect == "postgresql":
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(subject, 0))
            connection.execute(sa.select(lock))

    @contextmanager
    def alone(self, subject: str) -> Iterator[None]:
        """Let one process at a time do what takes long, while others read and write.

        Raises:
            Conflict: another process was at it for a minute.
        """
        busy = f"another process is at work on: {subject}; run the command again when it is done"
        if self.dialect == "sqlite":
            path = Path(str(self.url.database)).with_name(f"{subject}.lock")
            try:
                with lock_errors(path.parent):
                    held = FileLock(path, timeout=WAIT_SECONDS).acquire()
            except Timeout as error:
                raise Conflict(busy) from error
            with held:
                yield
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            key = sa.func.hashtextextended(f"alone {subject}", 0)
            try:
                connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
            except exc.OperationalError as error:
                raise Conflict(busy) from error
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))

    def insert(self, table: sa.Table) -> Any:
        """Return the dialect's INSERT of a table, which has the ``on_conflict`` methods."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def revision(self) -> str | None:
        """Return the schema revision the database is at; None when it has no tables yet."""
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)

    def migrate(self, connection: Connection, revision: str = "head") -> None:
        """Run the missing migrations in a transaction that `write` opened exclusively.

        Args:
            revision: the last to run.

        Raises:
            Conflict: a newer version of Lepton AI made the database.
        """
        # Alembic takes half a second to import, and most starts need no migration.
        from lepton_ai.storage.migrate import upgrade

        upgrade(connection, revision)

    def keep_log(self) -> None:
        """Let SQLite write ahead in a log from now on (WAL mode), which lasts with the file."""
        with translated(self.url), closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")

    def shrink(self) -> None:
        """Write the database anew, so that nothing of removed rows is left in its files.

        Raises:
            Conflict: another process went on reading for a minute, so SQLite's log still has them.
        """
        with translated(self.url), closing(self.engine.raw_connection()) as connection:
            if self.dialect == "sqlite":
                self._empty_log(connection)
                connection.cursor().execute("VACUUM")
                self._empty_log(connection)
                return
            # Each in a transaction of its own, which VACUUM asks for.
            connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
            try:
                for table in metadata.sorted_tables:
                    connection.cursor().execute(f"VACUUM (FULL) {table.name}")
            finally:
                connection.dbapi_connection.autocommit = False  # type: ignore[union-attr]

    def _empty_log(self, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, _, _ = cursor.fetchone()
        if busy:
            raise Conflict(
                "another process is reading the metadata database, so what was removed is still in "
                "its log; end that process, then run the same command again"
            )

    def close(self) -> None:
        """Close the connections of this process; using the database again opens new ones."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
            self._engine = None


def _parse(url: str | sa.URL) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise InvalidInput(
            "database_url is not a database URL (it may hold a password, so it is not shown); "
            "write one such as postgresql://user@host/name, or leave it empty for SQLite"
        ) from error
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise InvalidInput(
            f"database_url names {parsed.drivername!r}; Lepton AI keeps its metadata in "
            "PostgreSQL (postgresql://user@host/name) or, when it is empty, in SQLite"
        )
    return parsed
