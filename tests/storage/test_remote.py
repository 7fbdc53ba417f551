"""Objects in S3: a real client against a real server (moto) on loopback."""

import io
import multiprocessing
import os
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
import pytest
import sqlalchemy as sa
from botocore.client import BaseClient
from s3fs import S3FileSystem

from lepton_ai.core.errors import Corrupt, Unavailable
from lepton_ai.core.settings import Settings
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import packs

FORK = multiprocessing.get_context("fork")
NOW = timedelta(0)


@pytest.fixture
def settings(client: BaseClient, settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, objects_url="s3://lepton/some/prefix")


def keys(client: BaseClient, workspace: Workspace) -> list[str]:
    prefix = f"some/prefix/{workspace.id}/"
    found = client.list_objects_v2(Bucket="lepton", Prefix=prefix).get("Contents", [])
    return [entry["Key"] for entry in found]


def test_objects_lie_in_the_bucket_and_nowhere_else(
    workspace: Workspace, client: BaseClient
) -> None:
    content = os.urandom(10 * 2**20)
    with workspace.transaction() as tx:
        large = tx.put(io.BytesIO(content))
        small = tx.put(b"PATIENT^NAME")
        tx.node("dataset", "d", version=True, holds=[large, small])
    assert workspace.objects.get(large) == content
    with workspace.objects.open(large) as file:
        file.seek(5_000_000)
        assert file.read(1000) == content[5_000_000:5_001_000]
    (key,) = keys(client, workspace)
    body = client.get_object(Bucket="lepton", Key=key)["Body"].read()
    assert len(body) == 10 * 2**20 + 40 * 16 + 12 + 16
    assert b"PATIENT" not in body
    assert [*(workspace.home / "objects").iterdir()] == []
    assert [*workspace.verify()] == []


def test_a_failed_transaction_leaves_nothing_in_the_bucket(
    workspace: Workspace, client: BaseClient
) -> None:
    def fail() -> None:
        with workspace.transaction() as tx:
            tx.node("dataset", "d", version=True, holds=[tx.put(b"x")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert keys(client, workspace) == []


def test_damage_is_found(workspace: Workspace, client: BaseClient) -> None:
    address = workspace.objects.put(os.urandom(100))
    (key,) = keys(client, workspace)
    body = client.get_object(Bucket="lepton", Key=key)["Body"].read()
    pack = key.rpartition("/")[2]
    client.put_object(Bucket="lepton", Key=key, Body=body[:50] + b"?" + body[51:])
    assert [(f.kind, f.subject) for f in workspace.verify()] == [("altered", address)]
    client.put_object(Bucket="lepton", Key=key, Body=body[:-1])
    assert {(f.kind, f.subject) for f in workspace.verify()} == {
        ("truncated", pack),
        ("truncated", address),
    }
    client.put_object(Bucket="lepton", Key=key, Body=b"")
    assert {(f.kind, f.subject) for f in workspace.verify()} == {
        ("truncated", pack),
        ("truncated", address),
    }
    client.delete_object(Bucket="lepton", Key=key)
    assert [(f.kind, f.subject) for f in workspace.verify()] == [("missing", pack)]
    with pytest.raises(Corrupt, match="is missing"):
        workspace.objects.get(address)


def test_collection_rewrites_and_removes(
    workspace: Workspace, client: BaseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.transaction() as tx:
        kept = tx.put(b"kept")
        tx.put(os.urandom(1000))
        tx.node("source", "s", holds=[kept])
    with workspace.objects.open(kept) as open_before:
        assert workspace.objects.collect(NOW).rewritten == 1
        assert open_before.read() == b"kept"
    (key,) = keys(client, workspace)
    leftover = f"{key.rpartition('/')[0]}/pack_left-0000"
    client.put_object(Bucket="lepton", Key=leftover, Body=b"of a writer on another machine")
    # Its writer cannot be asked, so only age tells.
    assert workspace.objects.collect(NOW).leftovers == 0
    assert [*workspace.verify()] == []
    monkeypatch.setattr("lepton_ai.storage.remote._LEFT_OVER_AFTER", NOW - timedelta(days=1))
    assert [fault.kind for fault in workspace.verify()] == ["leftover"]
    assert workspace.objects.collect(NOW).leftovers == 1
    assert keys(client, workspace) == [key]


def _read(settings: Settings, address: str) -> None:
    assert Workspace.open(settings=settings).objects.get(address) == b"x"


def test_a_forked_child_reads_too(workspace: Workspace, settings: Settings) -> None:
    address = workspace.objects.put(b"x")
    assert workspace.objects.get(address) == b"x"
    child = FORK.Process(target=_read, args=(settings, address))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_a_bucket_that_is_not_there_is_named(workspace: Workspace, settings: Settings) -> None:
    other = msgspec.structs.replace(
        settings,
        home=settings.home.with_name("other"),
        database_url="",
        objects_url="s3://nowhere/x",
    )
    opened = Workspace.open(settings=other)
    with pytest.raises(Unavailable, match=r"s3://nowhere/x.*LEPTON_OBJECTS_URL"):
        opened.objects.put(b"x")
    assert [*(opened.home / "objects").iterdir()] == []
    opened.close()


class _Portal(BaseHTTPRequestHandler):
    """What answers in the place of a storage: a page, and yes to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        page = b"<html>Please log in</html>"
        self.send_response(200)
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass


def test_what_the_storage_does_not_show_is_not_stored(
    settings: Settings, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Portal)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(Unavailable, match=r"shows 26 of its \d+ bytes, so nothing was stored"):
            workspace.objects.put(b"x")
    finally:
        S3FileSystem.clear_instance_cache()
        server.shutdown()
        thread.join()
        server.server_close()
    with workspace.database.read() as connection:
        assert connection.execute(sa.select(packs)).all() == []
    assert [*(workspace.home / "objects").iterdir()] == []


def test_packs_are_dated_by_the_storage(workspace: Workspace) -> None:
    workspace.objects.put(b"x")
    (pack,) = workspace._backend.packs()
    with workspace._backend._filesystem() as (filesystem, root):  # type: ignore[attr-defined]
        age = datetime.now(UTC) - filesystem.modified(f"{root}/{pack.name}")
    assert timedelta(minutes=-1) < age < timedelta(minutes=1)
