"""Folders with traps in them: nothing outside is opened, nothing is waited for."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.folder import File, Scan, read_file, scan
from lepton_ai.data.images.dicomdir import check_references, is_dicomdir, references
from lepton_ai.data.images.elements import read_elements
from lepton_ai.data.images.failure import Unreadable
from tests.data.images.dicom_files import dicom, dicomdir


def paths(found: Scan) -> list[str]:
    return [file.path for file in found.files]


def aside(found: Scan) -> dict[str, str]:
    return {file.path: file.reason for file in found.rejected}


def test_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", "c.dcm/inside"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = scan(tmp_path)
    assert paths(found) == ["a", "b/1", "b/2", "c.dcm/inside"]
    assert found.rejected == []
    assert [read_file(file, 100).decode() for file in found.files] == paths(found)


def test_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("x")
    (tmp_path / "two").write_text("x")
    found = scan(tmp_path / "one")
    assert (found.root, paths(found)) == (tmp_path, ["one"])


def test_clutter_is_ignored(tmp_path: Path) -> None:
    for name in (".DS_Store", "__MACOSX/x", ".git/y", "Thumbs.db", "good"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = scan(tmp_path)
    assert (paths(found), found.ignored) == (["good"], 4)


def test_links(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "sub").mkdir(parents=True)
    folder.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "real").write_text("real")
    (folder / "sub").mkdir()
    for name, target in {
        "inside": "real",
        "out": outside / "secret",
        "out-by-dots": "../outside/secret",
        "out-folder": outside / "sub",
        "in-folder": "sub",
        "up": "..",
        "dangling": "nothing",
        "loop": "loop",
        "chain": "out",
    }.items():
        (folder / name).symlink_to(target)
    found = scan(folder)
    assert paths(found) == ["inside", "real"]
    assert aside(found) == {
        "out": "hostile",
        "out-by-dots": "hostile",
        "out-folder": "hostile",
        "chain": "hostile",
        "up": "hostile",
        "in-folder": "special file",
        "dangling": "special file",
        "loop": "special file",
    }
    assert read_file(found.files[0], 100) == b"real"


def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dcm")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = scan(tmp_path)
    assert found.files == []
    assert aside(found) == {"pipe.dcm": "special file", "socket": "special file"}
    with pytest.raises(InvalidInput, match="neither a folder nor a file"):
        scan(tmp_path / "pipe.dcm")


def test_a_file_that_changes_under_the_scan(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("linked", "piped", "gone", "grown"):
        place = tmp_path / name
        file = File(name, place, 4)
        if name == "linked":
            place.symlink_to(secret)
        elif name == "piped":
            os.mkfifo(place)
        elif name == "grown":
            place.write_bytes(bytes(1000))
        with pytest.raises(Unreadable) as caught:
            read_file(file, 100)
        expected = {"piped": "special file", "grown": "too large"}.get(name, "unreadable")
        assert caught.value.reason == expected


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.dcm")).write_text("x")
    found = scan(tmp_path)
    assert paths(found) == ["caf\\xe9.dcm"]
    assert read_file(found.files[0], 100) == b"x"


def test_a_folder_inside_is_left_out(tmp_path: Path) -> None:
    for name in ("keep/a", "leave/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    assert paths(scan(tmp_path, tmp_path / "leave")) == ["keep/a"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        scan(tmp_path / "nothing")


def test_index_that_leads_out_of_the_folder() -> None:
    names = [["IMG", "0001"], ["..", "..", "etc", "passwd"], ["", "etc", "passwd"], ["A", "GONE"]]
    names += [["A/../../B"], ["C:"]]
    elements = read_elements(dicomdir(*names), 2**20)
    assert is_dicomdir(elements)
    listed = references(elements)
    assert listed == [tuple(name) for name in names]
    faults = list(check_references("disc/DICOMDIR", listed, ["disc/img/0001.dcm", "disc/x"]))
    assert [(fault.path, fault.reason) for fault in faults] == [
        ("disc/DICOMDIR", "hostile"),
        ("disc/DICOMDIR", "hostile"),
        ("disc/A/GONE", "missing"),
        ("disc/DICOMDIR", "hostile"),
        ("disc/DICOMDIR", "hostile"),
    ]
    assert "../../etc/passwd" in faults[0].detail


def test_index_with_a_million_wrong_names() -> None:
    faults = list(check_references("DICOMDIR", [("..", str(n)) for n in range(5000)], []))
    assert len(faults) == 1001


def test_an_image_is_no_index() -> None:
    assert not is_dicomdir(read_elements(dicom(np.zeros((2, 2), np.uint8)), 2**20))
