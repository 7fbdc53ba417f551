"""Erasing a person from backups, after one that was killed while it was made."""

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.settings import Settings
from lepton_ai.data.erase import erase_subject
from lepton_ai.data.tables.create import store_table
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, list_backups, recorded, restore_backup
from lepton_ai.storage.backup.record import record

WHO = "CANARY-7731"

# A program that is killed before, while or after it writes the first file of a folder.
_CHILD = """
import os, signal, sys
from pathlib import Path
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup
from lepton_ai.storage.backup.destination import Destination
home, url, folder, when = sys.argv[1:]
write = Destination.write

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def torn(chunks):
    for chunk in chunks:
        yield chunk[: len(chunk) // 2]
        die()

def killed(self, name, chunks):
    ours = name.startswith(folder)
    if ours and when == "before":
        die()
    size = write(self, name, torn(chunks) if ours and when == "while" else chunks)
    if ours:
        die()
    return size

Destination.write = killed
create_backup(Workspace.open(settings=Settings(home=Path(home))), url)
"""


@pytest.fixture
def planted(workspace: Workspace) -> Workspace:
    if workspace.database.dialect != "sqlite":
        pytest.skip("one database is enough: what is killed works on files")
    rows = pl.DataFrame({"pid": [WHO, "P-1"], "age": [1, 2]})
    store_table(workspace, "sealed", [rows])
    store_table(workspace, "plain", [rows], encrypted=False)
    return workspace


def kill(workspace: Workspace, url: Path, folder: str, when: str) -> None:
    words = [sys.executable, "-c", _CHILD, str(workspace.home), str(url), folder, when]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize("when", ["before", "while", "after"])
@pytest.mark.parametrize("folder", ["place", "packs", "files", "snapshots"])
def test_after_a_backup_that_was_killed_nobody_has_to_state_anything(
    planted: Workspace, tmp_path: Path, folder: str, when: str, earlier: int
) -> None:
    url, keys = tmp_path / "backups", planted.home / "keys.json"
    if earlier and folder == "place":
        pytest.skip("the mark is there already")
    for _ in range(earlier):
        create_backup(planted, str(url))
        store_table(planted, "more", [pl.DataFrame({"pid": [WHO]})], encrypted=False)
        store_table(planted, "most", [pl.DataFrame({"pid": [WHO]})])
    kill(planted, url, folder, when)
    report, _ = erase_subject(planted, [WHO])
    assert report.complete
    on_record = {it.id for it in recorded(planted)}
    assert on_record == ({info.id for info in list_backups(str(url))} if on_record else set())
    if on_record:
        restored = restore_backup(
            str(url), tmp_path / "new", key_file=keys, settings=Settings(home=tmp_path / "new")
        )
        assert WHO not in str([*map(repr, restored.lineage.list("dataset"))])
        assert erase_subject(restored, [WHO], renew_backups=False)[0].rows == {}
        restored.close()
        # Nothing is left there but what the one backup needs.
        packs = {path.name for path in (url / planted.id / "packs").iterdir()}
        assert packs <= {path.name for path in (planted.home / "objects").glob("pack_*-*")}
        assert not [*url.rglob("*.partial")]


def test_a_killed_backup_on_a_disk_that_is_elsewhere_is_asked_for(
    planted: Workspace, tmp_path: Path
) -> None:
    disk, away = tmp_path / "disk", tmp_path / "away"
    kill(planted, disk, "snapshots", "while")
    disk.rename(away)
    for _ in range(2):
        report, _ = erase_subject(planted, [WHO])
        assert not report.complete
        assert f"--gone {disk}" in report.backups[0].error
        disk.mkdir(exist_ok=True)
    assert not [*disk.iterdir()]
    disk.rmdir()
    away.rename(disk)
    assert erase_subject(planted, [WHO])[0].complete


def test_a_place_that_was_recorded_with_its_password_keeps_no_erasure_from_its_end(
    planted: Workspace,
) -> None:
    url = "sftp://ada:hunter2@disk.invalid/backups"
    record(planted, "backup_1", url, "")
    report, signed = erase_subject(planted, [WHO])
    assert report.left == ()
    (place,) = report.backups
    assert place.url == "sftp://ada@disk.invalid/backups"
    assert f"--gone {place.url}" in place.error
    with pytest.raises(InvalidInput, match="ada@disk") as caught:
        erase_subject(planted, [WHO], gone=["sftp://eve:hunter2@disk.invalid"])
    said, _ = erase_subject(planted, [WHO], gone=[place.url])
    assert said.complete
    assert "hunter2" not in f"{report} {base64.b64decode(json.loads(signed)['payload'])} {said}"
    assert "hunter2" not in str(caught.value)
    assert recorded(planted) == []
