"""`lepton data` and `lepton access`, as they are typed."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.apps.cli.main import lepton
from lepton_ai.apps.cli.output import size
from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.apps.cli.train import train
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.read import read_images
from lepton_ai.serving import process
from lepton_ai.storage import Workspace


def run(*words: object) -> str:
    done = CliRunner().invoke(lepton, [*map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture
def people(tmp_path: Path, workspace: Workspace) -> str:
    (tmp_path / "people.csv").write_text("id,name,age\n1,Ada,31\n2,Bo,44\n")
    (tmp_path / "more.csv").write_text("id,name,age\n3,Cy,20\n")
    (tmp_path / "repaired.csv").write_text("id,name,age\n2,Bobby,45\n4,Di,50\n")
    run("data", "import", tmp_path / "people.csv", "--name", "hospital.people")
    return "hospital.people"


def test_what_is_text_in_a_table_stays_as_it_is_written(
    workspace: Workspace, tmp_path: Path
) -> None:
    for number, code in enumerate(["A1", "1.10", "7", "0081", "2024-01-05", "true"]):
        (tmp_path / f"{number}.csv").write_text(f"code,n\n{code},1\n")
    run("data", "import", tmp_path / "0.csv", "--name", "codes")
    for number in range(1, 6):
        run("data", "append", "codes", tmp_path / f"{number}.csv")
    said = run("data", "upsert", "codes", tmp_path / "1.csv", "--on", "code")
    assert said.startswith("codes:7: 1 replaced, 0 added")
    codes = open_dataset("codes").to_polars()["code"].to_list()  # type: ignore[union-attr]
    assert sorted(codes) == ["0081", "1.10", "2024-01-05", "7", "A1", "true"]


def test_a_table_changes_by_commands(people: str, tmp_path: Path) -> None:
    assert run("data", "append", people, tmp_path / "more.csv") == f"{people}:2: 3 rows\n"
    said = run("data", "upsert", people, tmp_path / "repaired.csv", "--on", "id")
    assert said == f"{people}:3: 1 replaced, 1 added, 4 rows\n"
    assert (
        run("data", "delete", people, "--where", "age < 25") == f"{people}:4: 1 removed, 3 rows\n"
    )
    # Every file that rows came from is in the lineage of the version that they are in.
    place = Workspace.open()
    origins = place.lineage.ancestors(open_dataset(f"{people}:3", place).dataset.id)
    sources = {link.parent for link in origins}
    names = {Path(node.facts["path"]).name for node in place.lineage.nodes(sources).values()
             if node.kind == "source"}  # fmt: skip
    assert names == {"people.csv", "more.csv", "repaired.csv"}
    run("data", "branch", people, "work")
    run("data", "delete", f"{people}#work", "--where", "id = 1")
    assert f"{people}:5: merged" in run("data", "merge", f"{people}#work")
    run("data", "tag", f"{people}:3", "whole")
    rows = json.loads(run("data", "history", people, "--json"))
    assert [row["operation"] for row in rows] == ["create", "append", "upsert", "delete", "merge"]
    assert [row["rows"] for row in rows] == [2, 3, 4, 3, 2]
    assert rows[2]["tags"] == ["whole"]
    assert rows == json.loads(run("data", "ls", people, "--json"))
    (listed,) = json.loads(run("data", "ls", "--json"))
    assert (listed["named"], listed["branches"]) == ({"whole": 3}, ["work"])
    shown = run("data", "show", people)
    assert f"versions: 5, whole is {people}:3" in shown
    assert "branches: work" in shown
    assert "people.csv" in shown


def test_a_dataset_is_described(people: str) -> None:
    run("data", "describe", people, "--owner", "ward 3", "--text", "All seen", "--tag", "clinic")
    about = ("--column", "age", "--unit", "years", "--text", "when admitted")
    run("data", "describe", people, *about, "--column-tag", "quasi", "--column-tag", "personal")
    run("data", "describe", people, "--column", "age", "--column-untag", "quasi")
    entry = json.loads(run("data", "describe", people, "--untag", "clinic", "--json"))
    assert entry == {
        "owner": "ward 3",
        "description": "All seen",
        "columns": {"age": {"description": "when admitted", "unit": "years", "tags": ["personal"]}},
    }
    assert "years" in run("data", "show", people)
    assert "All seen" in run("data", "ls", "--search", "seen", "--tag", "personal")
    assert "No such dataset" in run("data", "ls", "--tag", "nothing")
    for wrong in (("--column-tag", "personal"), ("--unit", "m"), ("--column", "agge")):
        with pytest.raises(InvalidInput):
            run("data", "describe", people, *wrong)


def test_columns_of_images_are_described_too(tmp_path: Path, workspace: Workspace) -> None:
    write_phantoms(tmp_path / "scans", count=2)
    read_images(tmp_path / "scans")
    run("data", "describe", "scans", "--column", "patient", "--column-tag", "personal")
    with pytest.raises(InvalidInput, match="no column 'pateint'"):
        run("data", "describe", "scans", "--column", "pateint", "--column-tag", "personal")
    shown = json.loads(run("data", "show", "scans", "--json"))
    assert shown["columns"][0]["tags"] == ["personal"]


def test_access_is_granted_until_a_day(people: str) -> None:
    run("data", "describe", people, "--column", "name", "--column-tag", "personal")
    ask = ("sql", f"select name from {people}", "--as", "ada", "--json")
    assert {row["name"] for row in json.loads(run(*ask))} == {"***"}
    assert "until 2099-01-01" in run("access", "grant", "ada", "personal", "--until", "2099-01-01")
    assert {row["name"] for row in json.loads(run(*ask))} == {"Ada", "Bo"}
    run("access", "grant", "ada", "personal", "--until", "2020-01-01")
    assert {row["name"] for row in json.loads(run(*ask))} == {"***"}
    with pytest.raises(NotFound, match="lepton data ls"):
        run("access", "grant", "ada", "personal", "--dataset", "hospital.peopel")


def test_a_plain_table_is_for_other_tools(
    people: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sql", f"select * from {people}", "--save", "open.people", "--plain")
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    metadata = max((workspace.home / "tables" / "open").rglob("*.metadata.json"))
    assert pl.scan_iceberg(str(metadata)).collect().height == 2
    with pytest.raises(InvalidInput, match="--save NAME --plain"):
        run("sql", "select 1", "--plain")


def test_sizes_are_read_by_people() -> None:
    assert [size(n) for n in (0, 999, 1000, 999_999, 1_500_000, 2 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.0 MB", "1.5 MB", "2,000.0 TB",
    ]  # fmt: skip


def test_changes_answer_in_json(people: str, tmp_path: Path) -> None:
    def answer(*words: object) -> object:
        return json.loads(run(*words, "--json"))

    more = answer("data", "append", people, tmp_path / "more.csv")
    assert more == {"dataset": f"{people}:2", "rows": 3}
    repaired = answer("data", "upsert", people, tmp_path / "repaired.csv", "--on", "id")
    assert repaired == {"dataset": f"{people}:3", "replaced": 1, "added": 1, "rows": 4}
    fewer = answer("data", "delete", people, "--where", "id = 4")
    assert fewer == {"dataset": f"{people}:4", "removed": 1, "rows": 3}
    assert answer("data", "tag", people, "good") == {"dataset": f"{people}:4", "tag": "good"}
    granted = answer("access", "grant", "ann", "personal")
    assert granted == {"principal": "ann", "tag": "personal", "dataset": "*", "until": None}
    hidden = answer("privacy", "protect", people, "hidden", "--mask", "name")
    assert hidden == {"dataset": "hidden:1", "rows": 3, "columns": ["id", "name", "age"]}
    dropped = answer("data", "drop", "hidden", "--yes")
    assert isinstance(dropped, dict)
    assert dropped["dataset"] == "hidden"


def test_a_pull_and_an_empty_log_say_what_is_next(workspace: Workspace) -> None:
    assert "Next: lepton train wine --target" in run("data", "pull", "wine")
    done = CliRunner().invoke(lepton, ["logs"])
    assert done.output == "The server has logged nothing yet; start it with: lepton up\n"


def test_a_test_size_is_a_share_or_a_count() -> None:
    size = next(option for option in train.params if option.name == "test_size")
    assert [size.type.convert(text, None, None) for text in ("0.2", "30")] == [0.2, 30]
    assert isinstance(size.type.convert("30", None, None), int)


def test_a_folder_of_tables_says_how_they_become_tables(people: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "people.csv").rename(folder / "people.csv")
    assert f"lepton data import {folder}/people.csv" in run("data", "import", folder)


def test_a_port_that_was_taken_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = process.ServerStatus(True, 1, "http://127.0.0.1:4711", "", [], [])
    monkeypatch.setattr(process, "up", lambda _: away)
    done = CliRunner().invoke(lepton, ["up"])
    assert done.stderr.startswith("The server is not at port 8421: that was taken")
