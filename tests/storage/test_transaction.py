import errno
import io
import multiprocessing
import os
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.settings import Settings
from lepton_ai.storage import NodeSpec, StorageFull, Workspace, source_spec
from lepton_ai.storage.schema import holdings, nodes, objects, packs

FORK = multiprocessing.get_context("fork")


def rows(workspace: Workspace, table: sa.Table) -> int:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def files(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.home / "objects").iterdir())


def test_objects_and_nodes_of_one_transaction_appear_together(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        address = tx.put(b"pixels")
        same = tx.put(io.BytesIO(b"pixels"))
        node = tx.node(
            "dataset", "lungs", version=True, digest=address, facts={"n": 1}, holds=[address]
        )
    assert same == address
    assert workspace.objects.get(address) == b"pixels"
    assert workspace.lineage.get(node.id) == node
    assert (node.version, node.facts, node.ref) == (1, {"n": 1}, "lungs:1")
    assert workspace.lineage.holds(node.id) == [address]
    assert len(files(workspace)) == 1


def test_an_exception_drops_objects_nodes_and_rows(workspace: Workspace) -> None:
    before = rows(workspace, nodes)
    with suppress(ZeroDivisionError), workspace.transaction() as tx:
        address = tx.put(b"pixels")
        tx.node("dataset", "lungs", version=True, holds=[address])
        tx.put(os.urandom(100))
        raise ZeroDivisionError
    assert (rows(workspace, nodes), rows(workspace, objects), rows(workspace, packs)) == (
        before,
        0,
        0,
    )
    assert files(workspace) == []
    assert address not in workspace.objects


def test_an_exception_before_any_node_leaves_no_file(workspace: Workspace) -> None:
    with suppress(ZeroDivisionError), workspace.transaction() as tx:
        tx.put(io.BytesIO(os.urandom(9 * 2**20)))
        raise ZeroDivisionError
    assert files(workspace) == []


class Broken(io.RawIOBase):
    """A file on a disk that fails after ten million bytes."""

    def __init__(self) -> None:
        self._left = 10_000_000

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if self._left < 0:
            raise OSError("the disk failed")
        return os.urandom(size)


def test_a_stream_that_fails_may_be_skipped(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        first = tx.put(io.BytesIO(b"a" * 9_000_000))
        with pytest.raises(OSError, match="the disk failed"):
            tx.put(Broken())  # type: ignore[arg-type]
        second = tx.put(b"b" * 1000)
        tx.node("source", "s", holds=[first, second])
    assert workspace.objects.get(first) == b"a" * 9_000_000
    assert workspace.objects.get(second) == b"b" * 1000
    assert [*workspace.verify()] == []


def test_objects_that_could_not_be_written_are_not_forgotten(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = os.write, [OSError(errno.ENOSPC, "No space left on device")]

    def write(descriptor: int, data: bytes) -> int:
        if failures:
            real(descriptor, data[:100])
            raise failures.pop()
        return real(descriptor, data)

    monkeypatch.setattr("lepton_ai.storage.writer._PENDING_BYTES", 1000)
    monkeypatch.setattr(os, "write", write)
    with workspace.transaction() as tx:
        first = workspace.objects.seal(b"first" * 50)
        tx.add(first)
        with pytest.raises(StorageFull):
            tx.put(b"second" * 500)
        # Room was made, and the caller goes on.
        third = tx.put(b"third")
        tx.node("source", "s", holds=[first.address, third])
    assert workspace.objects.get(first.address) == b"first" * 50
    assert workspace.objects.get(third) == b"third"
    assert [*workspace.verify()] == []


def test_facts_come_back_as_they_were_returned(workspace: Workspace) -> None:
    facts = {"tuple": (1, 2), "when": datetime(2026, 1, 2, tzinfo=UTC), "nested": {1: b"x"}}
    with workspace.transaction() as tx:
        node = tx.node("model", "m", facts=facts)
    assert workspace.lineage.get(node.id) == node
    assert node.facts == {"tuple": [1, 2], "when": "2026-01-02T00:00:00Z", "nested": {"1": "eA=="}}


def test_a_transaction_that_does_nothing_leaves_nothing(workspace: Workspace) -> None:
    with workspace.transaction():
        pass
    assert files(workspace) == []


def test_versions_count_within_kind_and_name(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        made = [
            tx.node("model", "a", version=True).ref,
            tx.node("model", "a", version=True).ref,
            tx.node("dataset", "a", version=True).ref,
            tx.node("model", "b", version=True).ref,
        ]
    assert made == ["a:1", "a:2", "a:1", "b:1"]


def test_a_rerun_with_the_same_digest_returns_the_version_that_exists(
    workspace: Workspace,
) -> None:
    def register(content: bytes) -> str:
        with workspace.transaction() as tx:
            address = tx.put(content)
            return tx.node("dataset", "d", version=True, digest=address, holds=[address]).ref

    assert [register(b"1"), register(b"2"), register(b"1"), register(b"3")] == [
        "d:1",
        "d:2",
        "d:1",
        "d:3",
    ]


@pytest.mark.parametrize(
    "name",
    ["", "a:b", "a@b", "../a", "a\\b", " a", "x" * 201, "a\nb", "\x9b31m", "\u202ea", "\udce9"],
)
def test_names_that_cannot_be_referred_to_are_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"), workspace.transaction() as tx:
        tx.node("dataset", name, version=True)


@pytest.mark.parametrize("alias", ["", "3", "a:b"])
def test_aliases_that_cannot_be_referred_to_are_refused(workspace: Workspace, alias: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be an alias"), workspace.transaction() as tx:
        tx.alias(tx.node("model", "m", version=True), alias)


def test_unknown_parents_and_objects_are_named(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="node dataset_x does not"), workspace.transaction() as tx:
        tx.node("model", "m", parents=[("dataset_x", "data")])
    with pytest.raises(NotFound, match="object 00ff does not"), workspace.transaction() as tx:
        tx.node("model", "m", holds=["00ff"])
    assert rows(workspace, nodes) == 0


def test_sources_in_bulk_are_the_same_nodes_when_read_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    contents = [b"%d" % (n % 90) for n in range(100)]

    def ingest() -> list[str]:
        with workspace.transaction() as tx:
            specs = []
            for number, content in enumerate(contents):
                sealed = workspace.objects.seal(content)
                tx.add(sealed)
                specs.append(source_spec(workspace.keys, tmp_path / f"{number}.dcm", sealed))
            return [node.id for node in tx.nodes(specs)]

    first = ingest()
    assert ingest() == first
    assert len(set(first)) == 100
    assert (rows(workspace, nodes), rows(workspace, objects), rows(workspace, holdings)) == (
        100,
        90,
        100,
    )
    node = workspace.lineage.get(first[7])
    assert node.facts["path"] == str(tmp_path / "7.dcm")
    assert workspace.objects.get(workspace.lineage.holds(node.id)[0]) == b"7"


def test_nodes_keep_the_order_of_their_specs(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        tx.nodes([NodeSpec("source", "b", id="source_b")])
        made = tx.nodes([NodeSpec("source", name, id=f"source_{name}") for name in "cbac"])
    assert [node.name for node in made] == list("cbac")
    assert made[0] is made[3]


def test_puts_between_nodes_are_kept_too(workspace: Workspace) -> None:
    with workspace.transaction() as tx:
        for number in range(4):
            address = tx.put(b"%d" % number)
            tx.node("dataset", "d", version=True, digest=address, holds=[address])
    contents = {
        workspace.objects.get(node.digest or "") for node in workspace.lineage.list("dataset")
    }
    assert contents == {b"0", b"1", b"2", b"3"}
    assert [*workspace.verify()] == []


def test_an_object_store_put_inside_a_transaction_joins_it(workspace: Workspace) -> None:
    with suppress(ZeroDivisionError), workspace.transaction() as tx:
        tx.node("dataset", "d", version=True)
        address = workspace.objects.put(b"inner")
        assert workspace.objects.get(address) == b"inner"
        assert workspace.lineage.find("dataset", "d").version == 1
        raise ZeroDivisionError
    assert address not in workspace.objects


def _register(settings: Settings, worker: int, count: int) -> None:
    workspace = Workspace.open(settings=settings)
    for number in range(count):
        with workspace.transaction() as tx:
            shared = tx.put(b"shared %d" % number)
            own = tx.put(b"own %d %d" % (worker, number))
            tx.node("model", "m", version=True, digest=own, holds=[own, shared])


def test_eight_processes_get_distinct_versions_and_share_content(
    workspace: Workspace, settings: Settings
) -> None:
    workers = [FORK.Process(target=_register, args=(settings, n, 10)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    versions = [node.version for node in workspace.lineage.list("model", "m")]
    assert sorted(versions) == list(range(1, 81))
    assert rows(workspace, objects) == 90
    assert [*workspace.verify()] == []


def test_many_contents_at_once(workspace: Workspace) -> None:
    contents = [b"", b"one", b"two", b"one", bytes(700_000), b"three"]
    with workspace.transaction() as tx:
        tx.put(b"two")
        addresses, digests = stored = tx.put_many(contents)
        again, _ = tx.put_many([b"three", b"four"])
        tx.node("dataset", "d", version=True, holds=addresses)
    assert [workspace.objects.get(address) for address in addresses] == contents
    assert digests == [sha256(content).hexdigest() for content in contents]
    assert again[0] == addresses[-1]
    assert rows(workspace, objects) == 6
    with workspace.transaction() as tx:
        assert tx.put_many(contents) == stored
    assert rows(workspace, packs) == 1
    assert [*workspace.verify()] == []
    workspace.keys.rotate()
    assert [*workspace.verify()] == []
