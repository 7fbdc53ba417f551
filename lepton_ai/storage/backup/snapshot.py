"""Snapshot: the file that makes a backup, a dump of the metadata and a list of what it needs.

A line of JSON tells what it is and holds its key, wrapped by the master key; then follows sealed
content: records, each a length of four bytes and that many of compressed MessagePack. The first
record is the manifest, the others are rows of tables. The seal of the key binds the line.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import Meta, Struct
from sqlalchemy import Connection

from lepton_ai.core.errors import Corrupt
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.cipher import CHUNK, KEY_BYTES, SealedReader, seal_chunks
from lepton_ai.storage.database import BATCH
from lepton_ai.storage.keys import KeyLost, KeyRing
from lepton_ai.storage.schema import REVISION, metadata

__all__ = ["Head", "Manifest", "PlainFile", "dump", "open_snapshot", "read_head", "write_snapshot"]

# Processes that live now mean nothing elsewhere or later.
LEFT_OUT = {"replicas", "alembic_version"}
_HEAD_BYTES = 65536


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What can be read without a key.

    Attributes:
        id: of the backup; sorts by time.
        workspace: its id.
        revision: of the database's schema.
        key_id: the master key that wraps the snapshot's own.
    """

    id: str
    workspace: str
    created_at: Annotated[datetime, Meta(tz=True)]
    revision: str
    key_id: str


class PlainFile(Struct, frozen=True):
    """A file of an unencrypted table: its path in the workspace, and where the backup has it."""

    path: str
    name: str
    size: int
    key: bytes


class Manifest(Struct, frozen=True):
    """What a snapshot needs: packs with their sizes, and plain files."""

    packs: dict[str, int]
    files: list[PlainFile] = []


Rows = Iterator[tuple[str, list[dict[str, Any]]]]


def dump(connection: Connection) -> Rows:
    """Yield all tables in an order in which they can be filled again, in batches of rows."""
    for table in metadata.sorted_tables:
        if table.name in LEFT_OUT:
            continue
        result = connection.execution_options(yield_per=BATCH).execute(sa.select(table))
        title, *names = (_plain_text(part.name) for part in (table, *table.columns))
        for rows in result.partitions(BATCH):
            yield title, [dict(zip(names, row, strict=True)) for row in rows]


def _plain_text(name: str) -> str:
    """Return a name as text: SQLAlchemy's own are of a class that MessagePack does not know."""
    return name.encode().decode()


def write_snapshot(
    destination: Destination, keys: KeyRing, connection: Connection, head: Head,
    manifest: Manifest, rows: Rows,
) -> int:  # fmt: skip
    """Write a snapshot under its head's id; return its size."""
    key = os.urandom(KEY_BYTES)
    master = keys.active(connection)
    head = msgspec.structs.replace(head, key_id=master.id)
    line = msgspec.json.encode(head)
    wrapped = keys.wrap(master, key, line.decode())

    def records() -> Iterator[bytes]:
        yield _record(manifest)
        for name, batch in rows:
            yield _record((name, batch))

    def chunks() -> Iterator[bytes]:
        for part in (line, wrapped):
            yield len(part).to_bytes(4, "big") + part
        yield from seal_chunks(key, _even(records()))

    return destination.write(f"snapshots/{head.id}", chunks())


def read_head(destination: Destination, name: str) -> Head:
    """Return what a snapshot says of itself; only `open_snapshot` proves it.

    Raises:
        Corrupt: it is no snapshot.
    """
    return _head(destination, name)[0]


def open_snapshot(
    destination: Destination, keys: KeyRing, name: str
) -> tuple[Head, Manifest, Rows]:
    """Open a snapshot and prove it as it is read.

    Raises:
        KeyLost: none of the keys at hand opens it.
        Corrupt: it was altered, cut off or exchanged for another.
    """
    head, line, wrapped, start = _head(destination, name)
    if head.id != name or head.workspace != destination.workspace_id:
        raise Corrupt(f"the backup {name} was altered: it is another one under this name")
    try:
        key = keys.unwrap(head.key_id, wrapped, line.decode())
    except KeyLost as error:
        raise KeyLost(
            f"the backup {name} is sealed under the master key {head.key_id}, which is not at "
            "hand; give the keys.json of that time, or put that key into LEPTON_MASTER_KEY. "
            "No other key opens the backup"
        ) from error
    except Corrupt as error:
        raise Corrupt(f"the backup {name} was altered: its head fails authentication") from error
    path = f"snapshots/{name}"
    sealed = destination.sizes("snapshots")[name] - start
    size = _plain_size(sealed)

    def fetch(offset: int, count: int) -> bytes:
        return destination.read(path, start + offset, count)

    records = _records(SealedReader(key, size, fetch, name))
    try:
        manifest = msgspec.msgpack.decode(next(records), type=Manifest)
    except (StopIteration, msgspec.DecodeError) as error:
        raise Corrupt(f"the backup {name} was altered: it holds no manifest") from error

    def rows() -> Rows:
        for record in records:
            table, batch = msgspec.msgpack.decode(record)
            yield table, batch

    return head, manifest, rows()


def new_head(workspace_id: str, backup_id: str) -> Head:
    """Return the head of a snapshot that is made now."""
    return Head(backup_id, workspace_id, datetime.now(UTC), REVISION, "")


def _head(destination: Destination, name: str) -> tuple[Head, bytes, bytes, int]:
    data = destination.read(f"snapshots/{name}", 0, _HEAD_BYTES)
    parts, start = [], 0
    for _ in range(2):
        size = int.from_bytes(data[start : start + 4], "big")
        parts.append(data[start + 4 : start + 4 + size])
        start += 4 + size
    try:
        if start > len(data):
            raise ValueError("it ends too early")
        head = msgspec.json.decode(parts[0], type=Head)
        # Nothing proved it so far, and other times cannot be told in every time zone.
        if not 1970 < head.created_at.year < 9000:
            raise ValueError(f"it is of {head.created_at}")
        return head, parts[0], parts[1], start
    except (msgspec.DecodeError, ValueError) as error:
        raise Corrupt(f"the backup {name} was altered: no readable head, {error}") from error


def _plain_size(sealed: int) -> int:
    stride = CHUNK + 16
    count = max(1, -(-sealed // stride))
    return max(0, sealed - 16 * count)


def _record(value: Any) -> bytes:
    packed = zlib.compress(msgspec.msgpack.encode(value), 1)
    return len(packed).to_bytes(4, "big") + packed


def _records(reader: SealedReader) -> Iterator[bytes]:
    while head := reader.read(4):
        packed = reader.read(int.from_bytes(head, "big"))
        try:
            yield zlib.decompress(packed)
        except zlib.error as error:
            raise Corrupt(f"the backup {reader.name} holds a broken record: {error}") from error


def _even(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into chunks of the size that sealing wants."""
    rest = bytearray()
    for part in parts:
        rest += part
        while len(rest) > CHUNK:
            yield bytes(rest[:CHUNK])
            del rest[:CHUNK]
    yield bytes(rest)
