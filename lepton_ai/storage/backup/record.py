"""The record of backups: which were made, where, and on which of the disks that take turns."""

from collections.abc import Collection
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.storage.schema import backups
from lepton_ai.storage.workspace import Workspace

__all__ = ["Recorded", "forget", "record", "recorded"]


class Recorded(Struct, frozen=True):
    """One backup that was begun, and that nobody removed since.

    Attributes:
        place: the mark of the destination; empty where an older version made it.
    """

    id: str
    url: str
    place: str


class _Body(Struct):
    url: str
    place: str = ""


def record(workspace: Workspace, backup_id: str, url: str, place: str) -> None:
    """Remember a backup before anything of it is written."""
    body = workspace.keys.seal(msgspec.json.encode(_Body(url, place)), backup_id.encode())
    row = {"id": backup_id, "url": url, "body": body, "created_at": datetime.now(UTC)}
    with workspace.database.write() as connection:
        connection.execute(sa.insert(backups).values(**row))


def recorded(workspace: Workspace) -> list[Recorded]:
    """Return every backup on the record."""
    with workspace.database.read() as connection:
        rows = connection.execute(sa.select(backups.c.id, backups.c.url, backups.c.body)).all()
    keys = workspace.keys
    bodies = (msgspec.json.decode(keys.unseal(r.body, r.id.encode()), type=_Body) for r in rows)
    return [Recorded(r.id, r.url, body.place) for r, body in zip(rows, bodies, strict=True)]


def forget(workspace: Workspace, ids: Collection[str]) -> None:
    """Take backups off the record."""
    if not ids:
        return
    with workspace.database.write() as connection:
        connection.execute(sa.delete(backups).where(backups.c.id.in_(ids)))
