"""Many rows by one statement are the rows that one by one would be, in either database."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lepton_ai.storage import Workspace
from lepton_ai.storage.bulk import ROWS, find_many, insert_missing, insert_parts
from lepton_ai.storage.schema import edges, nodes, secrets

NOW = datetime(2026, 11, 24, 12, 30, 0, 125, tzinfo=UTC)


def test_rows_come_as_they_were(workspace: Workspace) -> None:
    texts = ["", "a", "Grüße", "日本", "'; DROP TABLE nodes; --", '"', "null", "7", "x" * 3000]
    rows = [
        (f"n{number}", "source", text or "-", None if number % 2 else number, text or None, NOW,
         bytes(range(number)) * 3)
        for number, text in enumerate(texts)
    ]  # fmt: skip
    names = ("id", "kind", "name", "version", "digest", "created_at", "facts")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["version"] = [None] * len(rows)
    with workspace.database.write() as connection:
        insert_missing(connection, nodes, columns)
        found = connection.execute(sa.select(nodes).order_by(nodes.c.id)).all()
    assert [tuple(row) for row in found] == [(*row[:3], None, *row[4:]) for row in rows]


def test_numbers_and_what_is_the_same(workspace: Workspace) -> None:
    columns = {"id": ["b", "a", "c"], "name": ["n"] * 3, "version": [3, 2**31 - 1, 5]}
    with workspace.database.write() as connection:
        insert_missing(
            connection, nodes, columns, kind="run", created_at=NOW, facts=b"\0\xff", digest=None
        )
        query = sa.select(nodes.c.id, nodes.c.version, nodes.c.facts, nodes.c.created_at)
        found = connection.execute(query.order_by(nodes.c.id)).all()
    assert [tuple(row) for row in found] == [
        ("a", 2**31 - 1, b"\0\xff", NOW), ("b", 3, b"\0\xff", NOW), ("c", 5, b"\0\xff", NOW),
    ]  # fmt: skip


def test_what_is_there_stays(workspace: Workspace) -> None:
    with workspace.database.write() as connection:
        for wrapped in ([b"first"], [b"second"]):
            insert_missing(
                connection, secrets, {"name": ["s"], "wrapped": wrapped}, key_id="k", created_at=NOW
            )
        kept = connection.scalar(sa.select(secrets.c.wrapped).where(secrets.c.name == "s"))
        insert_missing(connection, edges, {"child_id": [], "parent_id": [], "role": []})
    assert kept == b"first"


def test_more_rows_than_one_statement_takes(workspace: Workspace) -> None:
    names = [f"secret {number}" for number in range(60_001)]
    with workspace.database.write() as connection:
        insert_missing(
            connection, secrets, {"name": names, "wrapped": [n.encode() for n in names]},
            key_id="k", created_at=NOW,
        )  # fmt: skip
        query = sa.select(secrets.c.name, secrets.c.wrapped)
        found = find_many(connection, query, secrets.c.name, [*names[::7], "no such"])
        assert {row.name: row.wrapped for row in found} == {n: n.encode() for n in names[::7]}
        assert find_many(connection, query, secrets.c.name, []) == []


@pytest.mark.parametrize("count", [1, 2, 111, 112, 113, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 113])
def test_each_row_comes_once(workspace: Workspace, count: int) -> None:
    names = [f"{number:x}" for number in range(count)]
    with workspace.database.write() as connection:
        before = connection.scalar(sa.select(sa.func.count()).select_from(secrets)) or 0
        keys = [name.encode() for name in names]
        insert_missing(
            connection, secrets, {"name": names, "wrapped": keys}, key_id="k", created_at=NOW
        )
        query = sa.select(secrets.c.name, secrets.c.wrapped).where(secrets.c.key_id == "k")
        found = connection.execute(query).all()
        after = connection.scalar(sa.select(sa.func.count()).select_from(secrets)) or 0
    assert {row.name: row.wrapped for row in found} == dict(zip(names, keys, strict=True))
    assert after - before == count


def test_a_failing_part_leaves_nothing(workspace: Workspace) -> None:
    def parts() -> Iterator[dict[str, list[Any]]]:
        yield {"name": ["a"], "wrapped": [b"a"]}
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="is gone"), workspace.database.write() as connection:
        insert_parts(connection, secrets, parts(), key_id="k", created_at=NOW)
    two = [{"name": ["a"], "wrapped": [b"a"]}, {"name": ["b"], "wrapped": [None]}]
    with pytest.raises(sa.exc.IntegrityError), workspace.database.write() as connection:
        insert_parts(connection, secrets, two, key_id="k", created_at=NOW)
    with workspace.database.read() as connection:
        assert "a" not in connection.scalars(sa.select(secrets.c.name)).all()


def test_a_thread_goes_on_storing_when_the_program_is_done(tmp_path: Path) -> None:
    program = """
import sys, threading, time
from lepton_ai.storage import Workspace
workspace = Workspace.open(sys.argv[1])
def work():
    threading.main_thread().join()
    with workspace.transaction() as transaction:
        addresses, _ = transaction.put_many([b"%d" % number for number in range(30_000)])
        transaction.node("run", "late", holds=addresses)
    print(workspace.lineage.list("run", "late")[0].kind)
threading.Thread(target=work).start()
"""
    command = [sys.executable, "-c", program, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("run\n", "")
