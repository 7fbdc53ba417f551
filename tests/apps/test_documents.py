"""`lepton data import` of a folder that holds no images, or is kept as documents all the same."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.data_import import import_
from lepton_ai.apps.cli.data_show import show
from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.storage import Workspace


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "letters"
    (folder / "old").mkdir(parents=True)
    (folder / "a.txt").write_text("a letter")
    (folder / "old" / "b.pdf").write_bytes(b"%PDF-1.4")
    (folder / "out").symlink_to("/etc/passwd")
    return folder


def run(*arguments: str) -> str:
    command = {"import": import_, "show": show}[arguments[0]]
    outcome = CliRunner().invoke(command, arguments[1:])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_a_folder_of_files(letters: Path, workspace: Workspace) -> None:
    said = run("import", str(letters), "--label", "folder")
    assert "letters:1: 2 documents" in said
    assert "1 application/pdf" in said
    assert "hostile" in said
    facts = json.loads(run("show", "letters", "--json"))
    assert facts["media_types"] == {"text/plain": 1, "application/pdf": 1}
    assert [one["path"] for one in facts["rejected"]] == ["out"]
    assert (facts["format"], facts["count"]) == ("documents", 2)


def test_images_are_images_unless_said_otherwise(tmp_path: Path, workspace: Workspace) -> None:
    write_phantoms(tmp_path / "scans", count=4)
    assert json.loads(run("import", str(tmp_path / "scans"), "--json"))["format"] == "images"
    kept = run("import", str(tmp_path / "scans"), "--documents", "--name", "files", "--json")
    assert json.loads(kept)["format"] == "documents"
    for number, path in enumerate(sorted((tmp_path / "scans").rglob("*.*"))):
        path.rename(path.with_name(f"{number}"))
    nameless = run("import", str(tmp_path / "scans"), "--name", "nameless", "--json")
    assert json.loads(nameless)["format"] == "images"
