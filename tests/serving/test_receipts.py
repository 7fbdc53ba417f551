"""Receipts: found from the first moment, moved once, never lost, and noticed when altered."""

import hashlib
import struct
import time

import msgspec
import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import Corrupt, NotFound
from lepton_ai.ml.outcome import Classes
from lepton_ai.serving.journal import JournalWriter
from lepton_ai.serving.receipts import Batch, Entry, archive, digest_key, journal_of, receipt
from lepton_ai.storage.schema import predictions


@pytest.fixture
def nodes(workspace):
    """A model and a deployment of it."""
    with workspace.transaction() as transaction:
        model = transaction.node("model", "m", version=True)
        deployed = transaction.node("deployment", "m", version=True, parents=[(model.id, "model")])
    return deployed.id, model.id


def write(workspace, nodes, owner: str, ids: list[str], roll: bool = True) -> JournalWriter:
    writer = JournalWriter(*journal_of(workspace), owner)
    for start in range(0, len(ids), 3):
        probabilities = struct.pack("<2d", 0.25, 0.75)
        entries = [
            Entry(name, "owner", b"d" * 16, ["b"], probabilities) for name in ids[start : start + 3]
        ]
        batch = Batch(1e9, "m", nodes[0], nodes[1], 1, "r", Classes(("a", "b")), entries)
        writer.append(msgspec.msgpack.encode(batch))
    if roll:
        writer.roll()
    return writer


def count(workspace) -> int:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(predictions))


def files(workspace) -> list[str]:
    return sorted(path.suffix for path in journal_of(workspace)[0].iterdir())


def test_a_receipt_is_the_same_from_the_journal_and_from_the_table(workspace, nodes):
    ids = [f"prd_{number}" for number in range(7)]
    writer = write(workspace, nodes, "w", ids, roll=False)
    before = [receipt(workspace, name) for name in ids]
    assert archive(workspace) == 0
    writer.roll()
    assert [receipt(workspace, name) for name in ids] == before
    assert archive(workspace) == 7
    assert files(workspace) == []
    assert [receipt(workspace, name) for name in ids] == before
    first = before[0]
    assert (first.id, first.deployment_id, first.model_id) == ("prd_0", *nodes)
    assert first.created_at.timestamp() == 1e9
    assert (first.principal, first.permission, first.endpoint) == ("owner", "predict", "m")
    assert first.output == [{"label": "b", "probabilities": {"a": 0.25, "b": 0.75}}]
    assert first.input_digest == (b"d" * 16).hex()


def test_unknown_predictions_are_not_found(workspace, nodes):
    with pytest.raises(NotFound, match="prd_absent"):
        receipt(workspace, "prd_absent")


def test_what_was_moved_already_is_not_moved_twice(workspace, nodes):
    write(workspace, nodes, "w", ["prd_1", "prd_2"])
    (path,) = journal_of(workspace)[0].iterdir()
    data = path.read_bytes()
    assert archive(workspace) == 2
    # The archiver was killed between the commit and the removal of the file.
    path.write_bytes(data)
    archive(workspace)
    assert count(workspace) == 2
    assert files(workspace) == []


def test_a_dead_writers_open_file_is_recovered_with_its_torn_tail(workspace, nodes):
    directory, _ = journal_of(workspace)
    writer = write(workspace, nodes, "w", ["prd_1", "prd_2", "prd_3", "prd_4"], roll=False)
    (path,) = directory.iterdir()
    data = path.read_bytes()
    writer.roll()
    archive(workspace)
    # As a killed process leaves it: open, unlocked, the last record cut.
    (directory / "dead-00000001.open").write_bytes(data[:-5])
    with workspace.database.write() as connection:
        connection.execute(sa.delete(predictions))
    assert receipt(workspace, "prd_3").id == "prd_3"
    assert archive(workspace) == 3
    with pytest.raises(NotFound):
        receipt(workspace, "prd_4")


def test_an_altered_journal_is_kept_aside_and_its_good_part_is_kept(workspace, nodes):
    directory, _ = journal_of(workspace)
    write(workspace, nodes, "w", [f"prd_{number}" for number in range(9)])
    (path,) = directory.iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert receipt(workspace, "prd_0").id == "prd_0"
    with pytest.raises(Corrupt, match="was altered"):
        receipt(workspace, "prd_8")
    assert archive(workspace) == 6
    assert files(workspace) == [".corrupt"]
    assert count(workspace) == 6
    with pytest.raises(Corrupt, match="was altered"):
        receipt(workspace, "prd_8")
    assert archive(workspace) == 0


def test_an_altered_row_is_noticed(workspace, nodes):
    write(workspace, nodes, "w", ["prd_1", "prd_2"])
    archive(workspace)
    with workspace.database.write() as connection:
        body = connection.scalar(sa.select(predictions.c.body).where(predictions.c.id == "prd_1"))
        connection.execute(
            sa.update(predictions).where(predictions.c.id == "prd_2").values(body=body)
        )
    assert receipt(workspace, "prd_1").id == "prd_1"
    with pytest.raises(Corrupt):
        receipt(workspace, "prd_2")


def test_the_digest_is_keyed_by_the_workspace(workspace, nodes):
    write(workspace, nodes, "w", ["prd_1"])
    found = receipt(workspace, "prd_1")
    keyed = hashlib.blake2b(b"input", key=digest_key(workspace), digest_size=16).hexdigest()
    plain = hashlib.blake2b(b"input", digest_size=16).hexdigest()
    assert msgspec.structs.replace(found, input_digest=keyed).matches(workspace, b"input")
    assert not msgspec.structs.replace(found, input_digest=keyed).matches(workspace, b"other")
    assert not msgspec.structs.replace(found, input_digest=plain).matches(workspace, b"input")


def test_many_receipts_are_moved_quickly(workspace, nodes):
    write(workspace, nodes, "w", [f"prd_{number:05d}" for number in range(9000)])
    begin = time.perf_counter()
    assert archive(workspace) == 9000
    assert time.perf_counter() - begin < 10
    assert count(workspace) == 9000
