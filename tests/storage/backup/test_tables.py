"""Backups of tables that are written, compacted and expired meanwhile."""

import threading
from pathlib import Path

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput, Unavailable
from lepton_ai.core.settings import Settings
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.table import Table
from lepton_ai.data.tables.create import store_table
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, restore_backup


def opened(workspace: Workspace) -> Table:
    table = open_dataset("t", workspace)
    assert isinstance(table, Table)
    return table


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_backup_is_of_one_version(workspace: Workspace, tmp_path: Path, encrypted: bool) -> None:
    store_table(workspace, "t", [pl.DataFrame({"n": [0]})], encrypted=encrypted)
    stop = threading.Event()

    def write() -> None:
        number = 1
        while not stop.is_set():
            opened(workspace).append({"n": [number]})
            number += 1
            if number % 2 == 0:
                opened(workspace).compact()
                opened(workspace).expire(keep=1)

    writer = threading.Thread(target=write)
    writer.start()
    url = str(tmp_path / "backups")
    try:
        made = [create_backup(workspace, url).id for _ in range(4)]
    finally:
        stop.set()
        writer.join()
    heights = []
    for number, backup in enumerate(made):
        home = tmp_path / f"restored-{number}"
        restored = restore_backup(
            url, home, key_file=workspace.home / "keys.json", backup=backup,
            settings=Settings(home=home),
        )  # fmt: skip
        rows = opened(restored).to_polars()["n"].sort().to_list()
        assert rows == list(range(len(rows)))
        heights.append(len(rows))
        assert [*restored.verify()] == []
        restored.close()
    assert heights == sorted(heights)


def test_a_restored_plain_table_lies_in_the_restored_workspace(
    workspace: Workspace, tmp_path: Path
) -> None:
    store_table(workspace, "t", [pl.DataFrame({"n": [0, 1]})], encrypted=False)
    create_backup(workspace, str(tmp_path / "backups"))
    before = {path: path.read_bytes() for path in (workspace.home / "tables").rglob("*.*")}
    home = tmp_path / "restored"
    restored = restore_backup(
        str(tmp_path / "backups"), home, key_file=workspace.home / "keys.json",
        settings=Settings(home=home),
    )  # fmt: skip
    opened(restored).append({"n": [2]})
    opened(restored).delete("n = 0")
    opened(restored).compact()
    opened(restored).expire(keep=1)
    assert opened(restored).to_polars()["n"].sort().to_list() == [1, 2]
    # Nothing of it happened in the workspace that it is a copy of.
    assert {p: p.read_bytes() for p in (workspace.home / "tables").rglob("*.*")} == before
    assert opened(workspace).to_polars()["n"].to_list() == [0, 1]
    moved = tmp_path / "moved"
    restored.close()
    home.rename(moved)
    again = Workspace.open(settings=Settings(home=moved))
    assert opened(again).to_polars()["n"].sort().to_list() == [1, 2]
    again.close()


def test_where_no_backup_can_be(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="inside the workspace"):
        create_backup(workspace, str(workspace.home / "backups"))
    with pytest.raises(InvalidInput, match="inside the workspace"):
        create_backup(workspace, f"file://{workspace.home}/backups")
    with pytest.raises(InvalidInput, match="not text"):
        create_backup(workspace, "backups-\udcff")
    with pytest.raises(Unavailable, match="cannot be made"):
        create_backup(workspace, "/proc/backups")


def test_half_a_plain_file_is_copied_again(workspace: Workspace, tmp_path: Path) -> None:
    store_table(workspace, "t", [pl.DataFrame({"n": range(1000)})], encrypted=False)
    create_backup(workspace, str(tmp_path / "backups"))
    (file, *_) = sorted((tmp_path / "backups" / workspace.id / "files").iterdir())
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    create_backup(workspace, str(tmp_path / "backups"))
    assert file.read_bytes() == whole
