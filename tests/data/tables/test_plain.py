"""Files of unencrypted tables: none is lost to another process, none is left by a failure."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import Range, set_rules
from lepton_ai.data.table import Table
from lepton_ai.data.tables.commit import TableCommit
from lepton_ai.storage import StorageFull, Transaction, Workspace


def stored(workspace: Workspace) -> set[Path]:
    return {path for path in (workspace.home / "tables").rglob("*") if path.is_file()}


def opened(workspace: Workspace) -> Table:
    table = open_dataset("t", workspace)
    assert isinstance(table, Table)
    return table


@pytest.fixture
def table(workspace: Workspace) -> Table:
    tables.store_table(workspace, "t", [pl.DataFrame({"n": [1]})], encrypted=False)
    return opened(workspace).append({"n": [2]})


def test_an_expiry_leaves_what_another_process_is_writing(
    workspace: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = TableCommit.write

    def overtaken(self: TableCommit, frames: Any) -> Any:
        files = write(self, frames)
        monkeypatch.setattr(TableCommit, "write", write)
        assert opened(workspace).expire(keep=1).files > 0
        return files

    monkeypatch.setattr(TableCommit, "write", overtaken)
    assert table.append({"n": [3]}).to_polars()["n"].to_list() == [1, 2, 3]


def test_an_expiry_removes_what_was_left_long_ago(workspace: Workspace, table: Table) -> None:
    folder = next(path.parent for path in stored(workspace) if path.suffix == ".parquet")
    old, new = folder / "old.parquet", folder / "new.parquet"
    for path in (old, new):
        path.write_bytes(b"left by a crash")
    os.utime(old, (time.time() - 7200,) * 2)
    table.expire(keep=1)
    assert not old.exists()
    assert new.exists()
    assert opened(workspace).to_polars()["n"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("cause", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StorageFull),
        (PermissionError(errno.EACCES, "no"), PermissionError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_change_leaves_no_file(
    workspace: Workspace,
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    cause: BaseException,
    raised: type[BaseException],
) -> None:
    before = stored(workspace)

    def fails(*_: Any, **__: Any) -> None:
        assert stored(workspace) > before
        raise cause

    with monkeypatch.context() as patched:
        patched.setattr(TableCommit, "publish", fails)
        for change in (
            lambda: table.append({"n": [3]}),
            lambda: table.overwrite({"m": [3]}),
            lambda: table.compact(),
        ):
            with pytest.raises(raised):
                change()
            assert stored(workspace) == before
    assert opened(workspace).append({"n": [3]}).to_polars()["n"].to_list() == [1, 2, 3]


def test_files_are_durable_before_the_version_is(
    workspace: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(workspace)
    synced: set[Path] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").resolve())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    table.append({"n": [3]})
    new = stored(workspace) - before
    assert new
    assert {path.resolve() for path in new} | {path.parent.resolve() for path in new} <= synced


def test_a_drop_that_fails_keeps_what_was_kept_aside(
    workspace: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(workspace, "t", [Range(column="n", high=5)])
    table.append({"n": [3, 9]})
    before = stored(workspace)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "_finish", full)
        with pytest.raises(OSError, match="No space left"):
            tables.drop(workspace, "t")
    assert stored(workspace) == before
    kept = open_dataset("t.quarantine", workspace)
    assert isinstance(kept, Table)
    assert kept.to_polars()["n"].to_list() == [9]
    tables.drop(workspace, "t")
    assert stored(workspace) == set()
