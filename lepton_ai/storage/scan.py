"""Going through all packs: what verification and collection share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Row

from lepton_ai.storage.backends import Backend, writer_lives
from lepton_ai.storage.database import Database
from lepton_ai.storage.schema import objects, packs

__all__ = ["ReadAt", "leftover_files", "leftover_packs", "objects_of", "read_ahead"]

_AHEAD = 8 * 2**20

ReadAt = Callable[[int, int], bytes]


def objects_of(database: Database, pack: str) -> list[Row[tuple[str, int, int, int, str, bytes]]]:
    """Return the rows of a pack's objects, in the order in which they lie there."""
    query = sa.select(
        objects.c.address,
        objects.c.offset,
        objects.c.sealed_size,
        objects.c.size,
        objects.c.key_id,
        objects.c.wrapped_key,
    )
    with database.read() as connection:
        return [*connection.execute(query.where(objects.c.pack == pack).order_by(objects.c.offset))]


def read_ahead(read: ReadAt, end: int | None = None) -> ReadAt:
    """Return a reader that fetches 8 MiB at once: small objects lie side by side.

    Args:
        read: gives bytes of a pack, by offset and size.
        end: the offset at which nothing more is wanted.
    """
    kept, start = b"", 0

    def ahead(offset: int, size: int) -> bytes:
        nonlocal kept, start
        if offset < start or offset + size > start + len(kept):
            most = _AHEAD if end is None else min(_AHEAD, end - offset)
            kept, start = read(offset, max(size, most)), offset
        return kept[offset - start : offset - start + size]

    return ahead


def leftover_packs(database: Database, backend: Backend) -> Iterator[str]:
    """Yield the published packs that no transaction will ever name: their writers died."""
    query = sa.select(packs.c.name)
    with database.read() as connection:
        named = set(connection.scalars(query))
    for pack in backend.packs():
        if pack.name in named or backend.being_written(pack.name):
            continue
        # The writer may have committed after the first look; it lets go of its lock later.
        with database.read() as connection:
            if connection.scalar(query.where(packs.c.name == pack.name)) is None:
                yield pack.name


def leftover_files(backend: Backend) -> Iterator[Path]:
    """Yield the unpublished packs and locks of writers on this machine that died."""
    for path in backend.spool.glob(".pack_*"):
        if not writer_lives(backend.spool, path.stem.removeprefix(".")):
            yield path
