"""One unit of work: objects, nodes and rows that are stored together or not at all."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import chain
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.ids import new_id
from lepton_ai.storage.backends import Backend
from lepton_ai.storage.bulk import find_many, insert_missing
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.nodes import Node, NodeSpec, node_row, read_node
from lepton_ai.storage.schema import aliases, edges, files, holdings, nodes, objects
from lepton_ai.storage.sealing import Sealed, Stored, seal_object
from lepton_ai.storage.stream import ObjectStream
from lepton_ai.storage.writer import ObjectWriter

__all__ = ["Transaction", "is_name"]

# A colon, an at sign and a slash have a meaning in references (name:3, name@champion) and paths.
_NAME = re.compile(r"[^\s:@/\\\x00-\x1f][^:@/\\\x00-\x1f]{0,199}")


def is_name(text: str) -> bool:
    """Tell whether a text can be referred to as a name, and printed."""
    # What cannot be printed would move the cursor of a terminal, or turn its text around.
    return bool(_NAME.fullmatch(text)) and text.isprintable()


class Transaction:
    """A unit of work; get one from `Workspace.transaction`, and use it in one thread.

    Objects are written first, outside any lock. The first node or statement takes the
    database's write lock; when the block ends, the packs are durable before the database
    commits. An exception drops everything; a crash leaves at most a file that
    `ObjectStore.collect` removes.
    """

    def __init__(self, database: Database, keys: KeyRing, backend: Backend) -> None:
        self._database = database
        self._keys = keys
        self._writer = ObjectWriter(database, keys, backend)
        self._scope: AbstractContextManager[Connection] | None = None
        self._connection: Connection | None = None
        # By the node that holds them.
        self._held: dict[str, list[str]] = {}
        self._files: dict[str, str] = {}
        self._afterwards: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abandon(error)
            return
        try:
            self._finish()
        except BaseException as failure:
            self._abandon(failure)
            raise
        try:
            if self._scope is not None:
                self._scope.__exit__(None, None, None)
        finally:
            # A commit that failed may still have reached the server. The packs stay then: if
            # nothing names them, a collection removes them.
            self._writer.release()
        for work in self._afterwards:
            work()

    def put(self, data: bytes | memoryview | BinaryIO) -> str:
        """Store bytes, or all that a binary stream has left, and return the address.

        Content that is stored already is not stored again.
        """
        if isinstance(data, bytes | memoryview):
            return self.add(seal_object(self._keys, data))
        return self._writer.add_stream(data).address

    def put_many(self, contents: Sequence[bytes]) -> tuple[list[str], list[str]]:
        """Store many contents at once, such as small files; several times as fast as `put`.

        What is stored already is neither encrypted nor written. Hand over some megabytes at a
        time: all of them are encrypted before the first is written.

        Returns:
            Their addresses and their SHA-256 in hexadecimal, in the same order.
        """
        return self._writer.add_many(contents)

    def put_stream(self, stream: BinaryIO) -> Stored:
        """Store all that a binary stream has left, of any size, in little memory."""
        return self._writer.add_stream(stream)

    def add(self, sealed: Sealed) -> str:
        """Store what `ObjectStore.seal` made, perhaps in another thread; return the address."""
        return self._writer.add(sealed)

    def create(self) -> ObjectStream:
        """Return a file to write an object through, in any thread; its address is known at the end.

        Close it before the transaction ends: what is open then is left out.
        """
        return self._writer.create()

    def file(self, location: str, address: str) -> None:
        """Keep an object as the file of a table, under its location."""
        self._files[location] = address

    def afterwards(self, work: Callable[[], object]) -> None:
        """Do something once the transaction is durable; nothing if it is undone."""
        self._afterwards.append(work)

    @property
    def connection(self) -> Connection:
        """The transaction's connection, with the write lock taken."""
        return self._begin()

    @property
    def locked(self) -> bool:
        """Whether the write lock is taken."""
        return self._connection is not None

    def node(
        self,
        kind: str,
        name: str,
        *,
        version: bool = False,
        digest: str | None = None,
        facts: Mapping[str, Any] | None = None,
        parents: Iterable[tuple[str, str]] = (),
        holds: Iterable[str] = (),
        id: str | None = None,  # noqa: A002 (the field's own word)
    ) -> Node:
        """Add a node to the lineage graph and return it.

        Args:
            version: give it the next version number of its kind and name. A node of that kind
                and name that has this ``digest`` already is returned instead, so a rerun
                adds nothing.
            digest: address of the object that the node stands for.
            facts: anything that JSON can hold; sealed in the database.
            parents: pairs of node id and role, such as ``("dataset_01j...", "data")``.
            holds: addresses that are kept for as long as the node exists.
            id: a chosen id; a node that has it already is returned as it is.

        Raises:
            InvalidInput: the name of a versioned node cannot be referred to.
            NotFound: a parent or a held object does not exist.
        """
        spec = NodeSpec(kind, name, digest, facts or {}, tuple(parents), tuple(holds), id)
        if not version:
            return self.nodes([spec])[0]
        connection = self._begin()
        if not is_name(name):
            raise InvalidInput(
                f"{name!r} cannot be the name of a {kind}: use 1 to 200 characters without "
                "colon, at sign or slash, such as lung-ct"
            )
        self._database.serialise(connection, f"{kind}:{name}")
        same = sa.and_(nodes.c.kind == kind, nodes.c.name == name)
        if digest is not None:
            query = sa.select(nodes).where(same, nodes.c.digest == digest)
            found = connection.execute(query.order_by(nodes.c.version).limit(1)).one_or_none()
            if found is not None:
                return read_node(self._keys, found)
        newest = connection.scalar(sa.select(sa.func.max(nodes.c.version)).where(same))
        return self._insert([spec], version=(newest or 0) + 1)[0]

    def nodes(self, specs: Iterable[NodeSpec]) -> list[Node]:
        """Add many nodes without versions at once and return them in the same order.

        Source files are the use: tens of thousands in one call.
        """
        wanted = list(specs)
        connection = self._begin()
        ids = sorted({spec.id for spec in wanted if spec.id is not None})
        found: dict[str, Node] = {}
        for start in range(0, len(ids), BATCH):
            query = sa.select(nodes).where(nodes.c.id.in_(ids[start : start + BATCH]))
            found |= {row.id: read_node(self._keys, row) for row in connection.execute(query)}
        fresh = [spec for spec in wanted if spec.id is None or spec.id not in found]
        # What comes again after it was erased is held again.
        for spec in wanted:
            if spec.id is not None and spec.id in found:
                self._hold(spec.id, spec.holds)
        made = iter(self._insert(fresh, version=None))
        return [
            found[spec.id] if spec.id is not None and spec.id in found else next(made)
            for spec in wanted
        ]

    def alias(self, node: Node, alias: str) -> None:
        """Let an alias of the node's kind and name mean this node from now on.

        Raises:
            InvalidInput: the alias cannot be referred to.
        """
        if not is_name(alias) or alias.isdecimal():
            raise InvalidInput(f"{alias!r} cannot be an alias; use a word such as champion")
        values = {"node_id": node.id, "updated_at": datetime.now(UTC)}
        self._begin().execute(
            self._database.insert(aliases)
            .values(kind=node.kind, name=node.name, alias=alias, **values)
            .on_conflict_do_update(index_elements=["kind", "name", "alias"], set_=values)
        )

    def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> sa.CursorResult[Any]:
        """Run a statement inside the transaction."""
        result = self._begin().execute(statement, parameters)
        assert isinstance(result, sa.CursorResult)
        return result

    def _begin(self) -> Connection:
        """Take the write lock, once; what was put so far becomes durable before."""
        if self._connection is None:
            self._writer.publish()
            scope = self._database.write()
            self._connection = scope.__enter__()
            self._scope = scope
            self._writer.connection = self._connection
            self._writer.confirm(self._connection)
        return self._connection

    def _insert(self, specs: list[NodeSpec], version: int | None) -> list[Node]:
        """Write nodes and edges, and remember what the nodes hold until the objects have rows."""
        connection = self._begin()
        now = datetime.now(UTC)
        made: dict[str, Node] = {}
        result = []
        links = []
        for spec in specs:
            node_id = spec.id or new_id(spec.kind)
            # As they will be read again: lists for tuples, text for dates.
            facts = msgspec.json.decode(msgspec.json.encode(spec.facts))
            node = Node(node_id, spec.kind, spec.name, version, spec.digest, now, facts)
            result.append(made.setdefault(node_id, node))
            links += [(node_id, parent, role) for parent, role in spec.parents]
            self._hold(node_id, spec.holds)
        if made:
            rows = [node_row(self._keys, made[key]) for key in sorted(made)]
            # Two readers of the same files may add the same sources at once; either is right.
            values = {name: [row[name] for row in rows] for name in rows[0]}
            insert_missing(connection, nodes, values)
        if links:
            self._require(nodes.c.id, {parent for _, parent, _ in links}, "parent node")
            child, parent, role = zip(*links, strict=True)
            columns = {"child_id": child, "parent_id": parent, "role": role}
            insert_missing(connection, edges, columns)
        return result

    def _hold(self, node_id: str, addresses: Sequence[str]) -> None:
        if addresses:
            self._held.setdefault(node_id, []).extend(addresses)

    def _require(self, column: sa.Column[str], values: set[str], what: str) -> None:
        connection = self._begin()
        rows = find_many(connection, sa.select(column), column, sorted(values)) if values else ()
        if len(rows) < len(values):
            missing = min(values - {row[0] for row in rows})
            raise NotFound(f"the {what} {missing} does not exist; add it before the node")

    def _finish(self) -> None:
        """Do everything but the commit."""
        self._writer.publish()
        if self._connection is None and not self._writer.has_rows and not self._files:
            return
        connection = self._begin()
        self._writer.record(connection)
        if self._held:
            holders = sorted(self._held)
            held = [sorted(self._held[holder]) for holder in holders]
            node = [*chain(*([holder] * len(self._held[holder]) for holder in holders))]
            address = [*chain(*held)]
            self._require(objects.c.address, self._writer.unsure(address), "object")
            insert_missing(connection, holdings, {"node_id": node, "address": address})
        if self._files:
            self._require(objects.c.address, set(self._files.values()), "object")
            now = datetime.now(UTC)
            connection.execute(
                sa.insert(files),
                [
                    {"location": location, "address": address, "created_at": now}
                    for location, address in self._files.items()
                ],
            )

    def _abandon(self, error: BaseException) -> None:
        try:
            if self._scope is not None:
                self._scope.__exit__(type(error), error, error.__traceback__)
        finally:
            self._writer.discard()
