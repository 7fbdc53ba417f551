"""Files at addresses: a real web server and a real S3 server on loopback."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from lepton_ai.core.errors import InvalidInput, NotFound, Unavailable
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    FRAME.write_csv(tmp_path / "web" / "rows.csv")
    FRAME.write_parquet(tmp_path / "web" / "rows.parquet")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_over_http(address: str, workspace: Workspace) -> None:
    for name in ("rows.csv", "rows.parquet"):
        assert read_table(f"{address}/{name}", name="rows").to_polars().equals(FRAME)
    table = read_table(f"{address}/rows.csv")
    assert table.name == "rows"
    (source, *_) = (
        n for role, n in workspace.lineage.parents(table.dataset.id) if role == "source"
    )
    assert source.facts["size"] > 0
    with pytest.raises(NotFound, match="there is no file at"):
        read_table(f"{address}/none.csv")
    with pytest.raises(Unavailable, match="does not answer"):
        read_table("http://127.0.0.1:1/rows.csv")
    with pytest.raises(InvalidInput, match="no address"):
        read_table("nonsense://x/rows.csv")


def test_from_s3(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        FRAME.write_csv(tmp_path / "rows.csv")
        client.upload_file(str(tmp_path / "rows.csv"), "data", "in/rows.csv")
        assert read_table("s3://data/in/rows.csv").to_polars().equals(FRAME)
        with pytest.raises(NotFound):
            read_table("s3://data/in/none.csv")
    finally:
        server.stop()


class Broken(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)


def test_a_token_is_in_no_message(workspace: Workspace) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(Unavailable, match="500") as caught:
            read_table(f"http://127.0.0.1:{server.server_port}/rows.csv?token=hidden", name="a")
        assert "hidden" not in str(caught.value)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
