"""restore_backup: a workspace as it was, in an empty directory; verify_backup: proof beforehand."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from lepton_ai.core.errors import Conflict, Corrupt, InvalidInput, NotFound
from lepton_ai.core.progress import track
from lepton_ai.core.settings import Settings
from lepton_ai.storage.backends import partial_path
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.keep import list_backups
from lepton_ai.storage.backup.snapshot import Manifest, Rows, open_snapshot
from lepton_ai.storage.cipher import SealedReader, sealed_size
from lepton_ai.storage.database import Database
from lepton_ai.storage.files import sync_directory
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.schema import REVISION, metadata
from lepton_ai.storage.verify import Fault
from lepton_ai.storage.workspace import Workspace

__all__ = ["restore_backup", "verify_backup"]

_PIECE = 8 * 2**20


def restore_backup(
    url: str,
    home: str | os.PathLike[str],
    *,
    key_file: str | os.PathLike[str] | None = None,
    backup: str | None = None,
    at: datetime | None = None,
    workspace_id: str | None = None,
    settings: Settings | None = None,
) -> Workspace:
    """Make a workspace anew from a backup, prove it, and return it.

    It is made beside ``home`` and renamed at the end, so an interrupted restore leaves nothing
    under that name and the next attempt begins anew.

    Args:
        url: where the backups lie.
        home: a directory that is empty, or is not there yet.
        key_file: a copy of ``keys.json``; else LEPTON_MASTER_KEY, else ``home/keys.json``.
        backup: its id; the newest unless given.
        at: the newest backup that is not younger than this moment.
        workspace_id: which, where a destination holds several.
        settings: of the workspace to be made, such as another database.

    Raises:
        NotFound: there is no such backup.
        InvalidInput: the directory is not empty, or another version made the backup.
        KeyLost: no key at hand opens it.
        Corrupt: the backup was altered or is not whole.
    """
    target = Path(home).expanduser().absolute()
    # The workspace's variable names a place in use; this one is made of what was passed.
    final = settings or Settings.load(target)
    _check_empty(target)
    destination = Destination.find(url, workspace_id)
    chosen = _choose(destination, backup, at)
    draft = target.with_name(f".{target.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    (draft / "objects").mkdir(mode=0o700)
    for source in (key_file, target / "keys.json"):
        if source is not None and Path(source).is_file():
            shutil.copyfile(source, draft / "keys.json")
            (draft / "keys.json").chmod(0o600)
            break
    making = msgspec.structs.replace(final, home=draft)
    database = Database(making.database_url or f"sqlite:///{draft / 'metadata.db'}")
    keys = KeyRing(database, making)
    try:
        head, manifest, rows = open_snapshot(destination, keys, chosen)
        if head.revision != REVISION:
            raise InvalidInput(
                f"the backup {chosen} has a database of revision {head.revision}, this version "
                f"of Lepton AI reads {REVISION}; restore it with the version that made it"
            )
        _fill(database, rows)
        database.close()
        opened = Workspace(making, database, keys)
        _bring_packs(destination, opened, manifest)
        _bring_files(destination, draft, manifest)
        faults = [fault for fault in opened.verify() if not fault.harmless]
        if faults:
            raise Corrupt(
                f"the backup {chosen} is not whole: {faults[0].detail}"
                + (f", and {len(faults) - 1} more faults" if len(faults) > 1 else "")
            )
        opened.close()
    except BaseException:
        database.close()
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if target.exists():
        (target / "keys.json").unlink(missing_ok=True)
        target.rmdir()
    draft.rename(target)
    sync_directory(target.parent)
    return Workspace.open(settings=final)


def verify_backup(workspace: Workspace, url: str, backup: str | None = None) -> Iterator[Fault]:
    """Read a backup as a restore would, decrypt everything, and yield what is wrong.

    Args:
        workspace: whose keys open it.
        backup: its id; the newest unless given.
    """
    destination = Destination.find(url, workspace.id)
    chosen = _choose(destination, backup, None)
    try:
        _, manifest, rows = open_snapshot(destination, workspace.keys, chosen)
        present = destination.sizes("packs")
        for name, size in manifest.packs.items():
            if present.get(name) != size:
                found = present.get(name, "none")
                yield Fault("missing", name, f"the pack {name} has {found} of {size} bytes")
        for table, batch in rows:
            if table == "objects":
                yield from _verify_batch(workspace, destination, batch)
        for file in manifest.files:
            yield from _verify_file(destination, file.name, file.size, file.key)
    except (Corrupt, NotFound) as error:
        yield Fault("altered", chosen, str(error))


def _verify_batch(
    workspace: Workspace, destination: Destination, batch: list[dict[str, Any]]
) -> Iterator[Fault]:
    for row in track(batch, "verifying objects"):
        key = workspace.keys.unwrap(row["key_id"], row["wrapped_key"], row["address"])

        def fetch(offset: int, size: int, row: dict[str, Any] = row) -> bytes:
            return destination.read(f"packs/{row['pack']}", row["offset"] + offset, size)

        reader = SealedReader(key, row["size"], fetch, row["address"])
        digest = hashlib.sha256()
        try:
            while piece := reader.read(_PIECE):
                digest.update(piece)
        except (Corrupt, NotFound) as error:
            yield Fault("altered", row["address"], str(error))
            continue
        if workspace.keys.address(digest.digest()) != row["address"]:
            detail = f"the content of object {row['address']} is not what its address names"
            yield Fault("altered", row["address"], detail)


def _verify_file(destination: Destination, name: str, size: int, key: bytes) -> Iterator[Fault]:
    try:
        for _ in _plain(destination, name, size, key):
            pass
    except (Corrupt, NotFound) as error:
        yield Fault("altered", name, str(error))


def _choose(destination: Destination, backup: str | None, at: datetime | None) -> str:
    known = list_backups(destination.url, destination.workspace_id)
    if backup is not None:
        if backup not in [info.id for info in known]:
            raise NotFound(
                f"{destination.url} has no backup {backup}; it has "
                f"{', '.join(info.id for info in known) or 'none'}"
            )
        return backup
    moment = None if at is None else at if at.tzinfo else at.astimezone()
    fitting = [info for info in known if moment is None or info.created_at <= moment]
    if not fitting:
        oldest = f"; the oldest is of {known[0].created_at:%Y-%m-%d %H:%M:%S} UTC" if known else ""
        raise NotFound(f"{destination.url} has no backup of {at or 'this workspace'}{oldest}")
    return fitting[-1].id


def _check_empty(target: Path) -> None:
    if target.is_dir():
        there = [path.name for path in target.iterdir() if path.name != "keys.json"]
        if there:
            raise InvalidInput(
                f"{target} is not empty ({there[0]} ...); restore into a new directory, then set "
                "LEPTON_HOME to it"
            )
    elif target.exists():
        raise InvalidInput(f"{target} is a file; restore into a new directory")


def _fill(database: Database, rows: Rows) -> None:
    with database.write(exclusive=True) as connection:
        database.migrate(connection)
        for table in metadata.sorted_tables:
            if connection.scalar(sa.select(sa.func.count()).select_from(table)):
                raise Conflict(
                    f"the database {database.url.render_as_string(hide_password=True)} holds a "
                    "workspace already; restore into an empty one"
                )
        for name, batch in rows:
            if name not in metadata.tables:
                raise Corrupt(f"the backup holds a table {name!r} that this version does not know")
            connection.execute(sa.insert(metadata.tables[name]), batch)


def _bring_packs(destination: Destination, workspace: Workspace, manifest: Manifest) -> None:
    backend = workspace.objects.backend
    for name, size in track(sorted(manifest.packs.items()), "restoring packs"):
        path = partial_path(backend.spool, name)
        with open(path, "wb", opener=_private) as file:
            for start in range(0, size, _PIECE):
                file.write(destination.read(f"packs/{name}", start, min(_PIECE, size - start)))
            file.flush()
            os.fsync(file.fileno())
        backend.publish(name)


def _bring_files(destination: Destination, home: Path, manifest: Manifest) -> None:
    for file in manifest.files:
        path = (home / file.path).resolve()
        if not path.is_relative_to((home / "tables").resolve()):
            raise Corrupt(f"the backup names a file {file.path!r} outside the workspace's tables")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("wb") as target:
            for piece in _plain(destination, file.name, file.size, file.key):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())


def _plain(destination: Destination, name: str, size: int, key: bytes) -> Iterator[bytes]:
    if destination.sizes("files").get(name) != sealed_size(size):
        raise Corrupt(f"the file {name} of the backup is missing or of another size")

    def fetch(offset: int, count: int) -> bytes:
        return destination.read(f"files/{name}", offset, count)

    reader = SealedReader(key, size, fetch, name)
    yield from iter(lambda: reader.read(_PIECE), b"")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
