"""Collection: what nothing holds is removed, and the room it took is given back."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from lepton_ai.storage.backends import Backend
from lepton_ai.storage.database import Database
from lepton_ai.storage.packs import PACK_BYTES, PackSeries, PackWriter
from lepton_ai.storage.scan import leftover_files, leftover_packs, objects_of, read_ahead
from lepton_ai.storage.schema import files, holdings, objects, packs

__all__ = ["GRACE", "Collected", "collect"]

# Longer than the time between finding an object and holding it, in any sensible transaction.
GRACE = timedelta(hours=1)


class Collected(Struct, frozen=True):
    """What a collection did.

    Attributes:
        objects: objects removed because nothing held them.
        packs: packs removed, the rewritten ones among them.
        rewritten: packs whose living objects were moved to a new pack.
        leftovers: packs, unfinished packs and locks that crashed writers had left.
        bytes: how much smaller the stored packs became.
    """

    objects: int
    packs: int
    rewritten: int
    leftovers: int
    bytes: int


def collect(
    database: Database, backend: Backend, grace: timedelta, *, thorough: bool = False
) -> Collected:
    """Remove garbage objects, empty packs, mostly dead packs and leftovers, in this order.

    Args:
        grace: younger objects stay.
        thorough: rewrite every pack that holds dead bytes, not just those that hold many.
    """
    before = _stored(backend)
    removed, empty = _remove_garbage(database, grace)
    for name in empty:
        backend.delete(name)
    rewritten = _rewrite_sparse(database, backend, 1 if thorough else 2)
    leftovers = [*leftover_packs(database, backend)]
    for name in leftovers:
        backend.delete(name)
    files = [*leftover_files(backend)]
    for path in files:
        path.unlink(missing_ok=True)
    return Collected(
        objects=removed,
        packs=len(empty) + rewritten,
        rewritten=rewritten,
        leftovers=len(leftovers) + len(files),
        bytes=max(0, before - _stored(backend)),
    )


def _remove_garbage(database: Database, grace: timedelta) -> tuple[int, list[str]]:
    """Forget the objects that nothing holds, and the packs this leaves empty."""
    held = sa.or_(
        sa.exists().where(holdings.c.address == objects.c.address),
        sa.exists().where(files.c.address == objects.c.address),
    )
    with database.write(exclusive=True) as connection:
        result = connection.execute(
            sa.delete(objects).where(~held, objects.c.touched_at < datetime.now(UTC) - grace)
        )
        assert isinstance(result, sa.CursorResult)
        return result.rowcount, _forget_empty(connection)


def _forget_empty(connection: Connection) -> list[str]:
    """Remove the rows of packs without objects, and return their names."""
    used = sa.exists().where(objects.c.pack == packs.c.name)
    return [*connection.scalars(sa.delete(packs).where(~used).returning(packs.c.name))]


def _rewrite_sparse(database: Database, backend: Backend, share: int) -> int:
    """Move the living objects out of packs of which they are less than one in ``share``."""
    living = sa.func.sum(objects.c.sealed_size)
    query = (
        sa.select(packs.c.name, living.label("living"))
        .join(objects, objects.c.pack == packs.c.name)
        .group_by(packs.c.name, packs.c.size)
        .having(living * share < packs.c.size)
        .order_by(packs.c.name)
    )
    with database.read() as connection:
        sparse = connection.execute(query).all()
    count, group, size = 0, [], 0
    for row in sparse:
        group.append(row.name)
        size += row.living
        if size >= PACK_BYTES:
            count += _merge(database, backend, group)
            group, size = [], 0
    return count + (_merge(database, backend, group) if group else 0)


def _merge(database: Database, backend: Backend, names: Sequence[str]) -> int:
    """Copy what lives in some packs into a new one, switch over, and remove the old ones.

    The sealed bytes are copied as they are: an object is bound to its address and its key, not
    to its place. A reader that looks into the old pack afterwards asks the database again.
    """
    series = PackSeries(backend)
    try:
        pack = series.begin()
        moves = [move for name in names for move in _copy(database, backend, name, pack)]
        pack.publish()
    except BaseException:
        series.discard()
        raise
    try:
        with database.write(exclusive=True) as connection:
            row = {"name": pack.name, "size": pack.size, "created_at": datetime.now(UTC)}
            connection.execute(sa.insert(packs).values(row))
            if moves:
                here = (objects.c.address == sa.bindparam("row")) & (
                    objects.c.pack == sa.bindparam("old")
                )
                place = {"pack": pack.name, "offset": sa.bindparam("place")}
                connection.execute(sa.update(objects).where(here).values(place), moves)
            gone = _forget_empty(connection)
    finally:
        # A commit that failed may still have reached the server, so the pack stays; if no
        # row names it, the next collection removes it.
        series.release()
    for name in gone:
        backend.delete(name)
    return len(set(gone) & set(names))


def _copy(
    database: Database, backend: Backend, name: str, pack: PackWriter
) -> Iterator[dict[str, Any]]:
    """Append a pack's living objects to a new pack and yield where each went."""
    read = read_ahead(partial(backend.read, name))
    for row in objects_of(database, name):
        try:
            sealed = read(row.offset, row.sealed_size)
        except FileNotFoundError:
            # Another collection was faster; or the pack is lost, as verification will say.
            return
        if len(sealed) == row.sealed_size:
            yield {"row": row.address, "old": name, "place": pack.append(sealed)}


def _stored(backend: Backend) -> int:
    return sum(pack.size for pack in backend.packs())
