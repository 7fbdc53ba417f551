"""Forgetting: what is stored goes for good, its keys with it."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

import sqlalchemy as sa

from lepton_ai.core.progress import track
from lepton_ai.storage.collect import collect
from lepton_ai.storage.database import BATCH
from lepton_ai.storage.nodes import Node, node_row
from lepton_ai.storage.schema import files, holdings, nodes, objects, predictions
from lepton_ai.storage.workspace import Workspace

__all__ = ["change_nodes", "forget_objects", "forget_predictions", "held_objects", "sweep"]


def held_objects(workspace: Workspace, *, tables: bool = True) -> Iterator[tuple[str, bytes]]:
    """Yield address and content of every object, pack by pack.

    Args:
        tables: those too that are files of tables.

    Raises:
        Corrupt: stored bytes were altered.
    """
    query = sa.select(objects.c.address).order_by(objects.c.pack, objects.c.offset)
    if not tables:
        query = query.where(~sa.exists().where(files.c.address == objects.c.address))
    with workspace.database.read() as connection:
        addresses = [*connection.scalars(query)]
    for address in track(addresses, "looking through objects"):
        if address in workspace.objects:
            yield address, workspace.objects.get(address)


def forget_objects(workspace: Workspace, addresses: Collection[str]) -> int:
    """Remove objects whatever holds them; return how many there were.

    Their rows go, and so their keys; `sweep` removes their sealed bytes.
    """
    gone = 0
    wanted = sorted(addresses)
    with workspace.database.write(exclusive=True) as connection:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            for table in (holdings, files):
                connection.execute(sa.delete(table).where(table.c.address.in_(batch)))
            result = connection.execute(sa.delete(objects).where(objects.c.address.in_(batch)))
            gone += result.rowcount
    return gone


def change_nodes(workspace: Workspace, changed: Iterable[Node]) -> None:
    """Write nodes of the lineage anew: other facts, or no digest any more.

    Lineage is otherwise never rewritten; what may not be remembered is the exception.
    """
    with workspace.database.write() as connection:
        for node in changed:
            row = node_row(workspace.keys, node)
            connection.execute(sa.update(nodes).where(nodes.c.id == node.id).values(**row))


def forget_predictions(workspace: Workspace, ids: Collection[str]) -> None:
    """Remove receipts of predictions."""
    wanted = sorted(ids)
    with workspace.database.write() as connection:
        for start in range(0, len(wanted), BATCH):
            here = predictions.c.id.in_(wanted[start : start + BATCH])
            connection.execute(sa.delete(predictions).where(here))


def sweep(workspace: Workspace) -> None:
    """Give back what is dead: unheld objects at once, their bytes in packs, the database's pages.

    An import that relies on an unheld object just then fails, and can be made again.
    """
    collect(workspace.database, workspace.objects.backend, timedelta(0), thorough=True)
    workspace.database.shrink()
