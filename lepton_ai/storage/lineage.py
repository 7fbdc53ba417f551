"""The lineage graph: what everything was made from. Reading only; a transaction writes it."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.nodes import Node, NodeSpec, read_node
from lepton_ai.storage.schema import aliases, edges, holdings, nodes
from lepton_ai.storage.sealing import Sealed, Stored

__all__ = ["Lineage", "Link", "folder_spec", "source_spec"]


# The nodes once more, for a query inside one of nodes.
sources = nodes.alias("sources")


class Link(Struct, frozen=True):
    """An edge of the graph: the child was made from the parent, in this role."""

    child: str
    parent: str
    role: str


def source_spec(keys: KeyRing, path: str | os.PathLike[str], sealed: Sealed | Stored) -> NodeSpec:
    """Describe a source file for `Transaction.nodes`.

    The name is a keyed token of the absolute path, so the database holds no path in clear,
    yet `Lineage.resolve` finds it. The id follows from path and content: reading the same
    file again gives the same node.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100 (a link keeps the name the user knows)
    # Names that are not valid UTF-8 exist, but JSON cannot hold them.
    shown = os.fsencode(absolute).decode(errors="backslashreplace")
    name = _path_token(keys, absolute)
    return NodeSpec(
        kind="source",
        name=name,
        digest=sealed.address,
        facts={"path": shown, "sha256": sealed.sha256, "size": sealed.size},
        holds=(sealed.address,),
        id=f"source_{keys.token(f'source {name} {sealed.address}')}",
    )


