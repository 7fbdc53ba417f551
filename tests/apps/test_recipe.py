"""`lepton recipe`, and a recipe in front of `lepton train`."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import LeptonError, NotFound
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace


def run(*words: object) -> str:
    done = CliRunner().invoke(lepton, [*map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(autouse=True)
def table(workspace: Workspace) -> None:
    rows = [
        {"age": None if n % 9 == 0 else float(20 + n % 50), "ward": [" a", "b"][n % 2],
         "ill": ["no", "yes"][n % 50 > 25]}
        for n in range(80)
    ]  # fmt: skip
    read_table(pl.DataFrame(rows), name="visits")


def test_proposed_shown_run_and_trained_with(tmp_path: Path) -> None:
    assert run("recipe", "ls").startswith("no recipe yet")
    said = run("recipe", "propose", "visits", "--target", "ill", "--save", "tidy")
    assert "because ward holds stray blanks" in said
    assert "lepton train visits --target ill --recipe tidy" in said
    picture = tmp_path / "tidy.svg"
    assert "Recipe of" in run("recipe", "show", "tidy", "--picture", picture)
    assert picture.read_text().startswith("<svg")
    ran = run("recipe", "run", "tidy", "visits")
    assert "fitted" in ran
    assert "visits_clean:1: " in ran
    facts = json.loads(run("recipe", "run", "tidy", "visits", "--name", "other", "--json"))
    assert facts["dataset"] == "other:1"
    assert facts["counts"][-1] == facts["rows"]
    listed = json.loads(run("recipe", "ls", "--json"))
    assert {(row["recipe"], row["fitted"]) for row in listed} == {
        ("tidy:1", False), ("visits_clean:1", True), ("other:1", True),
    }  # fmt: skip
    steps = json.loads(run("recipe", "show", "other", "--json"))["steps"]
    assert "tidy" in {step["step"] for step in steps}
    trained = run("train", "visits", "--target", "ill", "--recipe", "tidy", "--model", "knn")
    assert trained.startswith("Model visits:1")


def editor(folder: Path, change: str) -> str:
    """An editor that changes one thing, as $EDITOR names it."""
    script = folder / "editor.sh"
    script.write_text(f'#!/bin/sh\nsed -i "{change}" "$1"\n')
    script.chmod(0o755)
    return str(script)


def test_edited_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("recipe", "propose", "visits", "--save", "tidy")
    run("recipe", "run", "tidy", "visits")
    monkeypatch.setenv("EDITOR", editor(tmp_path, "s/columns: .age./&\\n  method: mean/"))
    assert "fill gaps (mean): age" in run("recipe", "edit", "visits_clean")
    # What was learned went with the edit, and is learned again.
    assert "fitted" not in run("recipe", "show", "visits_clean")
    written = run("recipe", "show", "visits_clean", "--yaml")
    assert "because: ward holds stray blanks" in written
    Path("mine.yaml").write_text(written.replace("mean", "median"))
    assert "kept as mine:1" in run("recipe", "save", "mine", "mine.yaml")
    assert "fill gaps (median): age" in run("recipe", "show", "mine")
    monkeypatch.setenv("EDITOR", editor(tmp_path, "s/impute/impude/"))
    # What was typed is not lost where it is wrong.
    Path("mine.yaml").unlink()
    with pytest.raises(LeptonError, match=r"'impude' is no step.* lies in mine\.yaml"):
        run("recipe", "edit", "mine")
    assert "impude" in Path("mine.yaml").read_text()
    monkeypatch.setenv("EDITOR", "true")
    assert "nothing was changed" in run("recipe", "edit", "mine")


def test_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        run("recipe", "show", "nothing")
    with pytest.raises(LeptonError, match="is no column"):
        run("recipe", "propose", "visits", "--target", "nothing")
    run("recipe", "propose", "visits", "--save", "r")
    with pytest.raises(LeptonError, match="name of its own"):
        run("recipe", "run", "r", "visits", "--name", "visits")
