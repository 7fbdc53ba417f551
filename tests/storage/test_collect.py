import fcntl
import multiprocessing
import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import Conflict
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Collected, StorageFull, Workspace
from lepton_ai.storage.packs import PackSeries, PackWriter
from lepton_ai.storage.schema import holdings, objects, packs

FORK = multiprocessing.get_context("fork")
NOW = timedelta(0)
NOTHING = Collected(objects=0, packs=0, rewritten=0, leftovers=0, bytes=0)


def files(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.home / "objects").iterdir())


def held(workspace: Workspace, *contents: bytes) -> list[str]:
    with workspace.transaction() as tx:
        addresses = [tx.put(content) for content in contents]
        tx.node("source", "s", holds=addresses)
    return addresses


def test_what_is_held_stays(workspace: Workspace) -> None:
    (address,) = held(workspace, b"kept")
    assert workspace.objects.collect(NOW) == NOTHING
    assert workspace.objects.get(address) == b"kept"


def test_what_nothing_holds_goes_after_the_grace(workspace: Workspace) -> None:
    address = workspace.objects.put(b"loose")
    assert workspace.objects.collect() == NOTHING
    assert address in workspace.objects
    assert workspace.objects.collect(NOW) == Collected(1, 1, 0, 0, 5 + 16)
    assert address not in workspace.objects
    assert files(workspace) == []
    assert workspace.objects.put(b"loose") == address
    assert workspace.objects.get(address) == b"loose"


def test_finding_an_object_again_renews_its_grace(workspace: Workspace) -> None:
    address = workspace.objects.put(b"loose")
    with workspace.database.write() as connection:
        old = workspace.objects.info(address).created_at - timedelta(days=1)
        connection.execute(sa.update(objects).values(touched_at=old))
    with workspace.transaction() as tx:
        tx.put(b"loose")
        tx.put(b"flush")
        tx._writer._flush()
        # Nothing is held yet, and a collection comes by.
        assert workspace.objects.collect() == NOTHING
        tx.node("source", "s", holds=[address])
    assert workspace.objects.get(address) == b"loose"


def test_a_transaction_whose_object_was_collected_fails_whole(workspace: Workspace) -> None:
    workspace.objects.put(b"loose")

    def rely_too_long() -> None:
        with workspace.transaction() as tx:
            address = tx.put(b"loose")
            tx._writer._flush()
            workspace.objects.collect(NOW)
            tx.node("source", "s", holds=[address])

    with pytest.raises(Conflict, match="run the same command again"):
        rely_too_long()
    assert workspace.lineage.list("source") == []
    assert [*workspace.verify()] == []


def test_packs_that_are_mostly_dead_are_rewritten_together(workspace: Workspace) -> None:
    kept: list[str] = []
    for number in range(3):
        with workspace.transaction() as tx:
            kept.append(tx.put(b"kept %d" % number))
            tx.put(os.urandom(10_000))
            tx.node("source", "s", holds=kept[-1:])
    (full,) = held(workspace, os.urandom(10_000))
    with workspace.objects.open(kept[0]) as open_before:
        done = workspace.objects.collect(NOW)
        assert (done.objects, done.packs, done.rewritten, done.leftovers) == (3, 3, 3, 0)
        assert done.bytes == 3 * (10_000 + 16)
        assert open_before.read() == b"kept 0"
    assert [workspace.objects.get(address) for address in kept] == [b"kept 0", b"kept 1", b"kept 2"]
    assert len({workspace.objects.info(address).pack for address in kept}) == 1
    assert len(workspace.objects.get(full)) == 10_000
    assert len(files(workspace)) == 2
    assert [*workspace.verify()] == []
    assert workspace.objects.collect(NOW) == NOTHING