def folder_spec(
    keys: KeyRing, path: str | os.PathLike[str], content: str, *, files: int, size: int
) -> NodeSpec:
    """Describe a whole folder of files as one source, for `Transaction.nodes`.

    Args:
        content: a digest of what the folder held; another content is another source.
        files: how many there were.
        size: their bytes.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100 (a link keeps the name the user knows)
    shown = os.fsencode(absolute).decode(errors="backslashreplace")
    name = _path_token(keys, absolute)
    return NodeSpec(
        kind="source",
        name=name,
        facts={"path": shown, "files": files, "size": size},
        id=f"source_{keys.token(f'folder {name} {content}')}",
    )


# Named here, because inside the class ``list`` is the method.
Nodes = list[Node]
Links = list[Link]
Relatives = list[tuple[str, Node]]
Addresses = list[str]


class Lineage:
    """Queries of the lineage graph of one workspace."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    def get(self, node_id: str) -> Node:
        """Return a node by its id.

        Raises:
            NotFound: there is none.
        """
        found = self._select(nodes.c.id == node_id)
        if not found:
            raise NotFound(f"there is no node {node_id!r} in this workspace")
        return found[0]

    def nodes(self, ids: Iterable[str]) -> dict[str, Node]:
        """Return the nodes that exist, by id."""
        wanted = sorted(set(ids))
        found: dict[str, Node] = {}
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            found |= {node.id: node for node in self._select(nodes.c.id.in_(batch))}
        return found

    def find(
        self, kind: str, name: str, version: int | None = None, alias: str | None = None
    ) -> Node:
        """Return a node by kind and name: the newest, or one version, or what an alias means.

        Raises:
            NotFound: there is none; the message lists what exists.
        """
        condition = sa.and_(nodes.c.kind == kind, nodes.c.name == name)
        if alias is not None:
            target = sa.select(aliases.c.node_id).where(
                aliases.c.kind == kind, aliases.c.name == name, aliases.c.alias == alias
            )
            found = self._select(nodes.c.id.in_(target))
        elif version is not None:
            found = self._select(sa.and_(condition, nodes.c.version == version))
        else:
            found = self._select(condition, newest_first=True, limit=1)
        if not found:
            wanted = f":{version}" if version is not None else f"@{alias}" if alias else ""
            raise NotFound(self._missing(kind, name, name + wanted))
        return found[0]

    def list(self, kind: str, name: str | None = None) -> Nodes:
        """Return the nodes of a kind, and of a name when one is given, oldest first."""
        condition = nodes.c.kind == kind
        return self._select(condition if name is None else condition & (nodes.c.name == name))

    def parents(self, node_id: str) -> Relatives:
        """Return what a node was made from, as pairs of role and node."""
        return self._neighbours(edges.c.child_id == node_id, edges.c.parent_id)

    def children(self, node_id: str) -> Relatives:
        """Return what was made from a node, as pairs of role and node."""
        return self._neighbours(edges.c.parent_id == node_id, edges.c.child_id)

    def ancestors(self, node_id: str) -> Links:
        """Return every edge on the ways from a node up to its sources."""
        return self._reach(node_id, edges.c.child_id, edges.c.parent_id)

    def descendants(self, node_id: str) -> Links:
        """Return every edge on the ways from a node down to what was made from it."""
        return self._reach(node_id, edges.c.parent_id, edges.c.child_id)

    def aliases(self, kind: str, name: str) -> dict[str, int | None]:
        """Return the version that each alias of a kind and name means."""
        query = (
            sa.select(aliases.c.alias, nodes.c.version)
            .join(nodes, nodes.c.id == aliases.c.node_id)
            .where(aliases.c.kind == kind, aliases.c.name == name)
            .order_by(aliases.c.alias)
        )
        with self._database.read() as connection:
            return {row.alias: row.version for row in connection.execute(query)}

    def holds(self, node_id: str) -> Addresses:
        """Return the addresses that a node keeps, in order of address."""
        query = sa.select(holdings.c.address).where(holdings.c.node_id == node_id)
        with self._database.read() as connection:
            return [*connection.scalars(query.order_by(holdings.c.address))]

    def resolve(self, text: str, kinds: Iterable[str] | None = None) -> Node:
        """Find the node that a person means.

        Args:
            text: a node's id; a name, ``name:3`` or ``name@champion``; the path of a source
                file, which is found by its content, or by its path once the file is gone;
                the SHA-256 of a source file.
            kinds: the kinds to look among; all when not given.

        Raises:
            NotFound: nothing matches; the message says what was tried.
            InvalidInput: a name belongs to things of several kinds.
        """
        allowed = None if kinds is None else sorted(kinds)
        for condition in self._meanings(text):
            if allowed is not None:
                condition &= nodes.c.kind.in_(allowed)
            found = self._select(condition, newest_first=True)
            by_kind: dict[str, Node] = {}
            for node in found:
                by_kind.setdefault(node.kind, node)
            if len(by_kind) > 1:
                raise InvalidInput(
                    f"{text!r} may be any of "
                    + ", ".join(f"{node.kind} {node.ref}" for node in by_kind.values())
                    + "; give its id instead: "
                    + ", ".join(node.id for node in by_kind.values())
                )
            if by_kind:
                return found[0]
        self._refuse_version(text, allowed)
        what = "anything" if allowed is None else " or ".join(allowed)
        raise NotFound(
            f"{text!r} does not name {what} in this workspace: tried it as an id, as a name "
            "(name, name:3, name@alias), as a source file's path and as a SHA-256; "
            "`lepton data ls` and `lepton models ls` show what there is"
        )

    def _meanings(self, text: str) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what a text may mean, the most exact first."""
        if text.isprintable():
            yield nodes.c.id == text
            name, colon, version = text.rpartition(":")
            if colon and version.isdecimal() and len(version) < 10:
                yield (nodes.c.name == name) & (nodes.c.version == int(version))
            name, at, alias = text.rpartition("@")
            if at:
                same = (aliases.c.name == name) & (aliases.c.alias == alias)
                yield nodes.c.id.in_(sa.select(aliases.c.node_id).where(same))
            yield (nodes.c.name == text) & (nodes.c.kind != "source")
        source = nodes.c.kind == "source"
        same_path = nodes.c.name == _path_token(self._keys, os.path.abspath(text))  # noqa: PTH100
        content = _file_sha256(text)
        if content is not None:
            same_content = nodes.c.digest == self._keys.address(content)
            yield source & same_content & same_path
            yield source & same_content
        yield source & same_path
        try:
            digest = bytes.fromhex(text)
        except ValueError:
            digest = None
        if digest is not None:
            yield source & (nodes.c.digest == self._keys.address(digest))
        for known in (content, digest):
            if known is not None:
                yield self._holding(self._keys.address(known))

    def _holding(self, address: str) -> sa.ColumnElement[bool]:
        """Return what a set is found by that keeps a file which is no source of its own."""
        own = sa.exists().where(sources.c.kind == "source", sources.c.digest == address)
        keeping = sa.select(holdings.c.node_id).where(holdings.c.address == address, ~own)
        return (nodes.c.kind == "dataset") & nodes.c.id.in_(keeping)

    def _refuse_version(self, text: str, kinds: Sequence[str] | None) -> None:
        """Refuse a version or alias of a name that has others.

        Raises:
            NotFound: the message lists them.
        """
        name = text[: max(text.rfind(":"), text.rfind("@"), 0)]
        condition = (nodes.c.name == name) & nodes.c.version.is_not(None)
        if kinds is not None:
            condition &= nodes.c.kind.in_(kinds)
        if text.isprintable() and (found := self._select(condition, newest_first=True, limit=1)):
            raise NotFound(self._missing(found[0].kind, name, text))

    def _missing(self, kind: str, name: str, wanted: str) -> str:
        condition = (nodes.c.kind == kind) & (nodes.c.name == name)
        with self._database.read() as connection:
            query = sa.select(nodes.c.version).where(condition).order_by(nodes.c.version)
            versions = [number for number in connection.scalars(query) if number is not None]
            names = [
                *connection.scalars(
                    sa.select(nodes.c.name).where(nodes.c.kind == kind).distinct().limit(10)
                )
            ]
        if versions:
            known = self.aliases(kind, name)
            also = f" and aliases {', '.join(known)}" if known else ""
            return f"there is no {kind} {wanted}; there are versions {_spans(versions)}{also}"
        existing = f"there are: {', '.join(sorted(names))}" if names else f"there is no {kind} yet"
        return f"there is no {kind} {wanted}; {existing}"

    def _neighbours(self, condition: sa.ColumnElement[bool], other: sa.Column[str]) -> Relatives:
        query = (
            sa.select(edges.c.role, nodes)
            .join(nodes, nodes.c.id == other)
            .where(condition)
            .order_by(edges.c.role, nodes.c.created_at, nodes.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [(row.role, read_node(self._keys, row)) for row in rows]

    def _reach(self, node_id: str, near: sa.Column[str], far: sa.Column[str]) -> Links:
        start = sa.select(sa.literal(node_id).label("id")).cte("reached", recursive=True)
        reached = start.union(sa.select(far).where(near == start.c.id))
        query = (
            sa.select(edges.c.child_id, edges.c.parent_id, edges.c.role)
            .where(near.in_(sa.select(reached.c.id)))
            .order_by(edges.c.child_id, edges.c.role, edges.c.parent_id)
        )
        with self._database.read() as connection:
            return [Link(*row) for row in connection.execute(query)]

    def _select(
        self,
        condition: sa.ColumnElement[bool],
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Nodes:
        order: tuple[Any, ...] = (nodes.c.created_at, nodes.c.version, nodes.c.id)
        if newest_first:
            order = tuple(column.desc() for column in order)
        query = sa.select(nodes).where(condition).order_by(*order).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [read_node(self._keys, row) for row in rows]


def _path_token(keys: KeyRing, absolute: str) -> str:
    return keys.token(f"path {absolute}")


def _file_sha256(path: str) -> bytes | None:
    """Return the SHA-256 of a file; None when there is none that can be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (any text may come, Path refuses some)
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        return None


def _spans(numbers: list[int]) -> str:
    """Return ascending numbers in words, such as ``1 to 7, 9``."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in spans)
