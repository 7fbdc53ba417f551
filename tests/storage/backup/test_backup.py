"""Backups: what is restored is what was, on either database and in either kind of storage."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import (
    Conflict,
    Corrupt,
    InvalidInput,
    LeptonError,
    NotFound,
    Unavailable,
)
from lepton_ai.core.settings import Settings
from lepton_ai.storage import KeyLost, Workspace, database
from lepton_ai.storage.backup import (
    create_backup,
    list_backups,
    prune_backups,
    recorded,
    restore_backup,
    verify_backup,
)
from lepton_ai.storage.backup.destination import Destination
from lepton_ai.storage.schema import metadata
from tests import postgres


def fill(workspace: Workspace, start: int = 0, count: int = 5) -> None:
    for number in range(start, start + count):
        with workspace.transaction() as transaction:
            address = transaction.put(f"content {number} ".encode() * 1000 * (number + 1))
            node = transaction.node("dataset", f"d{number}", version=True, holds=[address])
            transaction.alias(node, "best")


def content(workspace: Workspace) -> dict[str, Any]:
    """Everything a workspace holds: rows of all tables, objects, and plain files."""
    with workspace.database.read() as connection:
        tables = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
            for table in metadata.sorted_tables
            if table.name != "replicas"
        }
        addresses = [*connection.scalars(sa.select(metadata.tables["objects"].c.address))]
    root = workspace.home / "tables"
    files = {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    packs = {path.name: path.read_bytes() for path in (workspace.home / "objects").glob("pack_*-*")}
    return {
        "tables": tables,
        "objects": workspace.objects.get_many(addresses),
        "files": files,
        "packs": packs,
    }


@pytest.fixture
def plain(workspace: Workspace) -> Workspace:
    """With a file of an unencrypted table."""
    path = workspace.home / "tables" / "default" / "t" / "1.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"plain" * 100_000)
    (path.parent / "empty").write_bytes(b"")
    fill(workspace)
    return workspace


def test_a_restored_workspace_is_the_one_that_was(plain: Workspace, tmp_path: Path) -> None:
    url = str(tmp_path / "backups")
    first = create_backup(plain, url)
    expected = content(plain)
    fill(plain, start=5)
    second = create_backup(plain, url)
    assert second.copied < first.copied
    newest = content(plain)
    assert [info.id for info in list_backups(url)] == [first.id, second.id]
    assert list(verify_backup(plain, url)) == []
    keys = plain.home / "keys.json"
    plain.close()
    settings = Settings(home=tmp_path / "new")
    restored = restore_backup(url, tmp_path / "new", key_file=keys, settings=settings)
    assert content(restored) == newest
    fill(restored, start=10)
    restored.close()
    older = restore_backup(
        url, tmp_path / "old", key_file=keys, backup=first.id,
        settings=Settings(home=tmp_path / "old"),
    )  # fmt: skip
    assert content(older) == expected
    older.close()


def test_between_databases(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server())
        first = stack.enter_context(postgres.database(server))
        second = stack.enter_context(postgres.database(server))
        workspace = Workspace.open(settings=Settings(home=tmp_path / "a", database_url=first))
        fill(workspace)
        create_backup(workspace, str(tmp_path / "backups"))
        expected = content(workspace)
        keys = workspace.home / "keys.json"
        for name, url in (("b", ""), ("c", second)):
            settings = Settings(home=tmp_path / name, database_url=url)
            restored = restore_backup(
                str(tmp_path / "backups"), tmp_path / name, key_file=keys, settings=settings
            )
            assert content(restored) == expected
            restored.close()
        with pytest.raises(LeptonError, match="holds a workspace already"):
            restore_backup(
                str(tmp_path / "backups"), tmp_path / "d", key_file=keys,
                settings=Settings(home=tmp_path / "d", database_url=second),
            )  # fmt: skip
        workspace.close()


def test_a_moment_in_time(workspace: Workspace, tmp_path: Path) -> None:
    url = str(tmp_path / "backups")
    fill(workspace, count=1)
    create_backup(workspace, url)
    between = datetime.now(UTC)
    fill(workspace, start=1, count=1)
    create_backup(workspace, url)
    keys = workspace.home / "keys.json"
    settings = Settings(home=tmp_path / "new")
    restored = restore_backup(url, tmp_path / "new", key_file=keys, at=between, settings=settings)
    assert [node.name for node in restored.lineage.list("dataset")] == ["d0"]
    restored.close()
    with pytest.raises(NotFound, match="no backup of 19"):
        restore_backup(url, tmp_path / "x", key_file=keys, at=datetime(1999, 1, 1, tzinfo=UTC))


def test_what_cannot_be_restored(workspace: Workspace, tmp_path: Path) -> None:
    url = str(tmp_path / "backups")
    with pytest.raises(NotFound, match="lepton backup create"):
        restore_backup(url, tmp_path / "new")
    fill(workspace, count=1)
    create_backup(workspace, url)
    with pytest.raises(KeyLost):
        restore_backup(url, tmp_path / "new", settings=Settings(home=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(InvalidInput, match="not empty"):
        restore_backup(url, workspace.home)
    with pytest.raises(NotFound, match="has no backup nothing"):
        restore_backup(url, tmp_path / "new", backup="nothing")


@pytest.mark.parametrize("folder", ["packs", "snapshots", "files"])
@pytest.mark.parametrize("how", ["flip", "cut", "swap"])
def test_a_hostile_destination(plain: Workspace, tmp_path: Path, folder: str, how: str) -> None:
    url = tmp_path / "backups"
    create_backup(plain, str(url))
    fill(plain, start=7)
    create_backup(plain, str(url))
    names = sorted((url / plain.id / folder).iterdir())
    data = names[-1].read_bytes()
    if how == "flip":
        data = (
            data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        )
    elif how == "cut":
        data = data[: len(data) // 2]
    else:
        data = names[0].read_bytes()
    names[-1].write_bytes(data)
    assert [fault.kind for fault in verify_backup(plain, str(url))]
    with pytest.raises(LeptonError):
        restore_backup(
            str(url), tmp_path / "new", key_file=plain.home / "keys.json",
            settings=Settings(home=tmp_path / "new"),
        )  # fmt: skip
    assert not (tmp_path / "new").exists()


def test_old_backups_go_and_what_only_they_needed(workspace: Workspace, tmp_path: Path) -> None:
    url = str(tmp_path / "backups")
    fill(workspace, count=3)
    create_backup(workspace, url)
    with workspace.database.write() as connection:
        for name in ("aliases", "holdings", "nodes"):
            connection.execute(sa.delete(metadata.tables[name]))
    workspace.objects.collect(timedelta(0))
    fill(workspace, start=20, count=1)
    newest = create_backup(workspace, url)
    gone, freed = prune_backups(workspace, url, keep=1)
    assert len(gone) == 1
    assert freed > 3000
    assert [info.id for info in list_backups(url)] == [newest.id]
    present = {path.name for path in (tmp_path / "backups" / workspace.id / "packs").iterdir()}
    assert present == {path.name for path in (workspace.home / "objects").glob("pack_*-*")}
    assert list(verify_backup(workspace, url)) == []


def test_while_others_write(workspace: Workspace, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 100
        while not stop.is_set():
            fill(workspace, start=number % 20, count=1)
            number += 1
            workspace.objects.collect(timedelta(0)) if number % 5 == 0 else None

    fill(workspace)
    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        ids = [create_backup(workspace, str(tmp_path / "b")).id for _ in range(4)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for number, backup in enumerate(ids):
        assert list(verify_backup(workspace, str(tmp_path / "b"), backup)) == []
        home = tmp_path / f"r{number}"
        restore_backup(
            str(tmp_path / "b"), home, key_file=workspace.home / "keys.json", backup=backup,
            settings=Settings(home=home),
        ).close()  # fmt: skip


_CHILD = """
import sys
from pathlib import Path
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import *
home, new, url = Path(sys.argv[1]), Path(sys.argv[3]), sys.argv[2]
workspace = Workspace.open(settings=Settings(home=home))
print("begin", flush=True)
create_backup(workspace, url)
prune_backups(workspace, url, keep=2)
restore_backup(url, new, key_file=f"{home}/keys.json", settings=Settings(home=new))
"""


def test_killed_at_any_moment(workspace: Workspace, tmp_path: Path) -> None:
    if workspace.database.dialect != "sqlite":
        pytest.skip("one database is enough: what is killed works on files")
    url, new = tmp_path / "backups", tmp_path / "new"
    dice = random.Random(7)
    fill(workspace, count=3)
    create_backup(workspace, str(url))
    for round_ in range(int(os.environ.get("LEPTON_CRASHES", "6"))):
        fill(workspace, start=round_ % 30 + 5, count=1)
        shutil.rmtree(new, ignore_errors=True)
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(workspace.home), str(url), str(new)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        with child.stdout as begun:
            begun.readline()
        try:
            child.wait(dice.random() * 0.6)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert list(verify_backup(workspace, str(url))) == []
        if new.exists():
            Workspace.open(settings=Settings(home=new)).close()
    create_backup(workspace, str(url))
    # What was broken off is on the record no more.
    assert {it.id for it in recorded(workspace)} == {info.id for info in list_backups(str(url))}
    shutil.rmtree(new, ignore_errors=True)
    restored = restore_backup(
        str(url), new, key_file=workspace.home / "keys.json", settings=Settings(home=new)
    )
    assert content(restored)["objects"] == content(workspace)["objects"]
    restored.close()


def test_one_damaged_backup_hides_no_other(workspace: Workspace, tmp_path: Path) -> None:
    url, keys = tmp_path / "backups", workspace.home / "keys.json"
    made = []
    for number in range(4):
        fill(workspace, start=number, count=1)
        made.append(create_backup(workspace, str(url)).id)
    snapshots = url / workspace.id / "snapshots"
    whole = (snapshots / made[2]).read_bytes()
    for damage in (b"", whole[:50], b"\xff" * 100, whole.replace(b'_at":"20', b'_at":"00')):
        (snapshots / made[2]).write_bytes(damage)
        listed = list_backups(str(url))
        assert [info.id for info in listed] == made
        assert [bool(info.fault) for info in listed] == [False, False, True, False]
        assert abs(listed[2].created_at - listed[3].created_at) < timedelta(minutes=1)
        assert list(verify_backup(workspace, str(url), made[1])) == []
    settings = Settings(home=tmp_path / "new")
    restore_backup(
        str(url), tmp_path / "new", key_file=keys, backup=made[1], settings=settings
    ).close()
    with pytest.raises(Corrupt, match=f"{made[2]} was altered"):
        prune_backups(workspace, str(url), keep=2)
    assert [info.id for info in list_backups(str(url))] == made
    # It goes with those of its age, and does not count among those that stay.
    gone, _ = prune_backups(workspace, str(url), keep=1)
    assert gone == made[:3]
    assert list(verify_backup(workspace, str(url))) == []
    (snapshots / made[3]).write_bytes(b"")
    with pytest.raises(Corrupt, match="choose with --backup: none"):
        restore_backup(str(url), tmp_path / "other", key_file=keys)
    with pytest.raises(Corrupt):
        prune_backups(workspace, str(url), keep=1)
    assert list((url / workspace.id / "packs").iterdir())


def test_the_newest_is_the_last_made_whatever_the_clock_says(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "backups")
    ahead = time.time_ns() + 10**9 * 3600 * 24 * 365
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: ahead)
        first = create_backup(workspace, url).id
    later = [create_backup(workspace, url).id for _ in range(3)]
    assert [info.id for info in list_backups(url)] == [first, *later]
    assert prune_backups(workspace, url, keep=1)[0] == [first, *later[:2]]


def test_backups_of_several_workspaces_lie_side_by_side(
    workspace: Workspace, tmp_path: Path
) -> None:
    url = str(tmp_path / "backups")
    with ExitStack() as stack:
        other = Workspace.open(settings=Settings(home=tmp_path / "other"))
        stack.callback(other.close)
        made = {place.id: create_backup(place, url).id for place in (workspace, other)}
        assert {info.workspace: info.id for info in list_backups(url)} == made
        with pytest.raises(NotFound, match="--workspace"):
            restore_backup(url, tmp_path / "new")
        with pytest.raises(NotFound, match="no backup of workspace_none"):
            list_backups(url, "workspace_none")
        # One that is put among those of another is noticed.
        theirs = tmp_path / "backups" / other.id / "snapshots" / made[other.id]
        shutil.copy(theirs, tmp_path / "backups" / workspace.id / "snapshots")
        (fault,) = verify_backup(workspace, url)
        assert "another one" in fault.detail


def test_the_key_that_is_missing_is_named(workspace: Workspace, tmp_path: Path) -> None:
    url, keys = str(tmp_path / "backups"), tmp_path / "damaged.json"
    create_backup(workspace, url)
    with pytest.raises(KeyLost, match=r"the backup backup_\w+ is sealed under the master key"):
        restore_backup(url, tmp_path / "new")
    keys.write_text("{}")
    with pytest.raises(Corrupt, match=r"keys\.json is damaged"):
        restore_backup(url, tmp_path / "new", key_file=keys)


@pytest.mark.parametrize("zone", [None, UTC])
def test_a_moment_at_the_ends_of_time(workspace: Workspace, tmp_path: Path, zone: Any) -> None:
    url, keys = str(tmp_path / "backups"), workspace.home / "keys.json"
    create_backup(workspace, url)
    with pytest.raises(NotFound, match="no backup of 0001"):
        restore_backup(url, tmp_path / "x", key_file=keys, at=datetime.min.replace(tzinfo=zone))
    last = datetime.max.replace(tzinfo=zone)
    restore_backup(
        url, tmp_path / "x", key_file=keys, at=last, settings=Settings(home=tmp_path / "x")
    ).close()


def test_one_backup_or_pruning_at_a_time(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "backups")
    for _ in range(2):
        create_backup(workspace, url)
    fill(workspace, count=1)
    copied, go_on = threading.Event(), threading.Event()
    write = Destination.write

    def wait(self: Destination, name: str, chunks: Any) -> int:
        if name.startswith("snapshots"):
            copied.set()
            go_on.wait()
        return write(self, name, chunks)

    monkeypatch.setattr(Destination, "write", wait)
    maker = threading.Thread(target=create_backup, args=(workspace, url))
    maker.start()
    copied.wait()
    # Its pack is there, its snapshot is not: nothing but the lock tells that it is needed.
    pruner = threading.Thread(target=prune_backups, args=(workspace, url))
    pruner.start()
    pruner.join(0.5)
    go_on.set()
    maker.join()
    pruner.join()
    (info,) = list_backups(url)
    assert list(verify_backup(workspace, url, info.id)) == []
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    if workspace.database.dialect == "sqlite":
        with workspace.database.alone("backup"), pytest.raises(Conflict, match="run the command"):
            create_backup(workspace, url)


def test_a_damaged_copy_is_mended_from_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    url = tmp_path / "backups"
    fill(workspace)
    first = create_backup(workspace, str(url))
    pack = min((url / workspace.id / "packs").iterdir())
    whole = pack.read_bytes()
    pack.write_bytes(bytes(len(whole)))
    (fault,) = verify_backup(workspace, str(url))
    assert f"packs/{pack.name} holds other bytes" in fault.detail
    pack.unlink()
    create_backup(workspace, str(url))
    assert pack.read_bytes() == whole
    assert list(verify_backup(workspace, str(url), first.id)) == []


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_a_disk_that_is_not_mounted_gets_no_backup(
    workspace: Workspace, tmp_path: Path, there: bool
) -> None:
    disk, away, other = (tmp_path / name for name in ("disk", "away", "other"))
    first = create_backup(workspace, str(disk))
    disk.rename(away)
    if there:
        disk.mkdir()
    with pytest.raises(Unavailable, match=rf"none of the 1 .*is its disk mounted.*{disk} --new-pl"):
        create_backup(workspace, str(disk))
    assert not [*tmp_path.glob("disk/*")]
    assert [it.id for it in recorded(workspace)] == [first.id]
    # Another disk is said to be one once; then they take turns.
    second = create_backup(workspace, str(disk), new_place=True)
    for left, right in ((other, away), (away, other)):
        disk.rename(left)
        right.rename(disk)
        create_backup(workspace, str(disk))
    assert list_backups(str(disk))[0].id == second.id
    assert len({it.place for it in recorded(workspace)}) == 2
    assert len(recorded(workspace)) == 4


def test_backups_of_an_older_version_get_a_mark(workspace: Workspace, tmp_path: Path) -> None:
    url = tmp_path / "backups"
    create_backup(workspace, str(url))
    (mark,) = (url / workspace.id / "place").iterdir()
    mark.unlink()
    create_backup(workspace, str(url))
    assert len([*(url / workspace.id / "place").iterdir()]) == 1
    assert len(list_backups(str(url))) == 2
