import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from lepton_ai.core.errors import Conflict, InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace

FORK = multiprocessing.get_context("fork")


def _first_use(settings: Settings, ready: Barrier, found: "multiprocessing.Queue[str]") -> None:
    ready.wait()
    workspace = Workspace.open(settings=settings)
    with workspace.transaction() as tx:
        tx.node("dataset", "d", version=True, holds=[tx.put(b"same")])
    found.put(f"{workspace.id} {workspace.keys.token('x')} {workspace.objects.seal(b'').address}")
    workspace.close()


@pytest.mark.empty_database
def test_eight_processes_begin_one_workspace(settings: Settings) -> None:
    ready, found = FORK.Barrier(8), FORK.Queue()
    processes = [FORK.Process(target=_first_use, args=(settings, ready, found)) for _ in range(8)]
    for process in processes:
        process.start()
    answers = {found.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    found.close()
    assert [process.exitcode for process in processes] == [0] * 8
    assert len(answers) == 1
    workspace = Workspace.open(settings=settings)
    versions = [node.version for node in workspace.lineage.list("dataset", "d")]
    assert versions == list(range(1, 9))
    assert [*workspace.verify()] == []
    workspace.close()


def _reopen(settings: Settings, times: int) -> None:
    for number in range(times):
        workspace = Workspace.open(settings=settings)
        with workspace.transaction() as tx:
            tx.node("dataset", f"{os.getpid()}", version=True, holds=[tx.put(b"%d" % number)])
        workspace.close()


def test_processes_that_open_and_close_all_the_time_do_not_disturb_each_other(
    settings: Settings,
) -> None:
    # The last SQLite connection to close removes the write-ahead log, under the eyes of others.
    workers = [FORK.Process(target=_reopen, args=(settings, 15)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    workspace = Workspace.open(settings=settings)
    assert len(workspace.lineage.list("dataset")) == 90
    workspace.close()


def test_a_workspace_is_private(workspace: Workspace) -> None:
    assert workspace.home.stat().st_mode & 0o777 == 0o700
    workspace.objects.put(b"x")
    for path in (workspace.home / "objects").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert workspace.exposed() == []
    workspace.home.chmod(0o755)
    assert workspace.exposed() == [workspace.home]


def test_it_is_opened_once_in_a_process(workspace: Workspace, settings: Settings) -> None:
    assert Workspace.open(settings=settings) is workspace
    assert pickle.loads(pickle.dumps(workspace)) is workspace
    found: list[Workspace] = []
    workspace.close()
    threads = [
        threading.Thread(target=lambda: found.append(Workspace.open(settings=settings)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 1
    assert found[0] is not workspace
    assert found[0].id == workspace.id
    found[0].close()


def test_home_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "one"))
    one = Workspace.open()
    assert one.home == tmp_path / "one"
    two = Workspace.open(tmp_path / "two")
    assert two.home == tmp_path / "two"
    assert two.id != one.id
    one.close()
    two.close()


def test_names_with_odd_characters_are_no_matter(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "a b%20?#ü")
    assert workspace.objects.get(workspace.objects.put(b"x")) == b"x"
    workspace.close()
    again = Workspace.open(tmp_path / "a b%20?#ü")
    assert again.id == workspace.id
    again.close()


@pytest.mark.empty_database
def test_a_half_made_workspace_is_made_whole(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700)
    # What a crash in the middle of the first start may leave.
    (settings.home / ".metadata.db.new").write_bytes(b"half")
    (settings.home / ".metadata.db.new-wal").write_bytes(b"half")
    workspace = Workspace.open(settings=settings)
    assert workspace.objects.get(workspace.objects.put(b"x")) == b"x"
    workspace.close()


def test_a_lost_database_is_an_error_and_no_new_one(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "home")
    workspace.objects.put(b"x")
    workspace.close()
    (tmp_path / "home" / "metadata.db").unlink()
    for _ in range(2):
        with pytest.raises(Conflict, match="restore the database"):
            Workspace.open(tmp_path / "home")
    assert not (tmp_path / "home" / "metadata.db").exists()


@pytest.mark.parametrize("url", ["/data", "ftp://host/x", "s3:bucket"])
def test_unknown_storage_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match=r"s3://bucket/prefix"):
        Workspace.open(settings=Settings(home=tmp_path / "home", objects_url=url))


def test_opening_imports_no_migration_tool(workspace: Workspace, settings: Settings) -> None:
    code = (
        "import sys\n"
        "from lepton_ai.storage import Workspace\n"
        "Workspace.open(sys.argv[1]).close()\n"
        "print([name for name in ('alembic', 'numpy', 'fsspec') if name in sys.modules])\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)],
        env=os.environ | {"LEPTON_DATABASE_URL": settings.database_url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout == "[]\n"


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_home_that_cannot_be_made_says_what_to_do(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="set LEPTON_HOME"):
        Workspace.open(tmp_path / place)
