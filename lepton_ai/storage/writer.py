"""The objects of one transaction: deduplicated, packed, and at last named in the database."""

import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, BinaryIO

import sqlalchemy as sa
from msgspec import Struct, field
from sqlalchemy import Connection

from lepton_ai.core.errors import Conflict
from lepton_ai.storage.backends import Backend
from lepton_ai.storage.bulk import ROWS, find_many, insert_parts
from lepton_ai.storage.cipher import CHUNK, sealed_size
from lepton_ai.storage.database import Database
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.keysources import MasterKey
from lepton_ai.storage.packs import PACK_BYTES, PackSeries, PackWriter
from lepton_ai.storage.schema import objects, packs
from lepton_ai.storage.sealing import (
    Sealed,
    Stored,
    digests_of,
    seal_object,
    seal_objects,
    seal_stream,
)
from lepton_ai.storage.stream import ObjectStream

__all__ = ["ObjectWriter"]

# Sealed objects wait in memory up to this much, so that one query looks all of them up.
_PENDING_BYTES = 8 * 2**20
_PENDING_COUNT = 2048
# Of what streams have written, so much waits in memory for the end of the transaction; what follows
# and is larger than a chunk, which lists of files hardly are, gets packs of its own.
_WAITING_BYTES = 32 * 2**20
# Contents that are sealed and written in one go: few enough to stay in the processor's own memory.
_TOGETHER = 256

# An object that is relied on again is marked so at most this often.
_TOUCH_AFTER = timedelta(minutes=10)


def _numbers() -> "array[int]":
    return array("q")


class _Rows(Struct):
    """The new objects, column by column: an object for each would call for garbage collection.

    Numbers lie side by side: in another order than they came in, objects of their own would each
    be far from the last one in memory.
    """

    address: list[str] = field(default_factory=list)
    pack: list[str] = field(default_factory=list)
    offset: "array[int]" = field(default_factory=_numbers)
    sealed_size: "array[int]" = field(default_factory=_numbers)
    size: "array[int]" = field(default_factory=_numbers)
    key: list[bytes] = field(default_factory=list)


