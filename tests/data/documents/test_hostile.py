"""Folders and sets with traps in them, crashes, full disks, and files that change meanwhile."""

import errno
import hashlib
import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.documents import load as loading
from lepton_ai.data.documents.document import Document
from lepton_ai.data.documents.export import export
from lepton_ai.data.documents.read import import_documents
from lepton_ai.storage import StorageFull, Workspace
from lepton_ai.storage.packs import PackWriter


def fill(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    choice = random.Random(seed)
    for number in range(count):
        (folder / f"{number:05d}.txt").write_bytes(choice.randbytes(choice.randrange(3000)))
    return folder


def child(program: str, *arguments: Path) -> "subprocess.Popen[str]":
    """Run a program in a process of its own: the libraries' threads do not survive a fork."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_nothing_outside_is_kept(tmp_path: Path, workspace: Workspace) -> None:
    folder = fill(tmp_path / "f", 2)
    (tmp_path / "secret").write_text("secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to("00000.txt")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_text("x")
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    (folder / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.txt")).write_text("odd")
    documents = import_documents(folder, workspace=workspace)
    assert documents.paths == ["00000.txt", "00001.txt", "caf\\xe9/\\xff.txt", "in"]
    assert {one.path: one.reason for one in documents.rejected} == {
        "out": "hostile", "pipe": "special file", "up": "hostile",
    }  # fmt: skip
    assert documents.dataset.facts["ignored"] == 1
    assert "set aside: 2 hostile" in repr(documents)
    documents.export(tmp_path / "out")
    assert (tmp_path / "out" / "caf\\xe9" / "\\xff.txt").read_text() == "odd"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../up", "a/../../up", "a//b", "", ".", "a/", "a\0b", "./x", "a/./b"],
)
def test_a_path_out_of_the_folder_is_not_written(
    path: str, tmp_path: Path, workspace: Workspace
) -> None:
    (document,) = import_documents(fill(tmp_path / "f", 1), workspace=workspace)
    hostile = msgspec.structs.replace(document, path=path)
    with pytest.raises(InvalidInput, match="inside a folder"):
        export([document, hostile], tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_exports_overwrite_nothing(tmp_path: Path, workspace: Workspace) -> None:
    (document,) = import_documents(fill(tmp_path / "f", 1), workspace=workspace)

    def named(path: str) -> Document:
        return msgspec.structs.replace(document, path=path)

    twice = export([named("a.txt"), named("a.txt"), named("A.txt")], tmp_path / "out")
    assert [place.name for place in twice] == ["a.txt", "a~2.txt", "A.txt"]
    with pytest.raises(InvalidInput, match="is there already"):
        export([document], tmp_path / "out")
    with pytest.raises(InvalidInput, match="another document is a file"):
        export([named("a"), named("a/b")], tmp_path / "clash")


def test_unreadable_files_are_set_aside(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "f", 5)
    real = os.open

    def refused(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if str(path).endswith("00002.txt"):
            raise PermissionError(errno.EACCES, "Permission denied")
        if str(path).endswith("00003.txt"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(loading.os, "open", refused)
    documents = import_documents(folder, workspace=workspace)
    assert [one.path for one in documents] == ["00000.txt", "00001.txt", "00004.txt"]
    assert [(one.path, one.reason) for one in documents.rejected] == [
        ("00002.txt", "unreadable"), ("00003.txt", "unreadable"),
    ]  # fmt: skip
    monkeypatch.setattr(loading.os, "open", real)
    assert import_documents(folder, workspace=workspace).version == 2
    for path in folder.iterdir():
        path.unlink()
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="could be read"):
        import_documents(folder, workspace=workspace)


@pytest.mark.parametrize("size", [1000, 100_000, 9 * 2**20])
def test_a_file_that_changes_while_it_is_read(
    size: int, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "f", 3)
    moving = folder / "moving.log"
    moving.write_bytes(bytes(size))
    real = os.fstat
    inode = moving.stat().st_ino

    def writes(number: int) -> os.stat_result:
        status = real(number)
        if status.st_ino == inode:
            with moving.open("ab") as file:
                file.write(b"more")
        return status

    monkeypatch.setattr(loading.os, "fstat", writes)
    documents = import_documents(folder, workspace=workspace)
    assert [(one.path, one.reason) for one in documents.rejected] == [("moving.log", "changed")]
    assert len(documents) == 3
    assert [*workspace.verify()] == []
    monkeypatch.setattr(loading.os, "fstat", real)
    assert len(import_documents(folder, workspace=workspace)) == 4


def test_a_file_that_becomes_a_pipe_or_a_link(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "f", 4)
    real = os.open

    def swapped(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        place = Path(path)
        if place.parent == folder and place.name in ("00001.txt", "00002.txt"):
            place.unlink()
            if place.name == "00001.txt":
                os.mkfifo(place)
            else:
                place.symlink_to("/etc/passwd")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(loading.os, "open", swapped)
    documents = import_documents(folder, workspace=workspace)
    assert [one.path for one in documents] == ["00000.txt", "00003.txt"]
    assert {one.path: one.reason for one in documents.rejected} == {
        "00001.txt": "special file", "00002.txt": "unreadable",
    }  # fmt: skip


def test_a_hundred_copies_are_stored_once(tmp_path: Path, workspace: Workspace) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}").write_bytes(b"the same" * 500)
    documents = import_documents(folder, workspace=workspace)
    assert len(documents) == 100
    assert len(set(documents["object"].tolist())) == 1
    stored = sum(path.stat().st_size for path in (workspace.home / "objects").iterdir())
    assert stored < 60_000


def test_a_large_file_takes_little_memory(tmp_path: Path, workspace: Workspace) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    digest = hashlib.sha256()
    piece = random.Random(1).randbytes(2**20)
    with (folder / "large.bin").open("wb") as file:
        for number in range(200):
            part = number.to_bytes(4) + piece[4:]
            digest.update(part)
            file.write(part)

    program = """
import resource, sys
from lepton_ai.data.documents.read import import_documents
import_documents(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(document,) = import_documents(sys.argv[2])
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(document.sha256, document.size, grown)
"""
    with child(program, fill(tmp_path / "small", 3), folder) as process:
        assert process.stdout is not None
        sha256, size, grown = process.stdout.read().split()
    assert (sha256, int(size)) == (digest.hexdigest(), 200 * 2**20)
    assert int(grown) < 100 * 1024  # KiB
    (document,) = import_documents(folder, workspace=workspace)
    with document.open() as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == sha256


def test_a_full_disk_changes_nothing(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "f", 50)

    def full(*_: Any) -> int:
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(PackWriter, "append", full)
        with pytest.raises(StorageFull):
            import_documents(folder, workspace=workspace)
    assert workspace.lineage.list("dataset") == []
    assert [*(workspace.home / "objects").iterdir()] == []
    assert import_documents(folder, workspace=workspace).ref == "f:1"


def test_two_importers_at_once(tmp_path: Path, workspace: Workspace) -> None:
    folders = [fill(tmp_path / "a", 300), fill(tmp_path / "b", 300, seed=1)]
    (folders[1] / "00000.txt").write_bytes((folders[0] / "00000.txt").read_bytes())

    program = """
import pathlib, sys
from lepton_ai.data.documents.read import import_documents
folder = pathlib.Path(sys.argv[1])
for number in range(3):
    (folder / "round").write_text(f"{folder} {number}")
    import_documents(folder, name="shared")
"""
    children = [child(program, folder) for folder in folders]
    for process in children:
        with process:
            assert process.wait(60) == 0
    nodes = workspace.lineage.list("dataset", "shared")
    assert [node.version for node in nodes] == [*range(1, 7)]
    assert [*workspace.verify()] == []


@pytest.mark.crash
def test_a_killed_import_leaves_the_version_before(tmp_path: Path, workspace: Workspace) -> None:
    folder = fill(tmp_path / "f", 400)
    import_documents(folder, workspace=workspace)
    choice = random.Random(4)
    program = """
import os, pathlib, sys
from lepton_ai.data.documents.read import import_documents
folder, number = pathlib.Path(sys.argv[1]), 0
while True:
    number += 1
    (folder / "00000.txt").write_text(f"{os.getpid()} {number}")
    (folder / f"{number % 300:05d}.txt").write_bytes(os.urandom(2000))
    print(import_documents(folder).version, flush=True)
"""
    for _ in range(4):
        with child(program, folder) as process:
            assert process.stdout is not None
            promised = process.stdout.readline()
            time.sleep(choice.uniform(0, 0.2))
            process.kill()
            promised = [promised, *process.stdout]
        faults = [*workspace.verify()]
        assert all(fault.harmless for fault in faults), faults
        newest = import_documents(folder, workspace=workspace)
        assert newest.version >= int(promised[-1])
        assert {one.path: one.read() for one in newest} == {
            path.name: path.read_bytes() for path in folder.iterdir()
        }
    workspace.objects.collect(timedelta(0))
    assert [*workspace.verify()] == []
    assert newest.at(1).dataset.facts["rows"] == 400
