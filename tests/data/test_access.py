"""What a principal without a grant sees, by ways that are easily forgotten."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lepton_ai.compute.local import ProcessEngine, ThreadEngine
from lepton_ai.core.errors import AccessDenied
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.images.read import read_images
from lepton_ai.data.listing import catalog, datasets
from lepton_ai.data.privacy.anonymity import anonymise, measure_anonymity
from lepton_ai.data.privacy.budget import budget_of, set_budget
from lepton_ai.data.privacy.differential import PrivateTable
from lepton_ai.data.quality import NotNull, Unique, check_table, quarantine, set_rules
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    Derive,
    Join,
    OneHot,
    Recipe,
    Rename,
    open_recipe,
    run_recipe,
    save_recipe,
)
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.security.grants import grant
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from tests.data.images.dicom_files import dicom

PEOPLE = pl.DataFrame({"id": [1, 2, 3], "name": ["Ada", "Bo", None], "age": [31, 45, 60]})


def tagged(workspace: Workspace, dataset: str, **tags: str) -> None:
    columns = {column: ColumnEntry(tags=(tag,)) for column, tag in tags.items()}
    change_entry(workspace, dataset, lambda _: Entry(columns=columns))


def table(name: str) -> Table:
    opened = open_dataset(name)
    assert isinstance(opened, Table)
    return opened


@pytest.fixture
def scans(tmp_path: Path, workspace: Workspace) -> ImageSet:
    for number in range(4):
        folder = tmp_path / "scans" / f"Tereshchenko-{number // 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((4, 5), number, dtype=np.uint16)
        made = dicom(pixels, PatientID=folder.name, SeriesInstanceUID=f"1.2.{number}")
        (folder / f"{number}.dcm").write_bytes(made)
    return read_images(tmp_path / "scans", workspace=workspace)


def everything(images: ImageSet) -> str:
    known = [images.entries, images.labels, images.groups, images.ids, images.folder]
    known += [images.rejected, images.classes, images[0], images[0].paths, images[0].meta]
    known += [repr(images), images.summary(), images[:2].entries, sql("select * from scans").rows]
    with pl.Config(tbl_cols=-1, fmt_str_lengths=1000):
        return " ".join(map(repr, known))


def test_image_sets_are_masked_at_every_door(workspace: Workspace, scans: ImageSet) -> None:
    assert everything(scans).count("Tereshchenko") > 10
    tagged(workspace, "scans", patient="personal", parts="personal", label="personal")
    with acting_as("analyst"):
        seen = open_dataset("scans")
        assert isinstance(seen, ImageSet)
        assert "Tereshchenko" not in everything(seen)
        assert "***" in everything(seen)
        rows = sql('select patient, "group" as g, shape from scans').rows
        assert set(rows["patient"]) == set(rows["g"]) == {"***"}
        assert rows["shape"].null_count() == 0
        np.testing.assert_array_equal(seen[0].array, scans[0].array)
        kept = sql("select * from scans").save("copy")
        assert "Tereshchenko" not in repr(kept.to_polars().to_dicts())
    # What was opened inside stays masked outside.
    assert "Tereshchenko" not in repr(seen.entries)
    assert "Tereshchenko" not in repr(seen[1:].entries)
    grant(workspace, "analyst", "personal", "scans")
    with acting_as("analyst"):
        assert "Tereshchenko" in everything(open_dataset("scans"))


@pytest.mark.parametrize(("column", "tag"), [("patient", "secret"), ("pixels", "personal")])
def test_image_sets_are_refused(
    workspace: Workspace, scans: ImageSet, column: str, tag: str
) -> None:
    tagged(workspace, "scans", **{column: tag})
    with acting_as("analyst"):
        for door in (lambda: open_dataset("scans"), lambda: sql("select shape from scans")):
            with pytest.raises(AccessDenied, match="analyst may not"):
                door()


def test_a_selection_keeps_its_principal(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    with acting_as("analyst"):
        opened = table("people")
    derived = {
        "columns": lambda: opened[["name"]].to_polars(),
        "rows": lambda: opened[:2].to_polars(),
        "column": lambda: opened["name"],
        "version": lambda: opened.at(1).to_polars(),
        "changed": lambda: opened.append({"id": [9]}).to_polars(),
        "batches": lambda: [part.to_pylist() for part in opened.batches(["name"])],
    }
    with ThreadPoolExecutor(1) as pool:
        for door in derived.values():
            assert "Ada" not in repr(pool.submit(door).result())
            assert "Ada" not in repr(door())


def test_a_secret_column_leaves_the_others_readable(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="secret")
    with acting_as("analyst"):
        assert sql("select sum(age) from people").rows.item() == 136
        assert table("people").scan(["age"]).collect().height == 3
        for door in (
            lambda: sql("select name from people"),
            lambda: sql("select age from people where name = 'Ada'"),
            lambda: sql("select * from people"),
            lambda: table("people").to_polars(),
            lambda: table("people").scan(["age"], "name = 'Ada'").collect(),
            lambda: list(table("people").batches(["age"], "name = 'Ada'")),
        ):
            with pytest.raises(AccessDenied, match="lepton access grant analyst secret"):
                door()


def test_types_tell_nothing_of_masked_values(workspace: Workspace) -> None:
    wards = pl.Enum(["Hospice", "Psychiatry"])
    frame = pl.DataFrame({"id": [1, 2], "ward": pl.Series(["Hospice", None], dtype=wards)})
    nested = frame.with_columns(wards=pl.concat_list("ward"))
    read_table(nested, name="stays")
    tagged(workspace, "stays", ward="sensitive", wards="sensitive")
    with acting_as("analyst"):
        seen = table("stays")
        ways = [seen.to_polars(), seen.scan().collect(), seen[:0].to_polars(), seen.scan().head(0)]
        said = [
            repr(seen),
            seen.schema,
            seen.to_arrow().schema,
            *[w.collect_schema() for w in ways],
        ]
        said += [ways, datasets(), catalog(), sql("select * from stays").rows.schema]
        assert "Hospice" not in repr(said)
        assert seen.to_polars()["ward"].to_list() == ["***", None]
    assert table("stays").to_polars()["ward"].dtype == wards
    assert "Hospice" in repr(catalog())


def test_answers_of_masked_values_are_refused_not_made_up(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people")
    set_budget(workspace, "people", 1.0)
    tagged(workspace, "people", name="personal", age="sensitive")
    with acting_as("analyst"):
        opened = table("people")
    asked = {
        "mean": lambda: PrivateTable(opened).mean("age", (0, 120), epsilon=0.1),
        "histogram": lambda: PrivateTable(opened).histogram("name", ["Ada"], epsilon=0.1),
        "people": lambda: PrivateTable(opened, "name").count(epsilon=0.1),
        "measured": lambda: measure_anonymity(opened, ["age"]),
        "made": lambda: anonymise(opened, ["id"], sensitive=["name"], k=2),
        "checked": lambda: check_table(opened, [NotNull(column="name")]),
    }
    for door in asked.values():
        with pytest.raises(AccessDenied, match="analyst may not"):
            door()
    budget = budget_of(workspace, "people")
    assert budget is not None
    assert budget.spent == 0
    assert PrivateTable(opened).count(epsilon=0.1).epsilon == 0.1


def test_changes_tell_nothing_of_masked_values(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    with acting_as("analyst"):
        people = table("people")
        for attack in (
            lambda: people.delete("name = 'Ada'"),
            lambda: people.delete("id = 1 and cast(name as int) > 0"),
            lambda: people.overwrite({"id": [1]}, where="name = 'Ada'"),
            lambda: people.upsert({"name": ["Ada"], "id": [1]}, on="name"),
            lambda: people.evolve(rename={"name": "word"}),
            lambda: people.evolve(drop=["name"]),
        ):
            with pytest.raises(AccessDenied):
                attack()
        assert people.delete("id = 3").version == 2


def test_what_is_masked_is_not_written_over(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people", workspace=workspace)
    tagged(workspace, "people", name="personal")
    with acting_as("analyst"):
        seen = table("people")
        copy = seen.to_polars()
        for change in (
            lambda: seen.overwrite(copy),
            lambda: seen.overwrite(copy[:1], "age > 40"),
            lambda: seen.upsert(copy, on="id"),
        ):
            with pytest.raises(AccessDenied, match="replace rows"):
                change()
        grown = seen.append({"id": [4], "name": ["Cy"], "age": [20]})
        assert grown.to_polars()["name"].to_list() == ["***", "***", None, "***"]
    names = table("people").to_polars()["name"]
    assert names.to_list() == ["Ada", "Bo", None, "Cy"]


def test_tags_follow_a_column_that_is_renamed(workspace: Workspace) -> None:
    people = read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    people.evolve(rename={"name": "called"}).branch("work")
    with acting_as("analyst"):
        for ref in ("people", "people:1", "people#work"):
            assert "Ada" not in repr(table(ref).to_polars().rows())
    # The other way round: the older version has the column under the older name.
    tagged(workspace, "people", called="personal")
    with acting_as("analyst"):
        for ref in ("people", "people:1"):
            assert "Ada" not in repr(table(ref).to_polars().rows())


def test_rows_that_were_kept_aside_are_masked_too(workspace: Workspace) -> None:
    tags = {"name": ColumnEntry(tags=("personal",))}
    set_rules(workspace, "people", [NotNull(column="age"), Unique(key=("name",))])
    change_entry(workspace, "people", lambda e: Entry(columns=tags, rules=e.rules))
    read_table({"id": [1, 2], "name": ["Ada", "Bo"], "age": [None, 3]}, name="people")
    kept = quarantine("people")
    assert kept is not None
    assert "Ada" in repr(kept.to_polars().rows())
    with acting_as("analyst"):
        assert "Ada" not in repr(table("people.quarantine").to_polars().rows())
        assert "Ada" not in repr(sql('select * from people."quarantine"').rows.rows())
        # Rules are measured on what is there, not on what the principal sees of it.
        table("people").append({"id": [3], "name": ["Bo"], "age": [4]})
    assert table("people").to_polars()["name"].to_list() == ["Bo"]
    assert len(table("people.quarantine")) == 2
    grant(workspace, "analyst", "personal", "people")
    with acting_as("analyst"):
        assert "Ada" in repr(table("people.quarantine").to_polars().rows())


@pytest.mark.parametrize(
    "query",
    [
        "select id, name as who from people",
        "select upper(name) as id from people",
        "select string_agg(name, ' ') as all_of_them from people",
        "with x as (select * from people) select a.name || '!' as z from x a join x b using (id)",
        "select p from people p",
        "select columns('na.*') from people",
        "select * from (select name as age, id from people)",
    ],
)
def test_tags_follow_what_a_query_computes(workspace: Workspace, query: str) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    kept = sql(query).save("kept")
    assert "ada" in repr(kept.to_polars().rows()).lower()
    kept.append(kept.to_polars()).branch("more")
    sql('select * from "kept#more"').save("again")
    with acting_as("analyst"):
        for ref in ("kept", "kept:1", "kept#more", "again"):
            assert "ada" not in repr(table(ref).to_polars().rows()).lower()


def test_equal_rows_from_other_columns_are_another_version(workspace: Workspace) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    read_table({"who": PEOPLE["name"].to_list()}, name="words")
    assert sql("select name as who from people").save("words").version == 2
    assert sql("select name as who from people").save("words").version == 2
    with acting_as("analyst"):
        assert set(table("words").to_polars()["who"]) == {"***", None}


def test_what_a_query_does_not_tell_is_not_masked(workspace: Workspace) -> None:
    people = read_table(PEOPLE, name="people")
    people.evolve(rename={"name": "called"})
    tagged(workspace, "people", name="personal")
    sql("select id as name, count(*) as n from people where called is not null group by id").save(
        "counts"
    )
    sql("select called as c from people").save("words")
    with acting_as("analyst"):
        assert sorted(table("counts").to_polars().rows()) == [(1, 1), (2, 1)]
        assert set(table("words").to_polars()["c"]) == {"***", None}


def test_tags_follow_what_a_recipe_computes(workspace: Workspace) -> None:
    read_table(PEOPLE.drop_nulls(), name="people")
    read_table({"id": [1, 2], "lab": [7.5, 8.5], "ward": ["a", "b"]}, name="labs")
    tagged(workspace, "people", name="personal")
    tagged(workspace, "labs", lab="sensitive")
    expected = [
        (Rename(names={"name": "id", "id": "name"}), {"id"}),
        (Derive(columns={"twice": "age * 2", "same": "name"}), {"name", "same"}),
        (OneHot(columns=("name",)), {"name=Ada", "name=Bo"}),
        (Aggregate(by=("age",), values={"n": "count(name)", "m": "max(id)"}), {"n"}),
        (Join(table="labs", on=("id",), prefix="l_"), {"name", "l_lab"}),
    ]
    for place, (step, hidden) in enumerate(expected):
        made = run_recipe(Recipe.of(step), "people", f"made{place}")
        with acting_as("analyst"):
            seen = table(made.name).to_polars()
            clear = [c for c in seen.columns if not {None, "***"}.intersection(seen[c])]
        assert set(made.columns) - set(clear) == hidden, step


def test_what_a_recipe_learned_is_for_who_may_see_it(workspace: Workspace) -> None:
    people = read_table(PEOPLE.drop_nulls(), name="people")
    save_recipe("coded", Recipe.of(OneHot(columns=("name",))).fit(people), trained_on=people)
    save_recipe("part", Recipe.of(OneHot(columns=("name",))).fit(people), trained_on=people[:1])
    save_recipe("twice", Recipe.of(Derive(columns={"b": "age * 2"})).fit(people), trained_on=people)
    save_recipe("draft", Recipe.of(OneHot(columns=("name",))))
    tagged(workspace, "people", name="personal")
    with acting_as("analyst"):
        assert not open_recipe("draft").fitted
        assert len(open_recipe("twice")) == 1
        for ref in ("coded", "part"):
            with pytest.raises(AccessDenied, match="see what"):
                open_recipe(ref)
    grant(workspace, "analyst", "personal")
    with acting_as("analyst"):
        assert "Ada" in open_recipe("coded").to_json().decode()


def test_files_left_out_tell_nothing_of_masked_values(workspace: Workspace) -> None:
    people = read_table(PEOPLE, name="people")
    people.append({"id": [4], "name": ["Zed"], "age": [20]})
    tagged(workspace, "people", name="personal", age="secret")
    assert len([*table("people").frames(["id"], "name = 'Zed'")]) == 1
    with acting_as("analyst"):
        assert len([*table("people").frames(["id"], "name = 'Zed'")]) == 2
        # A masked column beside it does not keep a condition from leaving files out.
        assert len([*table("people").frames(["name"], "id = 4")]) == 1
        with pytest.raises(AccessDenied):
            list(table("people").frames(["id"], "age = 20"))


def test_rejected_lines_hold_what_the_columns_hold(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "people.csv").write_text("id,name\n1,Bo\n2,Ada,more\n")
    read_table(tmp_path / "people.csv", rejects="keep")
    tagged(workspace, "people", name="personal")
    assert "Ada" in repr(table("people.rejected").to_polars().rows())
    with acting_as("analyst"):
        assert table("people.rejected").to_polars().rows() == [(3, "***", "***")]


@pytest.mark.parametrize("kind", [ThreadEngine, ProcessEngine])
def test_tasks_act_as_whoever_asked_for_them(
    workspace: Workspace, kind: type[ThreadEngine | ProcessEngine]
) -> None:
    read_table(PEOPLE, name="people")
    tagged(workspace, "people", name="personal")
    with kind(1) as engine:
        with acting_as("analyst"):
            asked = engine.submit(names_in, "people")
            limited = engine.submit(names_in, "people", timeout=60)
        assert asked.result() == limited.result() == ["***", "***", None]
        assert engine.submit(names_in, "people").result() == ["Ada", "Bo", None]


def names_in(ref: str) -> list[str | None]:
    return table(ref).to_polars()["name"].to_list()
