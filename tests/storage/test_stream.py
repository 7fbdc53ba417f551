import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import NotFound
from lepton_ai.storage import Workspace, writer
from lepton_ai.storage.cipher import CHUNK
from lepton_ai.storage.schema import objects, packs

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 40 * CHUNK, 40 * CHUNK + 7]


def content(size: int, seed: int = 0) -> bytes:
    return bytes((place * 31 + seed) % 251 for place in range(1000)) * (size // 1000 + 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [777, CHUNK, 10**9])
def test_what_is_written_is_read(workspace: Workspace, size: int, piece: int) -> None:
    data = content(size)[:size]
    with workspace.transaction() as transaction:
        stream = transaction.create()
        for start in range(0, size, piece):
            stream.write(data[start : start + piece])
        assert stream.tell() == size
        stream.close()
    assert stream.sealed is not None
    assert stream.sealed.address == workspace.objects.seal(data).address
    assert workspace.objects.get(stream.sealed.address) == data


def test_streams_of_many_threads(workspace: Workspace) -> None:
    contents = [content(20 * CHUNK + seed, seed) for seed in range(6)]
    with workspace.transaction() as transaction:
        streams = [transaction.create() for _ in contents]

        def write(place: int) -> None:
            with streams[place] as stream:
                for start in range(0, len(contents[place]), 100_000):
                    stream.write(contents[place][start : start + 100_000])

        threads = [threading.Thread(target=write, args=(place,)) for place in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for stream, data in zip(streams, contents, strict=True):
        assert stream.sealed is not None
        assert workspace.objects.get(stream.sealed.address) == data
    assert list(workspace.verify()) == []


def test_equal_content_is_stored_once_and_leaves_no_pack(workspace: Workspace) -> None:
    data = content(50 * CHUNK)
    for _ in range(2):
        with workspace.transaction() as transaction:
            for _ in range(2):
                with transaction.create() as stream:
                    stream.write(data)
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(objects)) == 1
        (name,) = connection.scalars(sa.select(packs.c.name))
    assert [path.name for path in Path(workspace.home / "objects").iterdir()] == [name]


def test_an_abandoned_stream_leaves_nothing(workspace: Workspace) -> None:
    with workspace.transaction() as transaction:
        address = transaction.put(b"kept")
        stream = transaction.create()
        stream.write(content(50 * CHUNK))
        stream.abandon()
        transaction.node("dataset", "x", holds=[address])
    assert stream.sealed is None
    assert list(workspace.verify()) == []
    assert len(list((workspace.home / "objects").iterdir())) == 1


def test_files_keep_their_objects(workspace: Workspace) -> None:
    from datetime import timedelta

    with workspace.transaction() as transaction:
        with transaction.create() as stream:
            stream.write(b"a table's file")
        assert stream.sealed is not None
        transaction.file("lepton://t/data/1.parquet", stream.sealed.address)
    assert workspace.objects.collect(grace=timedelta(0)).objects == 0
    assert workspace.objects.get(stream.sealed.address) == b"a table's file"
    with pytest.raises(NotFound, match="object"), workspace.transaction() as transaction:
        transaction.file("lepton://t/data/2.parquet", "0" * 64)


def test_many_small_streams_do_not_fill_memory(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_WAITING_BYTES", 4 * CHUNK)
    contents = [content(2 * CHUNK, seed)[: 2 * CHUNK - 100] for seed in range(6)]
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with workspace.transaction() as transaction:
        streams = []
        for data in contents:
            with transaction.create() as stream:
                stream.write(data)
            streams.append(stream)
        kept = [len(stream.sealed.body) for stream in streams if stream.sealed is not None]
        assert [size > 0 for size in kept] == [True, True, False, False, False, False]
        # Whether in memory or in a pack, they can be read before the transaction ends.
        assert [stream.reader().read() for stream in streams] == contents
        # The database and the lock of the packs, however many packs there are.
        assert len(list(Path("/proc/self/fd").iterdir())) - open_files <= 2
    for stream, data in zip(streams, contents, strict=True):
        assert stream.sealed is not None
        assert workspace.objects.get(stream.sealed.address) == data
    assert list(workspace.verify()) == []
