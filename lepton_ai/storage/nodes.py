"""Nodes of the lineage graph, and how one lies in the database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row

from lepton_ai.core.errors import Corrupt
from lepton_ai.storage.keys import KeyRing

__all__ = ["Node", "NodeSpec", "node_row", "read_node"]


class Node(Struct, frozen=True):
    """One immutable thing that the platform keeps: a source, a dataset, a model and so on.

    Attributes:
        id: unique, such as ``model_01j...``.
        kind: ``source``, ``dataset``, ``split``, ``run``, ``model``, ``evaluation`` or
            ``deployment``.
        name: what people call it; a keyed token of the path for a source.
        version: 1, 2, 3 ... within kind and name, for kinds that have versions.
        digest: the address of the object that the node stands for, when there is one.
        created_at: in UTC.
        facts: what is known about it; sealed in the database.
    """

    id: str
    kind: str
    name: str
    version: int | None
    digest: str | None
    created_at: datetime
    facts: dict[str, Any]

    @property
    def ref(self) -> str:
        """``name:version``, or the id of a node without versions."""
        return self.id if self.version is None else f"{self.name}:{self.version}"


class NodeSpec(Struct, frozen=True):
    """A node to be made without a version of its own; see `Transaction.nodes`.

    Attributes:
        id: a node that has this id already is returned as it is.
        parents: pairs of node id and role.
        holds: addresses of the objects that the node keeps alive.
    """

    kind: str
    name: str
    digest: str | None = None
    facts: Mapping[str, Any] = {}
    parents: tuple[tuple[str, str], ...] = ()
    holds: tuple[str, ...] = ()
    id: str | None = None


def node_row(keys: KeyRing, node: Node) -> dict[str, Any]:
    """Return the row of a node. Its facts are bound to all of it, so no part can be swapped."""
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "version": node.version,
        "digest": node.digest,
        "created_at": node.created_at,
        "facts": keys.seal(msgspec.json.encode(node.facts), _context(node)),
    }


def read_node(keys: KeyRing, row: Row[Any]) -> Node:
    """Return the node of a row.

    Raises:
        Corrupt: the row was altered.
    """
    node = Node(row.id, row.kind, row.name, row.version, row.digest, row.created_at, {})
    try:
        facts = keys.unseal(row.facts, _context(node))
    except Corrupt as error:
        raise Corrupt(
            f"the row of {row.id} in the metadata database fails authentication: it was altered; "
            "restore the database from a backup"
        ) from error
    return msgspec.structs.replace(node, facts=msgspec.json.decode(facts))


def _context(node: Node) -> bytes:
    fields = ("node", node.id, node.kind, node.name, node.version, node.digest, node.created_at)
    return msgspec.json.encode(fields)
