"""Files at addresses: a real web server and a real S3 server on loopback."""

import gzip
import re
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import urlsplit

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from lepton_ai.core.errors import (
    AccessDenied,
    InvalidInput,
    LeptonError,
    NotFound,
    Unavailable,
)
from lepton_ai.data.read_table import read_table
from lepton_ai.data.readers import web
from lepton_ai.data.readers.address import without_secrets
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
    S3FileSystem.clear_instance_cache()
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


ROWS = b"a,b\n" + b"".join(b"%d,x%d\n" % (n, n * n) for n in range(5000))
PACKED = gzip.compress(ROWS)


class Faulty(BaseHTTPRequestHandler):
    """Answers by the name of the file: status, headers, and what is sent before it hangs up."""

    answers: ClassVar[dict[str, tuple[int, dict[str, str], bytes]]] = {
        "good": (200, {}, ROWS),
        "packed": (200, {"content-encoding": "gzip"}, PACKED),
        "packed-cut": (200, {"content-encoding": "gzip"}, PACKED[:-2000]),
        "packed-not": (200, {"content-encoding": "gzip"}, ROWS),
        "packed-odd": (200, {"content-encoding": "br"}, ROWS),
        "cut": (200, {"content-length": str(len(ROWS))}, ROWS[:9000]),
        "cut-chunk": (200, {"transfer-encoding": "chunked"}, b"4\r\na,b\n\r\n4\r\n1,x\n\r\n"),
        "part": (206, {}, ROWS[:9000]),
        "page": (200, {"content-type": "text/html; charset=utf-8"}, b"<html>Log in</html>"),
        "moved": (302, {"location": "/good.csv"}, b""),
        "to-file": (302, {"location": "file://localhost/etc/passwd"}, b""),
        "loop": (302, {"location": "/loop.csv"}, b""),
        "broken": (500, {}, b""),
        "gone": (410, {}, b""),
        "busy": (503, {"retry-after": "0"}, b""),
        "refused": (401, {}, b""),
    }
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name = urlsplit(self.path).path[1:].removesuffix(".csv")
        self.seen.append(self.path)
        if name == "soon":
            name = "good" if self.seen.count(self.path) > 2 else "busy"
        if name == "locked":
            name = "good" if self.headers["authorization"] == "Basic bWU6aGlkZGVu" else "refused"
        status, headers, body = self.answers[name]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[str]:
    Faulty.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["good", "packed", "moved", "soon", "locked"])
def test_what_comes_whole_is_read(faulty: str, name: str, workspace: Workspace) -> None:
    assert len(read_table(f"http://me:hidden@{faulty}/{name}.csv", name="a")) == 5000


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("packed-cut", Unavailable, "ended before"),
        ("packed-not", Unavailable, "Not a gzipped file"),
        ("packed-odd", Unavailable, "'br'"),
        ("cut", Unavailable, "more expected"),
        ("cut-chunk", Unavailable, "IncompleteRead"),
        ("part", Unavailable, "206"),
        ("page", InvalidInput, "a page of HTML"),
        ("to-file", Unavailable, "scheme file"),
        ("loop", Unavailable, "too many redirects"),
        ("broken", Unavailable, "500"),
        ("busy", Unavailable, "503"),
        ("gone", NotFound, "410"),
        ("refused", AccessDenied, "401"),
    ],
)
def test_what_does_not_is_refused_in_one_line_without_secrets(
    faulty: str, name: str, error: type[Exception], said: str, workspace: Workspace
) -> None:
    with pytest.raises(error, match=re.escape(said)) as caught:
        read_table(f"http://me:hidden@{faulty}/{name}.csv?token=hidden", name="a")
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert workspace.lineage.list("dataset") == []


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hidden@[::1/a.csv",
        "http://me:hidden@host:99999/a.csv",
        "http://me:hidden@127.0.0.1:1/a.csv?token=hidden",
        "ftp://me:hidden@127.0.0.1:1/a.csv?token=hidden",
        "simplecache::http://me:hidden@127.0.0.1:1/a.csv",
        "zip://a.csv::s3://me:hidden@bucket/a.zip",
        "http://\u043f:hidden@127.0.0.1:1/a.csv",
    ],
)
def test_no_message_quotes_what_is_secret(
    url: str, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LeptonError) as caught:
        read_table(url, name="a")
    assert "hidden" not in str(caught.value) + caplog.text


def test_what_a_library_quotes_is_left_out() -> None:
    url = "github://me:hid%2Fden@repo/a.csv?token=secret"
    said = "Max retries exceeded\n with url: /repos/me/hid/den/git?token=secret"
    assert without_secrets(said, url) == ("Max retries exceeded with url: /repos/***/***/git?***")


def test_parts_of_secrets_are_left_out() -> None:
    url = "github://repo/a.csv?sig=a%2Fb&tok"
    said = without_secrets("no /a.csv?sig=a%2Fb&tok: a/b or a%2Fb was refused", url)
    assert said == "no /a.csv?***: *** or *** was refused"


def test_the_proxy_of_the_environment_is_asked(
    faulty: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{faulty}")
    assert len(read_table("http://data.invalid/good.csv", name="a")) == 5000
    assert Faulty.seen == ["http://data.invalid/good.csv"]


def test_what_comes_too_slowly_is_given_up(
    faulty: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_BYTES_A_SECOND", 1e9)
    clock = iter([0.0, *(61.0 + n for n in range(1000))])
    monkeypatch.setattr(web, "monotonic", lambda: next(clock))
    with pytest.raises(Unavailable, match="in a minute and is given up"):
        read_table(f"http://{faulty}/good.csv", name="a")
