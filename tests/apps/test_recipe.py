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
    assert "because ward hold stray blanks" in said
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


def test_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        run("recipe", "show", "nothing")
    with pytest.raises(LeptonError, match="is no column"):
        run("recipe", "propose", "visits", "--target", "nothing")
    run("recipe", "propose", "visits", "--save", "r")
    with pytest.raises(LeptonError, match="name of its own"):
        run("recipe", "run", "r", "visits", "--name", "visits")