def test_packs_are_rewritten_in_groups(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_ai.storage.collect.PACK_BYTES", 150)
    kept = []
    for number in range(4):
        with workspace.transaction() as tx:
            kept.append(tx.put(b"%d" % number * 100))
            tx.put(os.urandom(1000))
            tx.node("source", "s", holds=kept[-1:])
    assert workspace.objects.collect(NOW).rewritten == 4
    assert len(files(workspace)) == 2
    assert [workspace.objects.get(address)[:1] for address in kept] == [b"0", b"1", b"2", b"3"]
    assert [*workspace.verify()] == []


def test_a_rewrite_that_fails_leaves_everything_as_it_was(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.transaction() as tx:
        kept = tx.put(b"kept")
        tx.put(os.urandom(1000))
        tx.node("source", "s", holds=[kept])
    before = files(workspace)

    def fail(self: PackWriter) -> None:
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(PackWriter, "publish", fail)
        with pytest.raises(StorageFull):
            workspace.objects.collect(NOW)
    assert files(workspace) == before
    assert workspace.objects.get(kept) == b"kept"
    assert [*workspace.verify()] == []


def test_a_missing_pack_is_left_for_verification(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        kept = tx.put(b"kept")
        tx.put(os.urandom(1000))
        tx.node("source", "s", holds=[kept])
    (name,) = files(workspace)
    (workspace.home / "objects" / name).unlink()
    assert workspace.objects.collect(NOW).rewritten == 0
    assert [(fault.kind, fault.subject) for fault in workspace.verify()] == [("missing", name)]


def test_a_pack_that_cannot_be_read_is_left_for_verification(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        kept = tx.put(b"kept")
        tx.put(os.urandom(1000))
        tx.node("source", "s", holds=[kept])
    (name,) = files(workspace)
    (workspace.home / "objects" / name).write_bytes(b"")
    workspace.objects.collect(NOW)
    assert ("truncated", name) in {(fault.kind, fault.subject) for fault in workspace.verify()}


class TestLeftovers:
    """What a writer leaves that was killed: found, harmless, and collected once it is dead."""

    def leave(self, workspace: Workspace) -> tuple[list[str], PackSeries]:
        series = PackSeries(workspace._backend)
        published = series.begin()
        published.append(b"bytes")
        published.publish()
        series.begin().append(b"more")
        return files(workspace), series

    def test_of_a_dead_writer(self, workspace: Workspace) -> None:
        (address,) = held(workspace, b"kept")
        before = files(workspace)
        names, series = self.leave(workspace)
        os.close(series._lock)  # as the kernel does for a process that dies
        assert len(names) == 4
        found = [*workspace.verify()]
        assert {fault.kind for fault in found} == {"leftover"}
        assert all(fault.harmless for fault in found)
        assert {fault.subject for fault in found} == set(names) - set(before)
        assert workspace.objects.collect() == Collected(0, 0, 0, leftovers=3, bytes=5)
        assert files(workspace) == before
        assert workspace.objects.get(address) == b"kept"

    def test_of_a_living_writer(self, workspace: Workspace) -> None:
        names, series = self.leave(workspace)
        assert [*workspace.verify()] == []
        assert workspace.objects.collect(NOW) == NOTHING
        assert files(workspace) == names
        series.discard()
        assert files(workspace) == []

    def test_a_lock_taken_for_a_leftover_is_made_again(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, removed = fcntl.flock, []

        def remove_first(descriptor: int, operation: int) -> None:
            if not removed:
                (path,) = (workspace.home / "objects").glob(".*.lock")
                path.unlink()
                removed.append(path)
            real(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", remove_first)
        series = PackSeries(workspace._backend)
        assert files(workspace) == [removed[0].name]
        series.release()


def _write(settings: Settings, seed: int) -> None:
    workspace = Workspace.open(settings=settings)
    for number in range(15):
        # Loose objects that later transactions find again, just as they are collected.
        workspace.objects.put(b"shared %d" % (number % 5))
        workspace.objects.put(os.urandom(10))
        # With so short a grace, a slow machine may lose the race; that is said, and safe.
        with suppress(Conflict), workspace.transaction() as tx:
            address = tx.put(b"shared %d" % (number % 5))
            own = tx.put(os.urandom(2000))
            tx.node("source", f"{seed}-{number}", holds=[address, own])
        with workspace.database.write() as connection:
            connection.execute(sa.delete(holdings).where(holdings.c.address == address))


def test_collection_beside_writers_loses_nothing(
    workspace: Workspace, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_ai.storage.writer._TOUCH_AFTER", NOW)
    writers = [FORK.Process(target=_write, args=(settings, seed)) for seed in range(3)]
    for writer in writers:
        writer.start()
    collected = 0
    while any(writer.is_alive() for writer in writers):
        collected += workspace.objects.collect(timedelta(milliseconds=20)).objects
        time.sleep(0.02)
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 3
    assert collected > 0
    assert len(workspace.lineage.list("source")) > 5
    assert [*workspace.verify()] == []
    workspace.objects.collect(NOW)
    assert [*workspace.verify()] == []
    with workspace.database.read() as connection:
        kept = {*connection.scalars(sa.select(holdings.c.address))}
        assert {*connection.scalars(sa.select(objects.c.address))} == kept
        names = {*connection.scalars(sa.select(packs.c.name))}
    assert set(files(workspace)) == names
    assert all(len(workspace.objects.get(address)) == 2000 for address in kept)


def test_only_packs_lie_in_the_directory(workspace: Workspace) -> None:
    held(workspace, b"x")
    assert all(Path(name).suffix == "" for name in files(workspace))
