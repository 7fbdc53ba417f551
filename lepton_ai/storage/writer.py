"""The objects of one transaction: deduplicated, packed, and at last named in the database."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import sqlalchemy as sa
from sqlalchemy import Connection

from lepton_ai.core.errors import Conflict
from lepton_ai.storage.backends import Backend
from lepton_ai.storage.cipher import CHUNK, sealed_size
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keys import KeyRing
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

# An object that is relied on again is marked so at most this often.
_TOUCH_AFTER = timedelta(minutes=10)


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
        # Address, pack, offset, sealed size, size and data key of what is new.
        self._rows: list[tuple[str, str, int, int, int, bytes]] = []
        # What streams of other threads have handed over, until the next `publish`.
        self._arrived: list[tuple[Sealed, PackWriter | None]] = []
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

    def add_many(self, contents: Sequence[bytes]) -> list[Stored]:
        """Take in contents that are in memory; those that are stored already are not sealed."""
        digests, addresses = digests_of(self._keys, contents)
        fresh = {
            address: content
            for address, content in zip(addresses, contents, strict=True)
            if address not in self._seen
        }
        for address in self._find([*fresh]):
            self._seen.add(address)
            del fresh[address]
        if fresh:
            keys, bodies = seal_objects(fresh.values())
            pack = self._room()
            offset = pack.append(b"".join(bodies))
            name, rows = pack.name, self._rows
            for (address, content), key, body in zip(fresh.items(), keys, bodies, strict=True):
                size = len(body)
                rows.append((address, name, offset, size, len(content), key))
                offset += size
            self._seen.update(fresh)
        return [*map(Stored, addresses, map(bytes.hex, digests), map(len, contents))]

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
        return ObjectStream(self._keys, self._begin_pack, self._arrive)

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
        rows = [
            {"name": pack.name, "size": pack.size, "created_at": now}
            for pack in (self._series.packs if self._series is not None else ())
            if pack.published
        ]
        if rows:
            connection.execute(sa.insert(packs), rows)
        if not self._rows:
            return
        master = self._keys.active(connection)
        # In order of address, so that transactions which add the same objects at once wait
        # for each other in the same order. Whoever comes second keeps the first one's copy.
        self._rows.sort()
        address, pack, offset, sealed, size, key = zip(*self._rows, strict=True)
        columns = {
            "address": address,
            "pack": pack,
            "offset": offset,
            "sealed_size": sealed,
            "size": size,
            "wrapped_key": self._keys.wrap_many(master, key, address),
        }
        self._database.insert_missing(
            connection, objects, columns, key_id=master.id, created_at=now, touched_at=now
        )

    @property
    def present(self) -> set[str]:
        """The addresses that this transaction stores, or has found and confirmed."""
        return {row[0] for row in self._rows} | self._relied

    def confirm(self, connection: Connection) -> None:
        """Make sure, under the write lock, that the objects found earlier are still there.

        Raises:
            Conflict: a collection removed one; it had been found more than an hour ago.
        """
        for batch in _batches(sorted(self._relied)):
            query = sa.select(sa.func.count()).where(objects.c.address.in_(batch))
            if connection.scalar(query) != len(batch):
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

    def _place(self, sealed: Sealed, pack: PackWriter, offset: int) -> None:
        size = sealed.size
        self._rows.append((sealed.address, pack.name, offset, sealed_size(size), size, sealed.key))

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

    def _arrive(self, sealed: Sealed, pack: PackWriter | None) -> None:
        with self._lock:
            self._arrived.append((sealed, pack))

    def _find(self, addresses: Sequence[str]) -> set[str]:
        """Return which addresses are stored, and mark those as relied on."""
        known: set[str] = set()
        old: list[str] = []
        limit = datetime.now(UTC) - _TOUCH_AFTER
        query = sa.select(objects.c.address, objects.c.touched_at)
        for batch in _batches(addresses):
            statement = query.where(objects.c.address.in_(batch))
            if self.connection is not None:
                found = self.connection.execute(statement).all()
            else:
                with self._database.read() as connection:
                    found = connection.execute(statement).all()
            known.update(row.address for row in found)
            old += [row.address for row in found if row.touched_at < limit]
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
            for batch in _batches(addresses):
                query = sa.select(objects.c.address).where(objects.c.address.in_(batch))
                gone -= set(connection.scalars(query))
        return gone


def _batches(addresses: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(addresses), BATCH):
        yield addresses[start : start + BATCH]


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
