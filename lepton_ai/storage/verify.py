"""Verification: everything that is stored is read again and proved intact."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, LeptonError
from lepton_ai.core.progress import track
from lepton_ai.storage.backends import Backend
from lepton_ai.storage.cipher import SealedReader, Truncated, sealed_size
from lepton_ai.storage.database import BATCH, Database
from lepton_ai.storage.keys import KeyRing
from lepton_ai.storage.nodes import read_node
from lepton_ai.storage.scan import leftover_files, leftover_packs, objects_of, read_ahead
from lepton_ai.storage.schema import metadata, nodes, objects, packs, predictions, secrets

__all__ = ["Fault", "verify_metadata", "verify_objects"]

_PIECE = 8 * 2**20


class Fault(Struct, frozen=True):
    """Something that verification found.

    Attributes:
        kind: ``altered``, ``truncated``, ``missing``, ``key`` (cannot be unwrapped),
            ``metadata``, or ``leftover`` (harmless: a crash left it, a collection removes it).
        subject: the pack, the object's address or the node's id.
        detail: one sentence.
    """

    kind: str
    subject: str
    detail: str

    @property
    def harmless(self) -> bool:
        """Whether no data is affected."""
        return self.kind == "leftover"


def verify_objects(database: Database, keys: KeyRing, backend: Backend) -> Iterator[Fault]:
    """Decrypt every object, compare it with its address, and look for what should not be there."""
    with database.read() as connection:
        rows = connection.execute(sa.select(packs.c.name, packs.c.size)).all()
    expected = {row.name: row.size for row in rows}
    present = {pack.name: pack.size for pack in backend.packs()}
    for name in track(sorted(expected), "verifying packs"):
        if name not in present:
            if _is_named(database, name):
                yield Fault("missing", name, f"the pack {name} is missing")
            continue
        if present[name] < expected[name]:
            detail = f"the pack {name} has {present[name]} of {expected[name]} bytes"
            yield Fault("truncated", name, detail)
        elif present[name] > expected[name]:
            detail = f"the pack {name} has {present[name]} bytes, but {expected[name]} were written"
            yield Fault("altered", name, detail)
        yield from _verify_pack(database, keys, backend, name)
    for name in leftover_packs(database, backend):
        yield Fault("leftover", name, f"no transaction names the pack {name}")
    for path in leftover_files(backend):
        yield Fault("leftover", path.name, f"a writer that died left {path}")


def verify_metadata(database: Database, keys: KeyRing) -> Iterator[Fault]:
    """Check the database file, and that secrets, nodes and predictions are as they were written."""
    if database.dialect == "sqlite":
        with database.read() as connection:
            report = [*connection.scalars(sa.text("PRAGMA integrity_check"))]
            broken = [row[0] for row in connection.execute(sa.text("PRAGMA foreign_key_check"))]
            # A schema of which a letter was altered is whole to SQLite; a question tells.
            for table in metadata.sorted_tables:
                connection.execute(sa.select(table).limit(1)).all()
        if report != ["ok"]:
            yield Fault("metadata", "database", "; ".join(report[:3]))
        if broken:
            tables = ", ".join(sorted(set(broken)))
            yield Fault("metadata", "database", f"rows of {tables} refer to rows that are gone")
    with database.read() as connection:
        rows = connection.execute(sa.select(secrets)).all()
    for row in rows:
        try:
            keys.unwrap(row.key_id, row.wrapped, row.name)
        except LeptonError as error:
            yield Fault("key", row.name, str(error))
    for row in _rows(database, nodes):
        try:
            read_node(keys, row)
        except Corrupt as error:
            yield Fault("metadata", row.id, str(error))
    for row in _rows(database, predictions):
        try:
            keys.unseal(row.body, row.id.encode())
        except Corrupt as error:
            yield Fault("metadata", row.id, str(error))


def _rows(database: Database, table: sa.Table) -> Iterator[sa.Row[Any]]:
    """Yield all rows of a table of any size, by id, without one long transaction."""
    query = sa.select(table).order_by(table.c.id).limit(BATCH)
    last = ""
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(table.c.id > last)).all()
        yield from rows
        if not rows:
            return
        last = rows[-1].id


def _verify_pack(database: Database, keys: KeyRing, backend: Backend, pack: str) -> Iterator[Fault]:
    read = read_ahead(partial(backend.read, pack))
    for row in objects_of(database, pack):
        try:
            key = keys.unwrap(row.key_id, row.wrapped_key, row.address)
        except LeptonError as error:
            yield Fault("key", row.address, str(error))
            continue

        reader = SealedReader(key, row.size, partial(_read_at, read, row.offset), row.address)
        digest = hashlib.sha256()
        try:
            while piece := reader.read(_PIECE):
                digest.update(piece)
            intact = keys.address(digest.digest()) == row.address
        except FileNotFoundError:
            # Collection moved the rest elsewhere, where it is authenticated when it is read.
            return
        except Truncated as error:
            yield Fault("truncated", row.address, str(error))
            continue
        except Corrupt as error:
            yield Fault("altered", row.address, str(error))
            continue
        if not intact:
            detail = f"the content of object {row.address} is not what its address names"
            yield Fault("altered", row.address, detail)
        if row.sealed_size != sealed_size(row.size):
            yield Fault("metadata", row.address, f"the row of object {row.address} was altered")


def _read_at(read: Callable[[int, int], bytes], start: int, offset: int, size: int) -> bytes:
    return read(start + offset, size)


def _is_named(database: Database, pack: str) -> bool:
    with database.read() as connection:
        query = sa.select(sa.func.count()).select_from(objects).where(objects.c.pack == pack)
        return bool(connection.scalar(query))