class ObjectWriter:
    """What a transaction does with objects. Used by one thread.

    An object that is stored already is not written again. The row of such an object is
    touched when it is found, so that a collection, which spares what was touched within the
    hour, leaves it alone until this transaction holds it.
    """

    def __init__(self, database: Database, keys: KeyRing, backend: Backend) -> None:
        self._database = database
        self._keys = keys
        self._backend = backend
        self._series: PackSeries | None = None
        self._pack: PackWriter | None = None
        self._pending: list[Sealed] = []
        self._pending_bytes = 0
        self._seen: set[str] = set()
        self._relied: set[str] = set()
        self._rows = _Rows()
        # What streams of other threads have handed over, until the next `publish`.
        self._arrived: list[tuple[Sealed, PackWriter | None]] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        # The transaction's own connection, once it has taken the write lock.
        self.connection: Connection | None = None

    def add(self, sealed: Sealed) -> str:
        """Take an object in and return its address."""
        if sealed.address not in self._seen:
            self._seen.add(sealed.address)
            self._pending.append(sealed)
            self._pending_bytes += len(sealed.body)
            if self._pending_bytes >= _PENDING_BYTES or len(self._pending) >= _PENDING_COUNT:
                self._flush()
        return sealed.address

    def add_many(self, contents: Sequence[bytes]) -> tuple[list[str], list[str]]:
        """Take in contents that are in memory; those that are stored already are not sealed.

        Returns:
            Their addresses and SHA-256, in hexadecimal.
        """
        digests, addresses = digests_of(self._keys, contents)
        fresh = dict(zip(addresses, contents, strict=True))
        for address in self._seen.intersection(fresh):
            del fresh[address]
        for address in self._find([*fresh]):
            self._seen.add(address)
            del fresh[address]
        waiting = [*fresh]
        for start in range(0, len(waiting), _TOGETHER):
            part = waiting[start : start + _TOGETHER]
            self._write_many(part, [fresh[address] for address in part])
        return addresses, [*map(bytes.hex, digests)]

    def add_stream(self, stream: BinaryIO) -> Stored:
        """Take in everything that a stream has left, of any size, in little memory."""
        head = _read_full(stream, _PENDING_BYTES)
        if len(head) < _PENDING_BYTES:
            sealed = seal_object(self._keys, head)
            self.add(sealed)
            return Stored(sealed.address, sealed.sha256, sealed.size)
        pack = self._room()
        offset = pack.size
        try:
            sealed = seal_stream(self._keys, _chunks(head, stream), pack.append)
        except BaseException:
            # A file that cannot be read to its end is the caller's to skip.
            pack.cut(offset)
            raise
        if sealed.address in self._seen or self._find([sealed.address]):
            pack.cut(offset)
        else:
            self._place(sealed, pack, offset)
        self._seen.add(sealed.address)
        return Stored(sealed.address, sealed.sha256, sealed.size)

    def create(self) -> ObjectStream:
        """Return a stream that becomes an object when it is closed, in any thread."""
        return ObjectStream(self._keys, self._may_wait, self._begin_pack, self._arrive)

    @property
    def has_rows(self) -> bool:
        """Whether `record` has anything to write."""
        return self._series is not None

    def publish(self) -> None:
        """Make everything taken in so far durable in the backend."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
        for sealed, pack in arrived:
            if pack is None:
                self.add(sealed)
            elif sealed.address in self._seen or self._find([sealed.address]):
                pack.discard()
            else:
                self._place(sealed, pack, 0)
                pack.publish()
            self._seen.add(sealed.address)
        self._flush()
        if self._pack is not None:
            self._pack.publish()
            self._pack = None

    def record(self, connection: Connection) -> None:
        """Name the published objects in the database; the last step before the commit."""
        now = datetime.now(UTC)
        written = [
            {"name": pack.name, "size": pack.size, "created_at": now}
            for pack in (self._series.packs if self._series is not None else ())
            if pack.published
        ]
        if written:
            connection.execute(sa.insert(packs), written)
        if not self._rows.address:
            return
        master = self._keys.active(connection)
        parts = self._in_order(master)
        insert_parts(connection, objects, parts, key_id=master.id, created_at=now, touched_at=now)

    def _in_order(self, master: MasterKey) -> Iterator[Mapping[str, Sequence[Any]]]:
        """Yield the rows with their keys wrapped, part by part.

        In order of address, so that transactions which add the same objects at once wait for each
        other in the same order. Whoever comes second keeps the first one's copy.
        """
        rows = self._rows
        order = sorted(range(len(rows.address)), key=rows.address.__getitem__)
        for start in range(0, len(order), ROWS):
            some = order[start : start + ROWS]
            columns: dict[str, list[Any]] = {
                name: [*map(getattr(rows, name).__getitem__, some)]
                for name in rows.__struct_fields__
            }
            keys, addresses = columns.pop("key"), columns["address"]
            yield {**columns, "wrapped_key": self._keys.wrap_many(master, keys, addresses)}

    def unsure(self, addresses: Sequence[str]) -> set[str]:
        """Return which addresses this transaction neither stores nor has found and confirmed."""
        return set(addresses).difference(self._relied, self._rows.address)

    def confirm(self, connection: Connection) -> None:
        """Make sure, under the write lock, that the objects found earlier are still there.

        Raises:
            Conflict: a collection removed one; it had been found more than an hour ago.
        """
        query = sa.select(objects.c.address)
        if len(find_many(connection, query, objects.c.address, sorted(self._relied))) < len(
            self._relied
        ):
            raise Conflict(
                "an object that this transaction relies on was collected while it ran; "
                "nothing was changed, run the same command again"
            )

    def discard(self) -> None:
        """Remove what was written, for a transaction that fails."""
        if self._series is not None:
            self._series.discard()

    def release(self) -> None:
        """Let the packs stand for themselves, once the transaction is committed."""
        if self._series is not None:
            self._series.release()

    def _flush(self) -> None:
        """Write the waiting objects that are not stored yet, in one piece."""
        known = self._find([sealed.address for sealed in self._pending])
        new = [sealed for sealed in self._pending if sealed.address not in known]
        if new:
            pack = self._room()
            offset = pack.append(b"".join(sealed.body for sealed in new))
            for sealed in new:
                self._place(sealed, pack, offset)
                offset += len(sealed.body)
        # Only now: after an error they still wait, and the transaction cannot end without them.
        self._pending, self._pending_bytes = [], 0

    def _write_many(self, addresses: Sequence[str], contents: Sequence[bytes]) -> None:
        """Seal and write contents that are not stored yet, in one piece."""
        keys, bodies = seal_objects(contents)
        pack = self._room()
        offset = pack.append(b"".join(bodies))
        rows, sizes = self._rows, [*map(len, bodies)]
        rows.address += addresses
        rows.pack += [pack.name] * len(addresses)
        rows.offset.extend([*accumulate(sizes, initial=offset)][:-1])
        rows.sealed_size.extend(sizes)
        rows.size.extend(map(len, contents))
        rows.key += keys
        self._seen.update(addresses)

    def _place(self, sealed: Sealed, pack: PackWriter, offset: int) -> None:
        rows = self._rows
        rows.address.append(sealed.address)
        rows.pack.append(pack.name)
        rows.offset.append(offset)
        rows.sealed_size.append(sealed_size(sealed.size))
        rows.size.append(sealed.size)
        rows.key.append(sealed.key)

    def _room(self) -> PackWriter:
        """Return a pack that is not full."""
        if self._pack is not None and self._pack.size >= PACK_BYTES:
            self._pack.publish()
            self._pack = None
        if self._pack is None:
            self._pack = self._begin_pack()
        return self._pack

    def _begin_pack(self) -> PackWriter:
        with self._lock:
            if self._series is None:
                self._series = PackSeries(self._backend)
            return self._series.begin()

    def _may_wait(self, size: int) -> bool:
        with self._lock:
            fits = size <= CHUNK or self._waiting_bytes + size <= _WAITING_BYTES
            self._waiting_bytes += size * fits
        return fits

    def _arrive(self, sealed: Sealed, pack: PackWriter | None) -> None:
        with self._lock:
            self._arrived.append((sealed, pack))

    def _find(self, addresses: Sequence[str]) -> set[str]:
        """Return which addresses are stored, and mark those as relied on."""
        known: set[str] = set()
        limit = datetime.now(UTC) - _TOUCH_AFTER
        query = sa.select(objects.c.address, (objects.c.touched_at < limit).label("old"))
        if not addresses:
            return known
        if self.connection is not None:
            found = find_many(self.connection, query, objects.c.address, addresses)
        else:
            with self._database.read() as connection:
                found = find_many(connection, query, objects.c.address, addresses)
        known.update(row[0] for row in found)
        old = [row.address for row in found if row.old]
        # Under the write lock there is no need: no collection can come between.
        if old and self.connection is None:
            known -= self._touch(old)
        if self.connection is None:
            self._relied |= known
        return known

    def _touch(self, addresses: list[str]) -> set[str]:
        """Mark objects as used a moment ago; return those that were collected meanwhile."""
        statement = sa.update(objects).where(objects.c.address == sa.bindparam("row"))
        gone = set(addresses)
        with self._database.write() as connection:
            connection.execute(
                statement.values(touched_at=datetime.now(UTC)),
                [{"row": address} for address in sorted(addresses)],
            )
            query = sa.select(objects.c.address)
            gone -= {row[0] for row in find_many(connection, query, objects.c.address, addresses)}
        return gone


def _read_full(stream: BinaryIO, size: int) -> bytes:
    """Read until ``size`` bytes are there or the stream ends: sockets and pipes give less."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _chunks(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    for start in range(0, len(head), CHUNK):
        yield head[start : start + CHUNK]
    while chunk := _read_full(stream, CHUNK):
        yield chunk
