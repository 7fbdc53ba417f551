"""Entry: what people say of a dataset, of all its versions at once."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import Corrupt
from lepton_ai.security.grants import require
from lepton_ai.security.policy import Permission
from lepton_ai.storage import Workspace
from lepton_ai.storage.database import BATCH
from lepton_ai.storage.schema import entries

__all__ = ["ColumnEntry", "Entry", "change_entry", "get_entries", "get_entry"]


class ColumnEntry(Struct, frozen=True, omit_defaults=True):
    """What people say of one column.

    Attributes:
        tags: such as ``personal`` or ``sensitive``, which decide who sees the values.
    """

    description: str = ""
    unit: str = ""
    tags: tuple[str, ...] = ()


class Entry(Struct, frozen=True, omit_defaults=True):
    """Owner, description, tags and rules of a dataset.

    Attributes:
        rules: what every row that enters must satisfy, as `lepton_ai.data.quality` writes it.
    """

    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    columns: dict[str, ColumnEntry] = {}
    rules: tuple[dict[str, Any], ...] = ()


def get_entry(workspace: Workspace, name: str) -> Entry:
    """Return the entry of a dataset; an empty one where nobody said anything.

    Raises:
        Corrupt: the row was altered.
    """
    return get_entries(workspace, [name])[name]


def get_entries(workspace: Workspace, names: Iterable[str]) -> dict[str, Entry]:
    """Return the entry of each dataset; see `get_entry`."""
    found = dict.fromkeys(names, Entry())
    wanted = [*found]
    with workspace.database.read() as connection:
        for start in range(0, len(wanted), BATCH):
            here = entries.c.name.in_(wanted[start : start + BATCH])
            for row in connection.execute(sa.select(entries).where(here)):
                found[row.name] = _read(workspace, row.name, row.body)
    return found


def _read(workspace: Workspace, name: str, body: bytes) -> Entry:
    try:
        return msgspec.json.decode(workspace.keys.unseal(body, _context(name)), type=Entry)
    except (Corrupt, msgspec.DecodeError) as error:
        raise Corrupt(
            f"the catalog's entry of {name!r} was altered; restore the database from a backup"
        ) from error


def change_entry(workspace: Workspace, name: str, change: Callable[[Entry], Entry]) -> Entry:
    """Replace the entry of a dataset by what ``change`` makes of it, and return that.

    No other writer comes between reading and writing.

    Raises:
        AccessDenied: whoever acts may not administer the workspace.
    """
    require(Permission.ADMIN, "change what the catalog says of a dataset")
    with workspace.database.write() as connection:
        workspace.database.serialise(connection, f"entry:{name}")
        changed = change(get_entry(workspace, name))
        values = {
            "body": workspace.keys.seal(msgspec.json.encode(changed), _context(name)),
            "updated_at": datetime.now(UTC),
        }
        connection.execute(
            workspace.database.insert(entries)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
    return changed


def _context(name: str) -> bytes:
    return f"entry {name}".encode()
