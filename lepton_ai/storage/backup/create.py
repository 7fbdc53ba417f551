"""create_backup: what a destination lacks is copied there, then a snapshot makes it a backup."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import Conflict, InvalidInput, Unavailable
from lepton_ai.core.ids import new_id, time_of
from lepton_ai.core.progress import track
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.record import forget, record, recorded
from lepton_ai.storage.backup.snapshot import (
    Manifest,
    PlainFile,
    dump,
    new_head,
    write_snapshot,
)
from lepton_ai.storage.cipher import CHUNK, KEY_BYTES, seal_chunks, sealed_size
from lepton_ai.storage.schema import packs
from lepton_ai.storage.workspace import Workspace

__all__ = ["BackupInfo", "create_backup", "place_of"]

_ATTEMPTS = 5
_SECRET = "backup files"  # noqa: S105 (the name of the secret, not the secret)
_PIECE = 8 * 2**20


class BackupInfo(Struct, frozen=True):
    """One backup.

    Attributes:
        id: sorts by time.
        bytes: of the packs and files it needs and its own snapshot.
        copied: bytes that were written for it; what earlier backups brought is not.
        fault: why a listed one cannot be read; its time is then that of its id.
    """

    id: str
    url: str
    workspace: str
    created_at: datetime
    packs: int
    bytes: int
    copied: int = 0
    fault: str = ""


def create_backup(workspace: Workspace, url: str, *, new_place: bool = False) -> BackupInfo:
    """Back a workspace up, while it is used; only what the destination lacks is copied.

    The backup is of one moment: all that was committed before it, nothing of what came after.
    It is seen once it is whole; what an interrupted one left is used by the next.

    Args:
        url: a directory, or an fsspec URL such as ``s3://bucket/prefix``.
        new_place: whether it may be empty although backups were made to it, as another disk is.

    Raises:
        Unavailable: the destination does not answer as it should, or is empty although backups
            were made to it: a disk that is not mounted, perhaps.
        Conflict: a writer, or another backup, held on for a minute.
        InvalidInput: the destination lies inside the workspace.
    """
    where = place_of(url)
    if where != where.encode(errors="replace").decode():
        raise InvalidInput(f"{url!r} cannot be a destination: its name holds what is not text")
    destination = Destination(where, workspace.id)
    if destination.lies_in(workspace.home):
        raise InvalidInput(
            f"{url} lies inside the workspace {workspace.home} and would be lost with it; back up "
            "to another disk, or to s3://bucket/prefix"
        )
    # Two at once would take each other's half-written files for leftovers.
    with workspace.database.alone("backup"):
        return _create(workspace, destination, new_place=new_place)


def place_of(url: str) -> str:
    """Return a destination as it is recorded: an absolute path, or the URL as it is."""
    return url if "://" in url else str(Path(url).expanduser().absolute())


def _create(workspace: Workspace, destination: Destination, *, new_place: bool) -> BackupInfo:
    for _ in destination.leftovers():
        pass
    place = _place(workspace, destination, new_place=new_place)
    workspace.keys.secret(_SECRET)  # made before the moment that is backed up
    known = destination.sizes("snapshots")
    # One that was broken off was recorded and is not there; no other is being made.
    gone = [it.id for it in recorded(workspace) if it.place == place and it.id not in known]
    forget(workspace, gone)
    # After those that are there, so that the newest is the last made, whatever the clock says.
    backup_id = new_id("backup", after=max(known, default=""))
    # Recorded first: an erasure must know every place that may hold a copy.
    record(workspace, backup_id, destination.url, place)
    return _attempts(workspace, destination, backup_id)


def _place(workspace: Workspace, destination: Destination, *, new_place: bool) -> str:
    """Return the mark of the destination, set now where there is none.

    Raises:
        Unavailable: it is empty although backups were made to it.
    """
    mark = destination.mark()
    if mark:
        return mark
    there = destination.sizes("snapshots")
    missed = sorted(record.id for record in recorded(workspace) if record.url == destination.url)
    if missed and not there and not new_place:
        raise Unavailable(
            f"{destination.url} holds none of the {len(missed)} backups that were made to it, the "
            f"last of {time_of(missed[-1]):%Y-%m-%d %H:%M} UTC: is its disk mounted? Nothing was "
            "written. If it is another disk, or they were removed, say so: "
            f"lepton backup create {destination.url} --new-place"
        )
    return destination.set_mark()


def _attempts(workspace: Workspace, destination: Destination, backup_id: str) -> BackupInfo:
    for _ in range(_ATTEMPTS):
        try:
            return _attempt(workspace, destination, backup_id)
        except FileNotFoundError:
            # A collection moved what a pack held into another, or an unencrypted table lost files
            # that the snapshot may need: begin again with what is now.
            continue
    # By now there is little left to copy; writers wait for it.
    with workspace.database.write(exclusive=True):
        return _attempt(workspace, destination, backup_id, alone=True)


def _attempt(
    workspace: Workspace, destination: Destination, backup_id: str, *, alone: bool = False
) -> BackupInfo:
    # What goes while nobody commits was given up before.
    before = set() if alone else _plain_files(workspace)
    with workspace.database.snapshot() as connection:
        query = sa.select(packs.c.name, packs.c.size)
        needed = {row.name: row.size for row in connection.execute(query)}
        copied = _copy_packs(workspace, destination, needed)
        plain, plain_bytes = _copy_files(workspace, destination, before)
        head = new_head(workspace.id, backup_id)
        manifest = Manifest(needed, plain)
        size = write_snapshot(
            destination, workspace.keys, connection, head, manifest, dump(connection)
        )
    destination.check("snapshots", {backup_id: size})
    total = sum(needed.values()) + sum(file.size for file in plain) + size
    return BackupInfo(
        backup_id, destination.url, workspace.id, head.created_at, len(needed), total,
        copied + plain_bytes + size,
    )  # fmt: skip


def _copy_packs(workspace: Workspace, destination: Destination, needed: dict[str, int]) -> int:
    have = destination.sizes("packs")
    missing = [name for name, size in sorted(needed.items()) if have.get(name) != size]
    backend = workspace.objects.backend

    def pieces(name: str, size: int) -> Iterator[bytes]:
        for start in range(0, size, _PIECE):
            piece = backend.read(name, start, min(_PIECE, size - start))
            if len(piece) != min(_PIECE, size - start):
                raise Conflict(
                    f"the pack {name} is shorter than it should be; run `lepton storage verify`"
                )
            yield piece

    copied = sum(
        destination.write(f"packs/{name}", pieces(name, needed[name]))
        for name in track(missing, "copying packs")
    )
    if copied:
        destination.check("packs", needed)
    return copied


def _plain_files(workspace: Workspace) -> set[Path]:
    return {path for path in (workspace.home / "tables").rglob("*") if path.is_file()}


def _copy_files(
    workspace: Workspace, destination: Destination, before: set[Path]
) -> tuple[list[PlainFile], int]:
    """Seal the files of unencrypted tables; a file of the same name is never other content.

    Raises:
        FileNotFoundError: one of those there were before went, and may be needed.
    """
    found: list[PlainFile] = []
    copied = 0
    have = destination.sizes("files")
    for path in sorted(before | _plain_files(workspace)):
        try:
            file, size = _copy_file(workspace, destination, path, have)
        except FileNotFoundError:
            if before:
                raise
            continue
        found.append(file)
        copied += size
    if copied:
        destination.check("files", {file.name: sealed_size(file.size) for file in found})
    return found, copied


def _copy_file(
    workspace: Workspace, destination: Destination, path: Path, have: Mapping[str, int]
) -> tuple[PlainFile, int]:
    relative = path.relative_to(workspace.home).as_posix()
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    name = workspace.keys.token(f"backup {relative} {digest.hexdigest()}")
    key = _file_key(workspace, name)
    file = PlainFile(relative, name, path.stat().st_size, key)
    if have.get(name) == sealed_size(file.size):
        return file, 0
    return file, destination.write(f"files/{name}", seal_chunks(key, _chunks(path)))


def _file_key(workspace: Workspace, name: str) -> bytes:
    """Return the key of a copied file: the same each time, so that it need not be copied again."""
    secret = workspace.keys.secret(_SECRET)
    return hashlib.blake2b(name.encode(), key=secret, digest_size=KEY_BYTES).digest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        empty = True
        while chunk := file.read(CHUNK):
            empty = False
            yield chunk
        if empty:
            yield b""
