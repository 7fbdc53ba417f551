"""Keeping backups: listing them, and removing old ones."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from lepton_ai.core.errors import Corrupt, InvalidInput, NotFound
from lepton_ai.core.ids import time_of
from lepton_ai.storage.backup.create import BackupInfo
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.record import forget
from lepton_ai.storage.backup.snapshot import open_snapshot, read_head
from lepton_ai.storage.workspace import Workspace

__all__ = ["backups_of", "list_backups", "prune_backups"]


def list_backups(url: str, workspace_id: str | None = None) -> list[BackupInfo]:
    """Return the backups at a destination, oldest first; no key is needed.

    Args:
        workspace_id: only those of this workspace; else one workspace after another.

    Raises:
        NotFound: there is none at all.
    """
    if workspace_id is None:
        return [info for place in Destination.all(url) for info in _list(place)]
    return [*_list(Destination.find(url, workspace_id))]


def _list(place: Destination) -> Iterator[BackupInfo]:
    return backups_of(place, sorted(place.sizes("snapshots").items()))


def backups_of(place: Destination, snapshots: Iterable[tuple[str, int]]) -> Iterator[BackupInfo]:
    """Read what snapshots, given by name and size, say of themselves."""
    # Its name, not what it says: one put in the place of another must be noticed.
    for name, size in snapshots:
        try:
            moment, fault = read_head(place, name).created_at, ""
        except Corrupt as error:
            moment, fault = time_of(name), str(error)
        except NotFound:
            continue  # It was removed just now.
        yield BackupInfo(name, place.url, place.workspace_id, moment, 0, size, fault=fault)


def prune_backups(
    workspace: Workspace, url: str, *, keep: int = 1, older_than: datetime | None = None
) -> tuple[list[str], int]:
    """Remove all but the newest backups, and what none of those needs.

    One that cannot be read does not count: it goes with those of its age.

    Returns:
        The ids of the backups that were removed, and the bytes this gave back.

    Raises:
        InvalidInput: ``keep`` is less than 1.
        Conflict: backups of the workspace are made or removed for longer than a minute.
        Corrupt, KeyLost: a backup that stays cannot be opened, so nobody knows what it needs;
            nothing was removed.
    """
    if keep < 1:
        raise InvalidInput(f"keep must be at least 1, or no backup would be left; got {keep}")
    # A backup that is being made relies on packs that no snapshot names yet.
    with workspace.database.alone("backup"):
        return _prune(workspace, url, keep, older_than)


def _prune(
    workspace: Workspace, url: str, keep: int, older_than: datetime | None
) -> tuple[list[str], int]:
    destination = Destination.find(url, workspace.id)
    known = list_backups(url, workspace.id)
    oldest = [info.id for info in known if not info.fault][-keep:][:1]
    goes = [
        info
        for info in known
        if [info.id] < oldest and (older_than is None or info.created_at < older_than)
    ]
    gone = {info.id for info in goes}
    needed: set[str] = set()
    for info in known:
        if info.id not in gone:
            _, manifest, _ = open_snapshot(destination, workspace.keys, info.id)
            needed |= {f"packs/{name}" for name in manifest.packs}
            needed |= {f"files/{file.name}" for file in manifest.files}
    # Snapshots first: a pack without one is removed next time, one without a pack is broken.
    for info in goes:
        destination.delete(f"snapshots/{info.id}")
    freed = sum(info.bytes for info in goes)
    for folder in ("packs", "files"):
        for name, size in destination.sizes(folder).items():
            if f"{folder}/{name}" not in needed:
                destination.delete(f"{folder}/{name}")
                freed += size
    forget(workspace, gone)
    return sorted(gone), freed
