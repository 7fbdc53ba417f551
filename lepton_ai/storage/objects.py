"""The object store: bytes in, an address out; an address in, a seekable file out."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.storage.backends import Backend
from lepton_ai.storage.cipher import SealedReader
from lepton_ai.storage.collect import GRACE, Collected, collect
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.schema import objects
from lepton_ai.storage.sealing import Sealed, seal_object
from lepton_ai.storage.transaction import Transaction
from lepton_ai.storage.verify import Fault, verify_objects

__all__ = ["ObjectInfo", "ObjectStore"]


class ObjectInfo(Struct, frozen=True):
    """Where an object lies and how large it is.

    Attributes:
        size: plain bytes.
        pack: the pack file that holds it.
        offset: of its first sealed byte in the pack.
        sealed_size: bytes it takes there.
        key_id: the master key that wraps its data key.
    """

    address: str
    size: int
    pack: str
    offset: int
    sealed_size: int
    key_id: str
    wrapped_key: bytes
    created_at: datetime


class ObjectStore:
    """Immutable, encrypted, deduplicated content of one workspace.

    An address is a keyed hash of the content: equal content is stored once, and the address
    tells nothing to whoever lacks the key.

    Attributes:
        backend: where the packs lie.
    """

    def __init__(self, database: Database, keys: KeyRing, backend: Backend) -> None:
        self._database = database
        self._keys = keys
        self.backend = backend

    def seal(self, data: bytes | memoryview) -> Sealed:
        """Hash and encrypt content for `Transaction.add`; pure, and good work for threads."""
        return seal_object(self._keys, data)

    def put(self, data: bytes | memoryview | BinaryIO) -> str:
        """Store content in a transaction of its own and return its address.

        Nothing holds it yet: `collect` removes it unless a node comes to hold it within the
        hour.
        """
        with Transaction(self._database, self._keys, self.backend) as transaction:
            return transaction.put(data)

    def open(self, address: str) -> SealedReader:
        """Open an object as a seekable file, which any number of threads may read at once.

        Raises:
            NotFound: there is no such object.
            Corrupt: its wrapped key was altered; reading raises it for altered content.
        """
        return self.reader(self.info(address))

    def get(self, address: str) -> bytes:
        """Return an object's content.

        Raises:
            NotFound, Corrupt: as `open`.
        """
        return self.open(address).read()

    def get_many(self, addresses: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of many objects by address, with one query for all of them.

        Raises:
            NotFound, Corrupt: as `open`.
        """
        wanted = [*dict.fromkeys(addresses)]
        infos: dict[str, ObjectInfo] = {}
        with self._database.read() as connection:
            for start in range(0, len(wanted), BATCH):
                query = _QUERY.where(objects.c.address.in_(wanted[start : start + BATCH]))
                infos |= {row.address: ObjectInfo(*row) for row in connection.execute(query)}
        for address in wanted:
            if address not in infos:
                raise NotFound(f"there is no object {address} here; it was erased, or never stored")
        return {address: self.reader(infos[address]).read() for address in wanted}

    def info(self, address: str) -> ObjectInfo:
        """Return what the database knows of an object.

        Raises:
            NotFound: there is no such object.
        """
        with self._database.read() as connection:
            row = connection.execute(_QUERY.where(objects.c.address == address)).one_or_none()
        if row is None:
            raise NotFound(f"there is no object {address} here; it was erased, or never stored")
        return ObjectInfo(*row)

    def __contains__(self, address: str) -> bool:
        query = sa.select(objects.c.size).where(objects.c.address == address)
        with self._database.read() as connection:
            return connection.scalar(query) is not None

    def verify(self) -> Iterator[Fault]:
        """Read every object again and yield what is wrong: each altered or missing byte.

        A fault of kind ``leftover`` is harmless: a crash left a file, which `collect` removes.
        """
        return verify_objects(self._database, self._keys, self.backend)

    def collect(self, grace: timedelta = GRACE) -> Collected:
        """Remove what nothing holds and what crashes left, and give the room back.

        Safe beside writers in any process.

        Args:
            grace: objects that were stored or found within this time stay, as a transaction
                may be about to hold them.
        """
        return collect(self._database, self.backend, grace)

    def reader(self, info: ObjectInfo) -> SealedReader:
        """Open an object whose `info` is at hand.

        Raises:
            Corrupt: as `open`.
        """
        key = self._keys.unwrap(info.key_id, info.wrapped_key, info.address)
        return SealedReader(key, info.size, self._fetcher(info), info.address)

    def _fetcher(self, info: ObjectInfo) -> Callable[[int, int], bytes]:
        """Return what reads sealed bytes of an object, even after it moved to another pack."""

        def fetch(offset: int, size: int) -> bytes:
            nonlocal info
            try:
                return self.backend.read(info.pack, info.offset + offset, size)
            except FileNotFoundError as error:
                moved = self.info(info.address)
                if moved.pack == info.pack:
                    raise Corrupt(
                        f"the pack {info.pack} with object {info.address} is missing; "
                        "restore it from a backup"
                    ) from error
                info = moved
                return self.backend.read(info.pack, info.offset + offset, size)

        return fetch


_QUERY = sa.select(*(objects.c[name] for name in ObjectInfo.__struct_fields__))
