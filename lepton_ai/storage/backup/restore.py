"""restore_backup: a workspace as it was, in an empty directory; verify_backup: proof beforehand."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from lepton_ai.core.errors import Conflict, Corrupt, NotFound
from lepton_ai.core.progress import track
from lepton_ai.core.settings import Settings
from lepton_ai.storage.backends import partial_path
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.draft import check_empty, drafted, move_in
from lepton_ai.storage.backup.filling import empty_database, fill_database
from lepton_ai.storage.backup.keep import backups_of
from lepton_ai.storage.backup.snapshot import Manifest, open_snapshot
from lepton_ai.storage.cipher import SealedReader, sealed_size
from lepton_ai.storage.database import Database
from lepton_ai.storage.files import disk_errors, replace_file
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.keysources import KeyFile
from lepton_ai.storage.scan import ReadAt, read_ahead
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

    It is made under another name and moved at the end, so after an interrupted restore there is
    no workspace in ``home`` and the next attempt begins anew. A backup of an older version is
    brought up to date.

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
        InvalidInput: the directory is not empty.
        Conflict: a newer version made the backup, or the database or the place for objects that
            the settings name is in use.
        KeyLost: no key at hand opens it.
        Corrupt: the backup was altered or is not whole.
    """
    # A link keeps leading there; what it leads to is made.
    target = Path(home).expanduser().resolve()
    # The workspace's variable names a place in use; this one is made of what was passed.
    final = settings or Settings.load(target)
    check_empty(target)
    destination = Destination.find(url, workspace_id)
    chosen = _choose(destination, backup, at)
    with drafted(target) as draft, disk_errors(str(target)):
        for source in (key_file, target / "keys.json"):
            if source is not None and Path(source).is_file():
                replace_file(draft / "keys.json", Path(source).read_bytes())
                break
        _make(msgspec.structs.replace(final, home=draft), destination, chosen)
        move_in(draft, target)
    return Workspace.open(settings=final)


def _make(settings: Settings, destination: Destination, chosen: str) -> None:
    """Make a workspace where the settings say, and prove it; undo what was made if it fails."""
    KeyFile(settings).load()  # A damaged one is told here as what it is.
    file = settings.home / "metadata.db"
    database = Database(settings.database_url or sa.URL.create("sqlite", database=str(file)))
    if database.dialect == "sqlite":
        os.close(_private(str(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    keys = KeyRing(database, settings)
    with ExitStack() as undo:
        undo.callback(database.close)
        head, manifest, rows = open_snapshot(destination, keys, chosen)
        fill_database(database, head.revision, rows)
        if database.dialect != "sqlite":
            undo.callback(empty_database, database)
        workspace = Workspace(settings, database, keys)
        if any(True for _ in workspace.objects.backend.packs()):
            raise Conflict(
                f"{settings.objects_url} holds objects of this workspace, which another copy of "
                "it may use; let LEPTON_OBJECTS_URL name another place"
            )
        undo.callback(_remove_packs, workspace, manifest)
        _bring_packs(destination, workspace, manifest)
        _bring_files(destination, settings.home, manifest)
        faults = [fault for fault in workspace.verify() if not fault.harmless]
        if faults:
            raise Corrupt(
                f"the backup {chosen} is not whole: {faults[0].detail}"
                + (f", and {len(faults) - 1} more faults" if len(faults) > 1 else "")
            )
        undo.pop_all()
    if database.dialect == "sqlite":
        database.keep_log()
    database.close()


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
    rows = sorted(batch, key=lambda row: (row["pack"], row["offset"]))
    for row, read in track(_together(destination, rows), "verifying objects", len(rows)):
        key = workspace.keys.unwrap(row["key_id"], row["wrapped_key"], row["address"])

        def fetch(offset: int, size: int, start: int = row["offset"], read: ReadAt = read) -> bytes:
            return read(start + offset, size)

        reader = SealedReader(key, row["size"], fetch, row["address"])
        digest = hashlib.sha256()
        try:
            while piece := reader.read(_PIECE):
                digest.update(piece)
            intact = workspace.keys.address(digest.digest()) == row["address"]
        except (Corrupt, NotFound):
            intact = False
        if not intact:
            yield Fault(
                "altered",
                row["address"],
                f"packs/{row['pack']} holds other bytes than were written; remove it at the "
                "destination, and `lepton backup create` copies it again from the workspace",
            )


def _together(
    destination: Destination, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], ReadAt]]:
    """Yield each object and what reads its pack; those that lie side by side are read at once."""
    begin = 0
    for number, row in enumerate(rows, 1):
        end = row["offset"] + row["sealed_size"]
        if number < len(rows) and (rows[number]["pack"], rows[number]["offset"]) == (
            row["pack"],
            end,
        ):
            continue
        read = read_ahead(partial(destination.read, f"packs/{row['pack']}"), end)
        for one in rows[begin:number]:
            yield one, read
        begin = number


def _verify_file(destination: Destination, name: str, size: int, key: bytes) -> Iterator[Fault]:
    try:
        for _ in _plain(destination, name, size, key):
            pass
    except (Corrupt, NotFound) as error:
        yield Fault("altered", name, str(error))


def _choose(destination: Destination, backup: str | None, at: datetime | None) -> str:
    known = sorted(destination.sizes("snapshots").items())
    if backup is not None:
        names = [name for name, _ in known]
        if backup not in names:
            raise NotFound(
                f"{destination.url} has no backup {backup}; it has {', '.join(names) or 'none'}"
            )
        return backup
    # The newest first: of many, one is read and not all.
    for info in backups_of(destination, reversed(known)):
        if at is not None and not _not_after(info.created_at, at):
            continue
        if info.fault:
            others = [one.id for one in backups_of(destination, known) if not one.fault]
            raise Corrupt(f"{info.fault}; choose with --backup: {', '.join(others) or 'none'}")
        return info.id
    oldest = next(backups_of(destination, known), None)
    hint = f"; the oldest is of {oldest.created_at:%Y-%m-%d %H:%M:%S} UTC" if oldest else ""
    raise NotFound(f"{destination.url} has no backup of {at or 'this workspace'}{hint}")


def _not_after(moment: datetime, limit: datetime) -> bool:
    # In the limit's own terms: the first and the last of all times cannot be put into others.
    return (moment if limit.tzinfo else moment.astimezone().replace(tzinfo=None)) <= limit


def _remove_packs(workspace: Workspace, manifest: Manifest) -> None:
    for name in manifest.packs:
        workspace.objects.backend.delete(name)


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
