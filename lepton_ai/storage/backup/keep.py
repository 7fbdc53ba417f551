"""Keeping backups: listing them, removing old ones, and forgetting what must be forgotten."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, LeptonError
from lepton_ai.storage.backup.create import BackupInfo
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.snapshot import (
    Head,
    Manifest,
    Rows,
    open_snapshot,
    read_head,
    write_snapshot,
)
from lepton_ai.storage.schema import backups
from lepton_ai.storage.workspace import Workspace

__all__ = ["ForgottenInBackup", "forget_in_backups", "list_backups", "prune_backups"]


def list_backups(url: str, workspace_id: str | None = None) -> list[BackupInfo]:
    """Return the backups of a workspace at a destination, oldest first; no key is needed.

    Raises:
        NotFound: there is none at all.
    """
    destination = Destination.find(url, workspace_id)
    sizes = destination.sizes("snapshots")
    return [
        # Its name, not what it says: one put in the place of another must be noticed.
        BackupInfo(name, url, head.workspace, head.created_at, 0, sizes[name])
        for name in sorted(sizes)
        for head in [read_head(destination, name)]
    ]


def prune_backups(
    workspace: Workspace, url: str, *, keep: int = 1, older_than: datetime | None = None
) -> tuple[list[str], int]:
    """Remove all but the newest backups, and what none of those needs.

    Returns:
        The ids of the backups that were removed, and the bytes this gave back.

    Raises:
        InvalidInput: ``keep`` is less than 1.
    """
    if keep < 1:
        raise InvalidInput(f"keep must be at least 1, or no backup would be left; got {keep}")
    destination = Destination.find(url, workspace.id)
    known = list_backups(url, workspace.id)
    goes = [
        info
        for info in known[: max(0, len(known) - keep)]
        if older_than is None or info.created_at < older_than
    ]
    gone = {info.id for info in goes}
    needed: set[str] = set()
    for info in known:
        if info.id not in gone:
            _, manifest, _ = open_snapshot(destination, workspace.keys, info.id)
            needed |= {f"packs/{name}" for name in manifest.packs}
            needed |= {f"files/{file.name}" for file in manifest.files}
    freed = 0
    # Snapshots first: a pack without one is removed next time, one without a pack is broken.
    for info in goes:
        destination.delete(f"snapshots/{info.id}")
        freed += info.bytes
    for folder in ("packs", "files"):
        for name, size in destination.sizes(folder).items():
            if f"{folder}/{name}" not in needed:
                destination.delete(f"{folder}/{name}")
                freed += size
    return sorted(gone), freed


class ForgottenInBackup(Struct, frozen=True):
    """What was done to the backups of one destination.

    Attributes:
        error: why it could not be done, where it could not.
    """

    url: str
    snapshots: int = 0
    error: str = ""


class Forgetting(Struct, frozen=True):
    """What has to go from every copy.

    Attributes:
        addresses: of objects: their rows, so their keys, and their sealed bytes.
        rows: primary keys of other rows to remove or replace, by table.
        replace: new rows in the place of removed ones, by table and first key.
        paths: of plain files, from the workspace's directory.
    """

    addresses: Collection[str] = ()
    rows: dict[str, Collection[tuple[Any, ...]]] = {}
    replace: dict[str, dict[Any, dict[str, Any]]] = {}
    paths: Collection[str] = ()


def forget_in_backups(workspace: Workspace, what: Forgetting) -> list[ForgottenInBackup]:
    """Remove things from every backup that was ever made of a workspace.

    Each snapshot is written anew without their rows, so the keys are gone, and the sealed bytes
    are overwritten. Interrupted, it is done again by the next call; a backup can be restored at
    any time meanwhile.
    """
    with workspace.database.read() as connection:
        urls = [*connection.scalars(sa.select(backups.c.url).distinct().order_by(backups.c.url))]
    results = []
    for url in urls:
        try:
            destination = Destination(url, workspace.id)
            names = sorted(destination.sizes("snapshots"))
            for name in names:
                _forget(workspace, destination, name, what)
            results.append(ForgottenInBackup(url, len(names)))
        except LeptonError as error:
            results.append(ForgottenInBackup(url, error=str(error)))
    return results


def _forget(workspace: Workspace, destination: Destination, name: str, what: Forgetting) -> None:
    keys = workspace.keys
    head, manifest, rows = open_snapshot(destination, keys, name)
    ranges: dict[str, list[tuple[int, int]]] = {}

    def left() -> Rows:
        for table, batch in rows:
            kept = []
            for row in batch:
                if table in ("objects", "holdings", "files") and row["address"] in what.addresses:
                    if table == "objects":
                        place = (row["offset"], row["sealed_size"])
                        ranges.setdefault(row["pack"], []).append(place)
                    continue
                first = next(iter(row.values()))
                if first in what.replace.get(table, {}):
                    kept.append(what.replace[table][first])
                elif first not in what.rows.get(table, ()):
                    kept.append(row)
            if kept:
                yield table, kept

    files = [file for file in manifest.files if file.path not in what.paths]
    with workspace.database.read() as connection:
        write_snapshot(
            destination, keys, connection, Head(**_fields(head)), Manifest(manifest.packs, files),
            left(),
        )  # fmt: skip
    for pack, places in ranges.items():
        destination.scrub(f"packs/{pack}", places)
    for file in manifest.files:
        if file.path in what.paths:
            destination.delete(f"files/{file.name}")


def _fields(head: Head) -> dict[str, Any]:
    return {field: getattr(head, field) for field in head.__struct_fields__}
