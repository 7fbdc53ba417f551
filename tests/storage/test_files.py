import errno
import fcntl
import os
import resource
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving.pidfile import PidFile
from lepton_ai.storage import NodeSpec, StorageFull, Workspace
from lepton_ai.storage.backup import create_backup
from lepton_ai.storage.backup.draft import drafted
from lepton_ai.storage.files import disk_errors, replace_file
from lepton_ai.storage.schema import packs


def in_child(check: Callable[[], None]) -> None:
    """Run a check in a process of its own, whose limits end with it."""
    child = os.fork()
    if child == 0:
        try:
            check()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_named(
    workspace: Workspace, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    (workspace.home / "objects" / ".pack_a.lock").touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    work: list[Callable[[], object]] = [
        lambda: workspace.objects.put(b"x"),
        lambda: workspace.objects.collect(),
        lambda: Workspace.open(tmp_path / "new"),
        lambda: drafted(tmp_path / "restored").__enter__(),
        lambda: PidFile(tmp_path / "pid").acquire(),
    ]
    if workspace.database.dialect == "sqlite":
        work.append(lambda: create_backup(workspace, str(tmp_path / "backups")))
    for do in work:
        with pytest.raises(InvalidInput, match=r"knows no file locks .*local disk"):
            do()


def assert_untouched(workspace: Workspace) -> None:
    """Nothing of a failed transaction is left, and the same transaction works afterwards."""
    assert [*(workspace.home / "objects").iterdir()] == []
    with workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(packs)) == 0
    assert workspace.lineage.list("dataset") == []
    assert [*workspace.verify()] == []


def store(workspace: Workspace, size: int) -> None:
    with workspace.transaction() as tx:
        address = tx.put(os.urandom(size))
        tx.node("dataset", "d", version=True, holds=[address])


def test_a_file_that_may_not_grow_fails_clearly(workspace: Workspace) -> None:
    def check() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        with pytest.raises(StorageFull, match="nothing was changed"):
            store(workspace, 500_000)

    in_child(check)
    assert_untouched(workspace)
    store(workspace, 500_000)
    assert [*workspace.verify()] == []


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("SKIPPED FOR LACK OF RIGHTS: only root may mount the small disk to fill")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)

    @pytest.fixture
    def workspace(self, small_disk: Path) -> Iterator[Workspace]:
        opened = Workspace.open(small_disk / "home")
        yield opened
        opened.close()

    def test_objects_that_do_not_fit(self, workspace: Workspace) -> None:
        with pytest.raises(StorageFull, match=r"no room to write .*nothing was changed"):
            store(workspace, 3 * 2**20)
        assert_untouched(workspace)
        store(workspace, 2**20)
        assert len(workspace.lineage.list("dataset")) == 1
        assert [*workspace.verify()] == []

    def test_nodes_that_do_not_fit(self, workspace: Workspace) -> None:
        def fill() -> None:
            with workspace.transaction() as tx:
                facts = {"text": "x" * 10_000}
                tx.nodes([NodeSpec("dataset", f"d{n}", facts=facts) for n in range(400)])

        with pytest.raises(StorageFull, match="nothing was changed"):
            fill()
        assert_untouched(workspace)
        workspace.close()
        again = Workspace.open(workspace.home)
        store(again, 1000)
        assert [*again.verify()] == []
        again.close()

    def test_a_first_use_that_does_not_fit(self, small_disk: Path) -> None:
        ballast = small_disk / "ballast"
        failures = 0
        for free in range(0, 400_000, 12_288):  # so that each step fails once
            home = small_disk / f"home{free}"
            ballast.write_bytes(bytes(2**21 - free))
            try:
                Workspace.open(home).close()
            except StorageFull:
                failures += 1
            ballast.unlink()
            workspace = Workspace.open(home)
            assert workspace.objects.get(workspace.objects.put(b"x")) == b"x"
            assert [*workspace.verify()] == []
            workspace.close()
            shutil.rmtree(home)
        assert failures > 10

    def test_a_rotation_that_does_not_fit(self, workspace: Workspace) -> None:
        address = workspace.objects.put(b"x")
        ballast = workspace.home.parent / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        with pytest.raises(StorageFull, match=r"keys\.json"):
            workspace.keys.rotate()
        ballast.unlink()
        assert workspace.objects.get(address) == b"x"
        assert workspace.keys.rotate() == 4
        assert [*workspace.verify()] == []


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for data in (b"one", b"two"):
        replace_file(path, data)
        assert path.read_bytes() == data
        assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_what_a_killed_replacement_left_does_not_outlive_the_next(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    replace_file(path, b"old")

    def die() -> None:
        # Under the name of the temporary file, with keys that are rotated away by then.
        os.fsync = lambda descriptor: os._exit(0)
        replace_file(path, b"half way")

    in_child(die)
    assert path.read_bytes() == b"old"
    assert len([*tmp_path.iterdir()]) == 2
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [*tmp_path.iterdir()] == [path]


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(PermissionError), disk_errors("x"):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(StorageFull, match="no room to write x: full"), disk_errors("x"):
        raise OSError(errno.ENOSPC, "full")
