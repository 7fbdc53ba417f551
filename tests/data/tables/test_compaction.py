"""Compaction beside writers: it is not overtaken by what only adds rows, and changes no row."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.scan import data_files
from lepton_ai.storage import Workspace


def filled(name: str = "t", *, encrypted: bool = True) -> Table:
    table = read_table({"n": [0]}, name=name, encrypted=encrypted)
    for number in range(1, 4):
        table = table.append({"n": [number]})
    return table


@contextmanager
def meanwhile(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], Any]) -> Iterator[list[int]]:
    """Take a step each time a commit has written its files; count those."""
    waiting, attempts = list(steps), [0]
    write = TableCommit.write

    def written(self: TableCommit, frames: Any, **options: Any) -> Any:
        added = write(self, frames, **options)
        attempts[0] += 1
        if waiting:
            step = waiting.pop(0)
            with monkeypatch.context() as within:
                within.setattr(TableCommit, "write", write)
                step()
        return added

    with monkeypatch.context() as patch:
        patch.setattr(TableCommit, "write", written)
        yield attempts


def rows() -> list[int]:
    table = open_dataset("t")
    assert isinstance(table, Table)
    return [*table.to_polars()["n"]]


@pytest.mark.parametrize("encrypted", [True, False])
def test_rows_that_are_added_meanwhile_come_after(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    table = filled(encrypted=encrypted)
    with meanwhile(monkeypatch, lambda: table.append({"n": [4, 5]})) as attempts:
        compacted = table.compact()
    assert attempts == [1]
    assert rows() == [0, 1, 2, 3, 4, 5]
    assert compacted.to_polars()["n"].to_list() == rows()
    assert compacted.append({"n": [6]}).compact().to_polars()["n"].to_list() == [*range(7)]
    assert [*workspace.verify()] == []


def test_rows_that_go_meanwhile_do_not_come_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = filled()
    with meanwhile(monkeypatch, lambda: table.delete("n = 2")) as attempts:
        table.compact()
    assert attempts == [2]
    assert rows() == [0, 1, 3]


def test_a_column_that_comes_meanwhile_stays(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = filled()
    with meanwhile(monkeypatch, lambda: table.evolve(add={"m": pl.Int64})) as attempts:
        compacted = table.compact()
    assert attempts == [2]
    assert compacted.to_polars().rows() == [(number, None) for number in range(4)]


def test_compactions_at_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    table = filled()
    with meanwhile(monkeypatch, table.compact):
        table.compact()
    assert rows() == [0, 1, 2, 3]


def test_rows_that_were_begun_earlier_and_come_later_keep_their_place(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = filled()
    arrived: list[list[int]] = []
    with ExitStack() as stack:
        slow = stack.enter_context(TableCommit(workspace, "t"))
        added = slow.write([pl.DataFrame({"n": [9]})])
        table = table.append({"n": [4]})

        def arrives() -> None:
            slow.publish(Change("append", {"n": pl.Int64}, added=added))
            stack.close()
            arrived.append(rows())

        with meanwhile(monkeypatch, arrives) as attempts:
            table.compact()
    assert arrived == [[0, 1, 2, 3, 9, 4]]
    assert attempts == [2]
    assert rows() == arrived[0]


def add(home: Path, count: int, writer: int) -> None:
    table = open_dataset("t", Workspace.open(home))
    assert isinstance(table, Table)
    for number in range(count):
        table.append({"n": [writer * 1000 + number]})


def test_beside_appenders(workspace: Workspace) -> None:
    table = filled()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add, args=(workspace.home, 15, n)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        table.compact()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = rows()
    assert found[:4] == [0, 1, 2, 3]
    for n in (1, 2):
        own = [number for number in found if number // 1000 == n]
        assert own == [n * 1000 + number for number in range(15)]
    compacted = table.compact()
    assert rows() == found
    with TableCommit(workspace, "t") as commit:
        assert commit.table is not None
        assert len(data_files(commit.table)) == 1
    assert [*workspace.verify()] == []
    assert compacted.version > 30
