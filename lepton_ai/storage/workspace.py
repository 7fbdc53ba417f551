"""The workspace: one directory that holds metadata, objects and keys, and opens them together."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import Connection

from lepton_ai.core.errors import Conflict, Corrupt, InvalidInput
from lepton_ai.core.locks import lock_errors
from lepton_ai.core.settings import Settings
from lepton_ai.storage.backends import open_backend
from lepton_ai.storage.database import Database
from lepton_ai.storage.files import disk_errors, sync_directory
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.lineage import Lineage
from lepton_ai.storage.meanings import shown
from lepton_ai.storage.objects import ObjectStore
from lepton_ai.storage.schema import REVISION, state
from lepton_ai.storage.transaction import Transaction
from lepton_ai.storage.verify import Fault, verify_metadata, verify_objects

__all__ = ["Workspace"]

_open: dict[tuple[int, Settings], "Workspace"] = {}


class Workspace:
    """Everything one installation keeps: `database`, `keys`, `objects` and `lineage`.

    Get one from `Workspace.open`. It may be used from any thread, survives a fork, and can be
    sent to worker processes, where it opens itself again.
    """

    def __init__(self, settings: Settings, database: Database, keys: KeyRing) -> None:
        self.settings = settings
        self.home: Path = settings.home
        self.database = database
        self.keys = keys
        # Follows from a secret, so it lasts as long as the workspace and cannot be altered.
        self.id = f"workspace_{keys.token('workspace')}"
        self._backend = open_backend(settings, self.id)
        self.objects = ObjectStore(database, keys, self._backend)
        self.lineage = Lineage(database, keys)

    @classmethod
    def open(
        cls, home: str | os.PathLike[str] | None = None, settings: Settings | None = None
    ) -> "Workspace":
        """Open a workspace, making it at its first use.

        Any number of processes may do so at once. Opened again in the same process, it is the
        same object.

        Args:
            home: the directory; else ``LEPTON_HOME``, else ``~/.lepton``.
            settings: used as they are, in the place of ``home`` and the environment.

        Raises:
            KeyLost: the master key of an existing workspace is gone.
            Conflict: a newer version of Lepton AI made the workspace, or its database is gone.
            AccessDenied: other users may read the key file.
        """
        settings = settings or Settings.load(home)
        known = _open.get((os.getpid(), settings))
        if known is not None:
            return known
        database = Database(settings.database_url or _sqlite_url(settings.home / "metadata.db"))
        keys = KeyRing(database, settings)
        try:
            if not _ready(settings, database):
                _prepare(settings, database, keys)
            keys.check()
            opened = cls(settings, database, keys)
        except BaseException:
            database.close()
            raise
        # Two threads may come here at once; the first one's workspace serves both.
        kept = _open.setdefault((os.getpid(), settings), opened)
        if kept is not opened:
            database.close()
        return kept

    def transaction(self) -> Transaction:
        """Begin a unit of work, for a ``with`` block."""
        return Transaction(self.database, self.keys, self._backend)

    def verify(self) -> Iterator[Fault]:
        """Prove everything that is stored intact, yielding what is not; metadata first."""
        for check in (
            verify_metadata(self.database, self.keys),
            verify_objects(self.database, self.keys, self._backend),
        ):
            try:
                yield from check
            except Corrupt as error:
                yield Fault("metadata", "database", str(error))

    def exposed(self) -> list[Path]:
        """Return the files and directories of the workspace that other users may open."""
        paths = [self.home, self.home / "keys.json"]
        return [path for path in paths if path.exists() and path.stat().st_mode & 0o077]

    def close(self) -> None:
        """Close the database's connections; `open` makes a new workspace afterwards."""
        _open.pop((os.getpid(), self.settings), None)
        self.database.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace.open, (None, self.settings)

    def __repr__(self) -> str:
        return f"Workspace({str(self.home)!r})"


def _sqlite_url(file: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(file))


def _sqlite_file(database: Database) -> Path | None:
    """Return the file of an SQLite database; None for a server's."""
    name = database.url.database
    return Path(name) if database.dialect == "sqlite" and name else None


def _ready(settings: Settings, database: Database) -> bool:
    """Say whether the workspace exists and its database is up to date."""
    if not (settings.home / "objects").is_dir():
        return False
    file = _sqlite_file(database)
    if file is not None and not file.exists():
        return False
    if database.revision() != REVISION:
        return False
    with database.read() as connection:
        return _is_begun(connection)


def _is_begun(connection: Connection) -> bool:
    """Say whether the database holds a workspace, and not just its tables."""
    return bool(connection.scalar(sa.select(sa.func.count()).select_from(state)))


def _prepare(settings: Settings, database: Database, keys: KeyRing) -> None:
    """Make the workspace, or bring an older one up to date, while other processes wait."""
    home = settings.home
    try:
        with disk_errors(str(home)):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (home / "objects").mkdir(mode=0o700, exist_ok=True)
    except (FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InvalidInput(
            f"the workspace {home} cannot be made: {error.strerror} ({error.filename}); set "
            "LEPTON_HOME, or --home, to a directory that you may write to"
        ) from error
    with lock_errors(home), FileLock(home / "setup.lock"):
        file = _sqlite_file(database)
        if file is None or file.exists():
            _fill(settings, database, keys)
            return
        # Made under another name, then renamed: no process sees a database half made, and a
        # crash leaves none.
        draft = file.with_name(f".{file.name}.new")
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            leftover.unlink(missing_ok=True)
        with disk_errors(str(draft)):
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        making = Database(_sqlite_url(draft))
        try:
            _fill(settings, making, KeyRing(making, settings))
            # Last, so that all of the draft lies in the one file that is renamed.
            making.keep_log()
        finally:
            making.close()
        draft.rename(file)
        sync_directory(file.parent)


def _fill(settings: Settings, database: Database, keys: KeyRing) -> None:
    """Run the missing migrations and, in a database without a workspace, begin one."""
    with database.write(exclusive=True) as connection:
        database.migrate(connection)
        if _is_begun(connection):
            return
        spool = settings.home / "objects"
        if any(not path.name.startswith(".") for path in spool.iterdir()):
            raise Conflict(
                f"{spool} holds objects, but the metadata database "
                f"{shown(database.url)} is new and knows none of "
                "them: restore the database from a backup, or correct LEPTON_DATABASE_URL"
            )
        keys.initialise(connection)
