"""Backups in S3: a real client against a real server (moto) on loopback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession
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
from lepton_ai.storage.backup.destination import Destination
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


def test_no_request_is_made_twice(workspace: Workspace, client: BaseClient, url: str) -> None:
    """At 300 ms a request, what is asked for nothing is what a person waits for."""
    for _ in range(5):
        with workspace.transaction() as tx:
            tx.node("source", "s", holds=tx.put_many([os.urandom(100) for _ in range(20)])[0])
    for _ in range(3):
        create_backup(workspace, url)
    with requests() as asked:
        create_backup(workspace, url)
    # What is half there, the place's mark, three folders, the bucket, the snapshot and its proof.
    assert len(asked) <= 9
    with requests() as asked:
        assert [*verify_backup(workspace, url)] == []
    assert sum("/packs/" in one for one in asked) == 5
    assert sum("/snapshots/backup_" in one for one in asked) == 3


@contextmanager
def requests() -> Iterator[list[str]]:
    """Collect the addresses that S3 is asked for."""
    asked: list[str] = []
    send = AIOHTTPSession.send

    async def noted(self: AIOHTTPSession, request: Any) -> Any:
        asked.append(request.url)
        return await send(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AIOHTTPSession, "send", noted)
        yield asked


def test_uploads_that_were_broken_off_are_given_up(
    workspace: Workspace, client: BaseClient, url: str
) -> None:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    other = client.create_multipart_upload(Bucket=bucket, Key="of/somebody/else")["UploadId"]
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{workspace.id}/snapshots/x")
    create_backup(workspace, url)
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["UploadId"] for upload in left] == [other]
    client.abort_multipart_upload(Bucket=bucket, Key="of/somebody/else", UploadId=other)


def test_what_the_destination_does_not_show_is_no_backup(
    workspace: Workspace, client: BaseClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace)
    monkeypatch.setattr(Destination, "_upload", lambda self, path, chunks: sum(map(len, chunks)))
    with pytest.raises(Unavailable, match=r"packs/pack_.*shows 0 of its"):
        create_backup(workspace, url)
