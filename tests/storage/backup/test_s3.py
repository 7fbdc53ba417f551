"""Backups in S3: a real client against a real server (moto) on loopback."""

from pathlib import Path

import pytest
from botocore.client import BaseClient

from lepton_ai.core.errors import NotFound, Unavailable
from lepton_ai.storage import Workspace
from lepton_ai.storage.backup import (
    create_backup,
    list_backups,
    prune_backups,
    restore_backup,
    verify_backup,
)
from tests.storage.backup.test_backup import content, fill


@pytest.fixture
def url(workspace: Workspace) -> str:
    return f"s3://lepton/backups-{workspace.database.dialect}"


def names(client: BaseClient, url: str) -> set[str]:
    found = client.list_objects_v2(Bucket="lepton", Prefix=url.removeprefix("s3://lepton/")).get(
        "Contents", []
    )
    return {entry["Key"] for entry in found}


def test_incremental_proved_restored_pruned(
    workspace: Workspace, client: BaseClient, url: str, tmp_path: Path
) -> None:
    fill(workspace)
    first = create_backup(workspace, url)
    fill(workspace, 5, 2)
    before = content(workspace)
    second = create_backup(workspace, url)
    assert second.copied < first.copied
    assert [info.id for info in list_backups(url)] == [first.id, second.id]
    assert [*verify_backup(workspace, url)] == []
    restored = restore_backup(url, tmp_path / "restored", key_file=workspace.home / "keys.json")
    after = content(restored)
    # The backup itself is recorded before the moment that it is of.
    before["tables"]["backups"] = after["tables"]["backups"]
    assert after == before
    restored.close()
    kept = names(client, url)
    prune_backups(workspace, url, keep=1)
    assert names(client, url) < kept
    assert [info.id for info in list_backups(url)] == [second.id]
    # A byte that was altered there is found.
    (pack, *_) = sorted(key for key in names(client, url) if "/packs/" in key)
    body = bytearray(client.get_object(Bucket="lepton", Key=pack)["Body"].read())
    body[len(body) // 2] ^= 1
    client.put_object(Bucket="lepton", Key=pack, Body=bytes(body))
    assert [fault.kind for fault in verify_backup(workspace, url)] == ["altered"]


def test_what_does_not_answer_says_so(workspace: Workspace, client: BaseClient, url: str) -> None:
    with pytest.raises(Unavailable, match="nobucket"):
        create_backup(workspace, "s3://nobucket/x")
    with pytest.raises(NotFound, match="holds no backup"):
        list_backups(url + "/elsewhere")
