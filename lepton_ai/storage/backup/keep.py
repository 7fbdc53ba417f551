"""Keeping backups: listing them, and removing old ones."""

from datetime import datetime

from lepton_ai.core.errors import InvalidInput
from lepton_ai.storage.backup.create import BackupInfo
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.backup.snapshot import (
    open_snapshot,
    read_head,
)
from lepton_ai.storage.workspace import Workspace

__all__ = ["list_backups", "prune_backups"]


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
