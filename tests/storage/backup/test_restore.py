"""Restores into all kinds of places, of older backups, and what a failed one leaves."""

import stat
from pathlib import Path

import fsspec
import pytest
import sqlalchemy as sa
from alembic.command import downgrade
from botocore.client import BaseClient

from lepton_ai.core.errors import Conflict, Corrupt
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import create_backup, restore_backup, snapshot
from lepton_ai.storage.backup.draft import drafted
from lepton_ai.storage.migrate import configuration
from lepton_ai.storage.schema import metadata
from tests import postgres
from tests.storage.backup.test_backup import content, fill


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One on SQLite, with a backup in ``backups``."""
    opened = Workspace.open(settings=Settings(home=tmp_path / "home"))
    fill(opened)
    create_backup(opened, str(tmp_path / "backups"))
    return opened


def restored(workspace: Workspace, home: Path, **settings: str) -> Workspace:
    return restore_backup(
        str(workspace.home.parent / "backups"), home, key_file=workspace.home / "keys.json",
        settings=Settings(home=home, **settings),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["new", "a?b%41 c#d", "ünï"])
def test_the_database_is_as_a_workspace_makes_it(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    copy = restored(workspace, tmp_path / name)
    assert content(copy) == content(workspace)
    with copy.database.read() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    assert stat.S_IMODE((tmp_path / name / "metadata.db").stat().st_mode) == 0o600
    copy.close()


def test_a_link_and_a_directory_that_is_there(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    # It may be where another disk is mounted: it must stay the directory that it is.
    before = (tmp_path / "disk").stat().st_ino
    (tmp_path / "link").symlink_to("disk")
    copy = restored(workspace, tmp_path / "link")
    assert content(copy) == content(workspace)
    assert (tmp_path / "disk").stat().st_ino == before
    copy.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["backups", "disk", "home", "link"]
    assert not (tmp_path / "disk" / ".restoring").exists()


def test_one_restore_at_a_time(workspace: Workspace, tmp_path: Path) -> None:
    with drafted(tmp_path / "new"), pytest.raises(Conflict, match="another process restores"):
        restored(workspace, tmp_path / "new")
    restored(workspace, tmp_path / "new").close()


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content(workspace)
    with workspace.database.write(exclusive=True) as connection:
        config = configuration()
        config.attributes["connection"] = connection
        downgrade(config, "0002")
    monkeypatch.setattr(snapshot, "REVISION", "0002")
    create_backup(workspace, str(tmp_path / "backups"))
    copy = restored(workspace, tmp_path / "new")
    found = content(copy)
    expected["tables"].pop("backups"), found["tables"].pop("backups")
    assert found == expected
    assert copy.database.revision() == "0003"
    with copy.database.read() as connection:
        assert [row[1] for row in connection.execute(sa.text("PRAGMA index_list(objects)"))] == [
            "ix_objects_pack",
            "sqlite_autoindex_objects_1",
        ]
    copy.close()
    monkeypatch.setattr(snapshot, "REVISION", "9999")
    create_backup(workspace, str(tmp_path / "backups"))
    with pytest.raises(Conflict, match="newer version"):
        restored(workspace, tmp_path / "newer")


@pytest.mark.postgres
def test_a_failed_restore_leaves_the_database_empty(workspace: Workspace, tmp_path: Path) -> None:
    (pack, *_) = sorted((tmp_path / "backups" / workspace.id / "packs").iterdir())
    whole = pack.read_bytes()
    with postgres.server() as server, postgres.database(server) as url:
        pack.write_bytes(whole[:-1])
        with pytest.raises(Corrupt, match="not whole"):
            restored(workspace, tmp_path / "new", database_url=url)
        pack.write_bytes(whole)
        copy = restored(workspace, tmp_path / "new", database_url=url)
        assert content(copy) == content(workspace)
        with copy.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table))
        copy.close()


def test_objects_of_another_copy_are_left_alone(
    workspace: Workspace, tmp_path: Path, client: BaseClient
) -> None:
    bucket, _ = fsspec.url_to_fs("s3://lepton")
    copy = restored(workspace, tmp_path / "a", objects_url="s3://lepton/copies")
    before = {name: bucket.cat(name) for name in bucket.find("lepton/copies", refresh=True)}
    with pytest.raises(Conflict, match="LEPTON_OBJECTS_URL"):
        restored(workspace, tmp_path / "b", objects_url="s3://lepton/copies")
    assert {name: bucket.cat(name) for name in bucket.find("lepton/copies", refresh=True)} == before
    copy.close()
    (pack, *_) = sorted((tmp_path / "backups" / workspace.id / "packs").iterdir())
    pack.write_bytes(b"")
    with pytest.raises(Corrupt):
        restored(workspace, tmp_path / "b", objects_url="s3://lepton/failed")
    assert bucket.find("lepton/failed", refresh=True) == []
    assert not (tmp_path / "b").exists()
