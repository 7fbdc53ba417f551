"""What is forgotten is gone: rows, keys, sealed bytes; everything else is as it was."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from msgspec import structs

from lepton_ai.storage import Workspace
from lepton_ai.storage.forget import change_nodes, forget_objects, held_objects, sweep
from lepton_ai.storage.schema import objects, packs


def test_forgotten_objects_leave_no_bytes_and_no_key(workspace: Workspace) -> None:
    with workspace.transaction() as transaction:
        kept, lost = transaction.put(b"kept" * 999), transaction.put(b"lost" * 999)
        transaction.node("source", "a", holds=[kept])
        transaction.node("source", "b", holds=[kept, lost])
    with workspace.database.read() as connection:
        before = {row.address: row for row in connection.execute(sa.select(objects))}
    sealed = workspace.objects.backend.read(
        before[lost].pack, before[lost].offset, before[lost].sealed_size
    )
    key = bytes(before[lost].wrapped_key)
    assert forget_objects(workspace, [lost, "nothing"]) == 1
    sweep(workspace)
    assert dict(held_objects(workspace)) == {kept: b"kept" * 999}
    assert lost not in workspace.objects
    for pack in workspace.objects.backend.packs():
        assert sealed not in workspace.objects.backend.read(pack.name, 0, pack.size)
    if workspace.database.dialect == "sqlite":
        assert _file(workspace).count(key) == 0
    assert not [*workspace.verify()]
    with workspace.database.read() as connection:
        assert len(connection.execute(sa.select(packs)).all()) == 1


def _file(workspace: Workspace) -> bytes:
    name = Path(str(workspace.database.url.database))
    with sqlite3.connect(name) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    return b"".join(path.read_bytes() for path in name.parent.glob(f"{name.name}*"))


def test_a_changed_node_is_itself_with_other_facts(workspace: Workspace) -> None:
    with workspace.transaction() as transaction:
        address = transaction.put(b"x")
        node = transaction.node(
            "dataset", "a", version=True, digest=address, facts={"who": "x"}, holds=[address]
        )
    change_nodes(workspace, [structs.replace(node, facts={"who": "[erased]"}, digest=None)])
    found = workspace.lineage.get(node.id)
    assert (found.facts, found.digest, found.version) == ({"who": "[erased]"}, None, 1)
    assert not [*workspace.verify()]
    with workspace.transaction() as transaction:
        again = transaction.node("dataset", "a", version=True, digest=address)
    assert again.version == 2
