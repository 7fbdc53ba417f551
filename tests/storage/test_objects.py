import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.storage import ObjectStore, Workspace
from lepton_ai.storage.cipher import CHUNK
from lepton_ai.storage.schema import objects


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 70_001))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * 2**20, 9 * 2**20 + 1])
def test_bytes_and_streams_come_back_under_one_address(workspace: Workspace, size: int) -> None:
    content = os.urandom(size)
    address = workspace.objects.put(content)
    assert workspace.objects.put(io.BytesIO(content)) == address
    assert workspace.objects.put(Dribble(content)) == address  # type: ignore[arg-type]
    assert workspace.objects.get(address) == content
    info = workspace.objects.info(address)
    assert info.size == size
    with workspace.objects.open(address) as file:
        file.seek(size // 2)
        assert file.read() == content[size // 2 :]
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(objects)) == 1
    assert [*workspace.verify()] == []


def test_a_large_stream_comes_back_under_the_same_address_when_it_was_stored_first(
    workspace: Workspace,
) -> None:
    content = os.urandom(10 * 2**20)
    with workspace.transaction() as tx:
        first = tx.put(io.BytesIO(content))
        small = tx.put(b"small")
        again = tx.put(io.BytesIO(content))
        tx.put(b"after")
    assert first == again
    assert workspace.objects.get(small) == b"small"
    size = workspace.objects.info(first).sealed_size
    pack = workspace.home / "objects" / workspace.objects.info(first).pack
    assert pack.stat().st_size == size + len(b"small" + b"after") + 32
    assert [*workspace.verify()] == []


def test_an_address_is_a_keyed_hash_of_the_sha256(workspace: Workspace) -> None:
    sealed = workspace.objects.seal(b"abc")
    assert sealed.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    unkeyed = hashlib.blake2b(bytes.fromhex(sealed.sha256), digest_size=32).hexdigest()
    assert sealed.address != unkeyed
    assert sealed.address == workspace.keys.address(hashlib.sha256(b"abc").digest())
    assert sealed.address not in workspace.objects
    assert "body" not in repr(sealed)


def test_two_workspaces_have_different_addresses(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace.open(tmp_path / "other")
    assert other.objects.seal(b"abc").address != workspace.objects.seal(b"abc").address
    other.close()


def test_many_objects_are_read_by_one_query(workspace: Workspace) -> None:
    contents = {workspace.objects.put(b"%d" % number): b"%d" % number for number in range(5)}
    assert workspace.objects.get_many([*contents, *contents]) == contents
    with pytest.raises(NotFound, match="no object 00"):
        workspace.objects.get_many([*contents, "00"])


def test_what_does_not_exist_is_said_so(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="no object 00"):
        workspace.objects.get("00")
    assert "00" not in workspace.objects


def test_stored_bytes_show_nothing_of_the_content(workspace: Workspace) -> None:
    secret = b"PATIENT^NAME" * 100
    with workspace.transaction() as tx:
        address = tx.put(secret)
        tx.node("source", "token", facts={"path": "/data/PATIENT^NAME.dcm"}, holds=[address])
    for path in workspace.home.rglob("*"):
        if path.is_file():
            assert b"PATIENT" not in path.read_bytes(), path


def test_threads_seal_and_one_stores(workspace: Workspace) -> None:
    contents = [os.urandom(5000) for _ in range(300)]
    with ThreadPoolExecutor(4) as pool, workspace.transaction() as tx:
        addresses = [tx.add(sealed) for sealed in pool.map(workspace.objects.seal, contents)]
    assert [workspace.objects.get(address) for address in addresses] == contents


def test_threads_read_one_open_object(workspace: Workspace) -> None:
    content = os.urandom(2 * CHUNK + 7)
    wrong: list[int] = []
    with workspace.objects.open(workspace.objects.put(content)) as file:

        def read(seed: int) -> None:
            for step in range(100):
                offset = (seed * 7919 + step * 104729) % len(content)
                if file.pread(offset, 999) != content[offset : offset + 999]:
                    wrong.append(offset)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_full_pack_is_followed_by_another(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_ai.storage.writer.PACK_BYTES", 2**20)
    monkeypatch.setattr("lepton_ai.storage.writer._PENDING_BYTES", 2**18)
    contents = [os.urandom(200_000) for _ in range(20)]
    with workspace.transaction() as tx:
        addresses = [tx.put(content) for content in contents]
        tx.put(io.BytesIO(os.urandom(3 * 2**20)))
    packs = {workspace.objects.info(address).pack for address in addresses}
    assert len(packs) == 4
    assert [workspace.objects.get(address) for address in addresses] == contents
    assert [*workspace.verify()] == []


class TestDamage:
    """Whatever is done to the stored bytes, verification names it and reading refuses it."""

    @pytest.fixture
    def store(self, workspace: Workspace) -> ObjectStore:
        with workspace.transaction() as tx:
            self.small = tx.put(b"small")
            self.large = tx.put(os.urandom(2 * CHUNK + 100))
            self.empty = tx.put(b"")
            self.twin = tx.put(os.urandom(5))
        self.workspace = workspace
        self.pack = workspace.home / "objects" / workspace.objects.info(self.small).pack
        return workspace.objects

    def faults(self) -> set[tuple[str, str]]:
        return {(fault.kind, fault.subject) for fault in self.workspace.verify()}

    @given(st.data())
    @hypothesis_settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_every_flipped_bit_of_a_pack_is_found(
        self, store: ObjectStore, data: st.DataObject
    ) -> None:
        original = self.pack.read_bytes()
        bit = data.draw(st.integers(0, len(original) * 8 - 1))
        altered = bytearray(original)
        altered[bit // 8] ^= 1 << bit % 8
        self.pack.write_bytes(altered)
        try:
            infos = [store.info(a) for a in (self.small, self.large, self.empty, self.twin)]
            hit = next(i.address for i in infos if i.offset <= bit // 8 < i.offset + i.sealed_size)
            assert self.faults() == {("altered", hit)}
            with pytest.raises(Corrupt):
                store.get(hit)
            for info in infos:
                if info.address != hit:
                    store.get(info.address)
        finally:
            self.pack.write_bytes(original)
        assert self.faults() == set()

    def test_truncation_is_found(self, store: ObjectStore) -> None:
        self.pack.write_bytes(self.pack.read_bytes()[:-1])
        assert self.faults() == {("truncated", self.pack.name), ("truncated", self.twin)}

    def test_added_bytes_are_found(self, store: ObjectStore) -> None:
        self.pack.write_bytes(self.pack.read_bytes() + b"\0")
        assert self.faults() == {("altered", self.pack.name)}

    def test_a_missing_pack_is_found(self, store: ObjectStore) -> None:
        self.pack.unlink()
        assert self.faults() == {("missing", self.pack.name)}
        with pytest.raises(Corrupt, match="missing"):
            store.get(self.small)

    def test_chunks_swapped_between_objects_are_found(self, store: ObjectStore) -> None:
        one, two = store.info(self.small), store.info(self.twin)
        data = bytearray(self.pack.read_bytes())
        first, second = (slice(i.offset, i.offset + i.sealed_size) for i in (one, two))
        data[first], data[second] = data[second], data[first]
        self.pack.write_bytes(data)
        assert self.faults() == {("altered", self.small), ("altered", self.twin)}

    def swap(self, *columns: str) -> None:
        """Exchange columns between the rows of two objects of equal size."""
        with self.workspace.database.write() as connection:
            query = sa.select(objects).where(objects.c.address.in_([self.small, self.twin]))
            one, two = connection.execute(query).all()
            for row, other in ((one, two), (two, one)):
                values = {name: getattr(other, name) for name in columns}
                connection.execute(
                    sa.update(objects).where(objects.c.address == row.address).values(values)
                )

    def test_swapped_wrapped_keys_are_found(self, store: ObjectStore) -> None:
        self.swap("wrapped_key")
        assert self.faults() == {("key", self.small), ("key", self.twin)}
        with pytest.raises(Corrupt, match="wrapped key"):
            store.get(self.small)

    def test_swapped_places_are_found(self, store: ObjectStore) -> None:
        self.swap("offset")
        assert self.faults() == {("altered", self.small), ("altered", self.twin)}

    def test_swapped_rows_are_found(self, store: ObjectStore) -> None:
        self.swap("offset", "wrapped_key")
        assert self.faults() == {("key", self.small), ("key", self.twin)}

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            ({"size": 4}, "altered"),
            ({"size": 2**40}, "truncated"),
            ({"sealed_size": 7}, "metadata"),
            ({"offset": 2**40}, "truncated"),
            ({"key_id": "ffff"}, "key"),
        ],
    )
    def test_an_altered_row_is_found(
        self, store: ObjectStore, change: dict[str, object], kind: str
    ) -> None:
        with self.workspace.database.write() as connection:
            connection.execute(
                sa.update(objects).where(objects.c.address == self.small).values(change)
            )
        assert self.faults() == {(kind, self.small)}
