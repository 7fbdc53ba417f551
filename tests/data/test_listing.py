"""One listing of all that the workspace holds, and the versions of each."""

from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from lepton_ai.apps.cli.phantoms import write_phantoms
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.documents.read import import_documents
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.images.read import read_images
from lepton_ai.data.listing import Column, catalog
from lepton_ai.data.read_table import read_table
from lepton_ai.data.sql import sql
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace


@pytest.fixture
def held(tmp_path: Path, workspace: Workspace) -> Workspace:
    (tmp_path / "people.csv").write_text("id,name\n1,Ada\n2,Bo\n")
    people = read_table(tmp_path / "people.csv", name="hospital.people")
    people.append({"id": [3], "name": ["Cy"]}).tag("gold")
    people.branch("work").delete("id = 1")
    columns = {"name": ColumnEntry("as in the passport", tags=("personal",))}
    said = Entry("ward 3", "Everybody who was seen", ("clinic",), columns)
    change_entry(workspace, "hospital.people", lambda _: said)
    write_phantoms(tmp_path / "scans", count=4)
    read_images(tmp_path / "scans")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("a letter")
    import_documents(tmp_path / "letters")
    sql("select name as who from hospital.people").save("hospital.copies.words")
    return workspace


def test_tables_images_and_documents_in_one_listing(held: Workspace, tmp_path: Path) -> None:
    words, people, letters, scans = catalog(held)
    assert [words.format, people.format, letters.format, scans.format] == [
        "table", "table", "documents", "images",
    ]  # fmt: skip
    assert (people.name, people.namespace) == ("hospital.people", "hospital")
    assert (people.version, people.versions, people.count) == (2, 2, 3)
    assert (people.owner, people.tags) == ("ward 3", ("clinic",))
    assert people.columns == (
        Column("id", "Int64", "", "", ()),
        Column("name", "String", "", "as in the passport", ("personal",)),
    )
    assert (people.branches, people.named) == (("work",), {"gold": 2})
    assert people.made_from == (str(tmp_path / "people.csv"),)
    assert people.used_by == (f"{words.name}:1",)
    # What was computed from a column has its tags.
    assert words.columns == (Column("who", "String", "", "", ("personal",)),)
    assert words.made_from == ("hospital.people:2",)
    assert (letters.count, letters.size) == (1, len("a letter"))
    pictures = sum(path.stat().st_size for path in (tmp_path / "scans").rglob("*.dcm"))
    assert scans.count == 4
    assert scans.size > pictures
    assert scans.made_from[-1] == "and 1 more files"
    assert people.created_at < people.changed_at


def test_what_a_listing_leaves_out(held: Workspace) -> None:
    def names(**wanted: str) -> list[str]:
        return [one.name for one in catalog(held, **wanted)]

    assert names(name="scans") == ["scans"]
    assert names(namespace="hospital") == ["hospital.copies.words", "hospital.people"]
    assert names(namespace="hospital.copies") == ["hospital.copies.words"]
    assert names(namespace="hosp") == []
    assert names(tag="personal") == ["hospital.copies.words", "hospital.people"]
    assert names(tag="clinic", search="PASSPORT") == ["hospital.people"]
    assert names(search="letter") == ["letters"]
    with pytest.raises(NotFound, match="lepton data ls"):
        catalog(held, name="nothing")
    with pytest.raises(InvalidInput, match="leave it out"):
        catalog(held, search=" ")


def test_paths_are_for_the_owner(held: Workspace) -> None:
    with acting_as("analyst"):
        assert catalog(held, name="hospital.people")[0].made_from == ()
        assert catalog(held, name="hospital.copies.words")[0].made_from == ("hospital.people:2",)


def test_every_dataset_has_its_history(held: Workspace) -> None:
    people = open_dataset("hospital.people").history()
    assert people["operation"].to_list() == ["create", "append"]
    assert people["tags"].to_list() == [[], ["gold"]]
    for name in ("scans", "letters"):
        known = open_dataset(name)
        known.tag("first")
        shown = known.history().row(0, named=True)
        assert (shown["operation"], shown["tags"], shown["kept"]) == ("import", ["first"], True)
        assert shown["rows"] == len(open_dataset(f"{name}@first"))
    with pytest.raises(InvalidInput, match="tag the whole"):
        open_dataset("scans")[:2].tag("some")


def test_an_entry_without_columns_stays(held: Workspace) -> None:
    change_entry(held, "scans", lambda entry: replace(entry, description="Chests"))
    change_entry(
        held, "scans", lambda e: replace(e, columns={"patient": ColumnEntry(tags=("id",))})
    )
    (scans,) = catalog(held, name="scans")
    assert scans.columns == (Column("patient", "", "", "", ("id",)),)


def test_a_key_that_was_there_twice(workspace: Workspace) -> None:
    table = read_table(pl.DataFrame({"id": [1, 2, 2], "n": [1, 2, 3]}), name="twice")
    facts = table.upsert({"id": [2, 3], "n": [9, 9]}, on="id").dataset.facts
    assert (facts["updated"], facts["inserted"], facts["rows"]) == (1, 1, 3)
