"""`lepton privacy`."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace


def run(*words: object) -> str:
    done = CliRunner().invoke(lepton, [*map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(autouse=True)
def table(workspace: Workspace) -> None:
    frame = pl.DataFrame(
        {
            "mail": [f"p{n}@x.org" for n in range(60)],
            "age": [20 + n % 40 for n in range(60)],
            "sex": ["f", "m"] * 30,
            "ill": ["yes", "no", "no"] * 20,
        }
    )
    read_table(frame, name="people")


def test_scan_protect_anonymise_ask(tmp_path: Path) -> None:
    found = json.loads(run("privacy", "scan", "people", "--json"))
    assert [row["column"] for row in found] == ["mail", "age", "sex"]
    assert "tagged in people: mail, age, sex" in run("privacy", "scan", "people", "--tag")
    entry = json.loads(run("data", "describe", "people", "--json"))
    assert entry["columns"]["mail"]["tags"] == ["personal"]
    words = ("--token", "mail", "--band", "age=10")
    assert "shared:1, 60 rows" in run("privacy", "protect", "people", "shared", *words)
    quasi = ("--quasi", "age", "--quasi", "sex")
    measured = json.loads(run("privacy", "anonymity", "people", *quasi, "--json"))
    assert measured["k"] == 1
    said = run("privacy", "anonymise", "people", "safe", *quasi, "--k", "5")
    assert "after: 60 rows" in said
    again = json.loads(run("privacy", "anonymity", "safe", *quasi, "--json"))
    assert again["k"] >= 5
    with pytest.raises(InvalidInput, match="no budget"):
        run("privacy", "budget", "people")
    assert "1 of epsilon 1 left" in run("privacy", "budget", "people", "--set", "1")
    ask = ("privacy", "query", "people")
    asked = json.loads(run(*ask, "count", "--epsilon", "0.5", "--json"))
    assert abs(asked["value"] - 60) < 60
    said = run(*ask, "mean", "age", "--epsilon", "0.25", "--bounds", "0", "120")
    assert "left of people's budget: 0.25" in said
    assert json.loads(run("privacy", "budget", "people", "--json"))["answers"] == 2
    for words in (("mean", "age"), ("sum",), ("histogram", "sex")):
        with pytest.raises(InvalidInput):
            run(*ask, *words, "--epsilon", "0.1")
    for words in ((), ("--band", "age"), ("--band", "age=x")):
        with pytest.raises(InvalidInput):
            run("privacy", "protect", "people", "other", *words)
