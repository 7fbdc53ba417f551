"""Tables on Iceberg, also against plain PyIceberg, Polars and DuckDB."""

import datetime as dt
import multiprocessing
import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from lepton_ai.core.errors import Conflict, InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import files, objects
from tests import postgres

PATIENTS = pl.DataFrame({"id": [1, 2, 3], "city": ["Kyiv", "Oslo", None], "age": [31, 45, 60]})


def count(workspace: Workspace, table: sa.Table) -> int:
    with workspace.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_each_change_is_a_version_that_stays_readable(workspace: Workspace) -> None:
    first = read_table(PATIENTS, name="hospital.patients")
    second = first.append({"id": [4], "age": [22]})
    third = second.upsert({"id": [2, 5], "city": ["Bergen", "Rome"], "age": [46, 70]}, on="id")
    fourth = third.delete("age > 50")
    fifth = fourth.overwrite({"id": [9], "city": ["Lviv"], "age": [1]}, where="city = 'Kyiv'")
    assert [t.version for t in (first, second, third, fourth, fifth)] == [1, 2, 3, 4, 5]
    assert second.to_polars().rows() == [*PATIENTS.rows(), (4, None, 22)]
    assert sorted(third.to_polars()["id"]) == [1, 2, 3, 4, 5]
    assert third.to_polars().filter(pl.col("id") == 2).rows() == [(2, "Bergen", 46)]
    assert sorted(fourth.to_polars()["id"]) == [1, 2, 4]
    assert sorted(fifth.to_polars()["id"]) == [2, 4, 9]
    # Whatever came after, each version is as it was.
    assert_frame_equal(open_dataset("hospital.patients:1").to_polars(), PATIENTS)
    assert len(open_dataset("hospital.patients:3").to_polars()) == 5
    assert third.dataset.facts["updated"] == 1
    assert third.dataset.facts["inserted"] == 1
    assert fifth.history()["operation"].to_list() == [
        "create", "append", "upsert", "delete", "overwrite",
    ]  # fmt: skip
    parents = [(role, node.ref) for role, node in workspace.lineage.parents(fifth.dataset.id)]
    assert parents == [("previous", "hospital.patients:4")]
    assert list(workspace.verify()) == []


def test_time_travel(workspace: Workspace) -> None:
    table = read_table(PATIENTS, name="t")
    between = datetime.now(UTC)
    table.append(PATIENTS)
    assert len(table.at(between)) == 3
    assert len(table.at(datetime.now())) == 6
    assert table.at(1).ref == "t:1"
    with pytest.raises(NotFound, match="no version by"):
        table.at(between - timedelta(days=1))


@settings(max_examples=25, deadline=None)
@given(
    frame=dataframes(
        min_cols=1,
        max_cols=5,
        max_size=20,
        allowed_dtypes=[
            pl.Int8, pl.UInt16, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.Boolean, pl.String,
            pl.Date, pl.Time, pl.Binary, pl.Datetime("us"), pl.Datetime("ms", "Europe/Kyiv"),
            pl.Duration("us"), pl.List(pl.Int16),
        ],
        allow_null=True,
    )
)  # fmt: skip
def test_frames_come_back_as_they_were(
    frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    times = [name for name, kind in frame.schema.items() if kind == pl.Time]
    frame = frame.with_columns((pl.col(times).to_physical() // 1000 * 1000).cast(pl.Time))
    workspace = Workspace.open(tmp_path_factory.getbasetemp() / "types")
    table = read_table(frame, name="t", workspace=workspace)
    assert_frame_equal(table.to_polars(), frame)
    assert_frame_equal(table.scan().collect(), frame)
    assert_frame_equal(read_table(frame, name="t", workspace=workspace).to_polars(), frame)


def test_what_cannot_be_kept_is_refused(workspace: Workspace) -> None:
    fine = pl.Series([1], dtype=pl.Int64).cast(pl.Datetime("ns"))
    with pytest.raises(InvalidInput, match="finer than a microsecond"):
        read_table(pl.DataFrame({"t": fine}), name="t")
    with pytest.raises(InvalidInput, match="differ in case only"):
        read_table({"a": [1], "A": [2]}, name="t")
    table = read_table(PATIENTS, name="t")
    for wrong, words in (
        ({"id": [1], "weight": [3.0]}, "no columns \\['weight'\\].*evolve"),
        ({"id": ["one"]}, "do not fit"),
        ({"id": [1.5]}, "whole numbers"),
    ):
        with pytest.raises(InvalidInput, match=words):
            table.append(wrong)
    with pytest.raises(InvalidInput, match="comes more than once"):
        table.upsert({"id": [7, 7]}, on="id")
    with pytest.raises(InvalidInput, match="is empty"):
        table.upsert({"id": [None]}, on="id")
    with pytest.raises(InvalidInput, match="the key must be some of"):
        table.upsert({"id": [1]}, on="name")
    for where in ("age >", "weight = 3", "delete from t"):
        with pytest.raises(InvalidInput, match="condition"):
            table.delete(where)
    with pytest.raises(InvalidInput, match="a selection of t:1"):
        table[:2].append(PATIENTS)
    assert len(table.history()) == 1


def test_equal_content_makes_no_version_and_no_object(workspace: Workspace) -> None:
    first = read_table(PATIENTS, name="t")
    before = count(workspace, objects), count(workspace, files)
    assert read_table(PATIENTS, name="t").ref == first.ref
    assert (count(workspace, objects), count(workspace, files)) == before
    workspace.objects.collect(timedelta(0))
    assert (count(workspace, objects), count(workspace, files)) == before


def test_columns_change_and_older_versions_keep_theirs(workspace: Workspace) -> None:
    first = read_table(PATIENTS, name="t")
    second = first.evolve(add={"weight": pl.Float64}, rename={"city": "town"})
    # An upsert right after a change of columns is what plain PyIceberg refuses.
    third = second.upsert({"id": [1], "town": ["Odesa"], "weight": [70.5]}, on="id")
    fourth = third.evolve(drop=["age"])
    fifth = fourth.evolve(add={"age": pl.String})
    sixth = fifth.append({"id": [8], "age": ["old"]})
    assert first.to_polars().equals(PATIENTS)
    assert second.columns == ["id", "town", "age", "weight"]
    assert second.to_polars()["town"].to_list() == ["Kyiv", "Oslo", None]
    assert dict(third.to_polars().select("id", "weight").rows()) == {1: 70.5, 2: None, 3: None}
    assert fourth.columns == ["id", "town", "weight"]
    # A name that comes again is a new column: nothing of the old one shows.
    assert fifth.to_polars()["age"].to_list() == [None, None, None]
    assert sorted(sixth.to_polars()["age"].drop_nulls()) == ["old"]
    wider = read_table({"n": pl.Series([1], dtype=pl.Int32)}, name="n")
    assert wider.evolve(types={"n": pl.Int64}).to_polars().schema["n"] == pl.Int64
    with pytest.raises(InvalidInput, match="without writing its rows anew"):
        wider.evolve(types={"n": pl.Int16})
    with pytest.raises(InvalidInput, match="no columns"):
        sixth.evolve(drop=["nothing"])
    replaced = sixth.overwrite({"id": ["a"], "weight": [1]})
    assert replaced.to_polars().rows() == [("a", 1)]
    assert len(sixth.to_polars()) == 4


def test_tags_and_branches(workspace: Workspace) -> None:
    table = read_table(PATIENTS, name="t")
    table.tag("gold")
    work = table.branch("cleaning")
    assert work.ref == "t#cleaning:1"
    cleaned = work.delete("city is null")
    assert len(cleaned.to_polars()) == 2
    assert len(open_dataset("t").to_polars()) == 3
    assert len(open_dataset("t#cleaning").to_polars()) == 2
    merged = cleaned.merge()
    assert merged.ref == "t:2"
    assert_frame_equal(open_dataset("t").to_polars(), cleaned.to_polars())
    assert len(open_dataset("t@gold").to_polars()) == 3
    merged.tag("gold")
    assert open_dataset("t@gold").ref == "t:2"
    late = open_dataset("t").branch("late").append(PATIENTS)
    open_dataset("t").append(PATIENTS)
    with pytest.raises(Conflict, match="went on since"):
        late.merge()
    with pytest.raises(InvalidInput, match="already"):
        merged.branch("late")


def test_rows_keep_their_order_and_selections_their_rows(workspace: Workspace) -> None:
    table = read_table({"n": range(100)}, name="t")
    for start in range(100, 400, 100):
        table = table.append({"n": range(start, start + 100)})
    assert table.to_polars()["n"].to_list() == list(range(400))
    train, test = split_data(table, test_size=0.25, seed=1)
    assert train.node is not None
    kept = train.to_polars()
    compacted = table.compact()
    assert compacted.to_polars()["n"].to_list() == list(range(400))
    compacted.append({"n": [1000]})
    assert_frame_equal(open_dataset(train.node.id).to_polars(), kept)
    assert sorted([*kept["n"], *test.to_polars()["n"]]) == list(range(400))


def test_compaction_and_expiry_leave_no_orphan(workspace: Workspace) -> None:
    table = read_table({"n": [0]}, name="t")
    for number in range(1, 8):
        table = table.append({"n": [number]})
    table.at(3).tag("gold")
    train, _ = split_data(table.at(5), test_size=0.4, seed=0)
    compacted = table.compact()
    done = compacted.expire(keep=1)
    assert done.versions == ("t:8", "t:7", "t:6", "t:4", "t:2", "t:1")
    assert done.kept == {"t:5": f"the split {train.node.id}"} or "t:5" in done.kept
    assert done.files > 0
    for version, rows in ((3, 3), (5, 5), (9, 8)):
        assert len(table.at(version).to_polars()) == rows
    with pytest.raises(NotFound, match="were expired"):
        table.at(4).to_polars()
    workspace.objects.collect(timedelta(0))
    referenced = used(workspace, "t")
    with workspace.database.read() as connection:
        assert set(connection.scalars(sa.select(files.c.location))) == referenced
    forced = compacted.expire(keep=1, force=True)
    assert forced.versions == ("t:5",)
    assert list(workspace.verify()) == []
    assert compacted.to_polars()["n"].to_list() == list(range(8))
    assert open_dataset("t").history()["kept"].to_list() == [
        False, False, True, False, False, False, False, False, True,
    ]  # fmt: skip


def used(workspace: Workspace, name: str) -> set[str]:
    from lepton_ai.data.tables.catalog import WorkspaceCatalog
    from lepton_ai.data.tables.maintenance import used_files

    return used_files(WorkspaceCatalog(workspace).get(name))


def test_a_dropped_table_leaves_nothing(workspace: Workspace) -> None:
    from lepton_ai.data import tables
    from lepton_ai.data.quality import Range, set_rules

    set_rules(workspace, "t", [Range(column="age", high=50)])
    assert len(read_table(PATIENTS, name="t").to_polars()) == 2
    assert len(open_dataset("t.quarantine")) == 1
    assert tables.drop(workspace, "t") > 3
    assert count(workspace, files) == 0
    set_rules(workspace, "t", [])
    table = read_table(PATIENTS, name="t").append(PATIENTS)
    plain = tables.store_table(workspace, "p", [PATIENTS], encrypted=False)
    assert tables.drop(workspace, "t") > 3
    assert tables.drop(workspace, "p") > 2
    assert plain.facts["encrypted"] is False
    assert count(workspace, files) == 0
    assert [p for p in (workspace.home / "tables").rglob("*") if p.is_file()] == []
    with pytest.raises(NotFound, match="was dropped"):
        table.to_polars()
    workspace.objects.collect(timedelta(0))
    assert count(workspace, objects) == 0
    again = read_table(PATIENTS, name="t")
    assert again.version == 4
    assert len(again.to_polars()) == 3


def test_other_tools_open_a_plain_table(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import StaticTable

    from lepton_ai.data import tables
    from lepton_ai.data.tables.catalog import WorkspaceCatalog

    tables.store_table(workspace, "open.patients", [PATIENTS], encrypted=False)
    open_dataset("open.patients").append({"id": [4], "city": ["Rome"], "age": [5]})
    expected = open_dataset("open.patients").to_polars()
    where = WorkspaceCatalog(workspace).get("open.patients").metadata_location
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    ids = [1, 2, 3, 4]
    assert sorted(StaticTable.from_metadata(where).scan().to_arrow()["id"].to_pylist()) == ids
    plain = SqlCatalog("lepton", uri=f"sqlite:///{workspace.home / 'metadata.db'}")
    loaded = plain.load_table("open.patients")
    assert_frame_equal(
        pl.from_arrow(loaded.scan().to_arrow()).sort("id"), expected, check_dtypes=False
    )
    plain.close()
    assert sorted(pl.scan_iceberg(loaded).collect()["id"]) == ids
    found = [file.file_path for file in (task.file for task in loaded.scan().plan_files())]
    rows = duckdb.sql(f"select sum(age) from read_parquet({found})").fetchall()
    assert rows == [(141,)]


def test_other_tools_find_a_plain_table_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.table import StaticTable

    from lepton_ai.data import tables
    from lepton_ai.data.tables.catalog import WorkspaceCatalog

    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    workspace = Workspace.open(tmp_path / "Jörg's home, 100% new")
    for name in ("open data.été", "Пацієнти", "a?b#", "50%41"):
        word = name.removesuffix("#")
        tables.store_table(workspace, word, [PATIENTS], encrypted=False)
        where = WorkspaceCatalog(workspace).get(word).metadata_location
        assert Path(where.removeprefix("file://")).is_file()
        plain = StaticTable.from_metadata(where)
        assert sorted(pl.scan_iceberg(plain).collect()["id"]) == [1, 2, 3]
        scan = plain.scan()
        assert sorted(scan.to_arrow()["id"].to_pylist()) == [1, 2, 3]
        found = [task.file.file_path for task in scan.plan_files()]
        connection = duckdb.connect()
        rows = connection.execute("select count(*) from read_parquet(?)", [found]).fetchall()
        assert rows == [(3,)]
        assert tables.drop(workspace, word) > 2
    assert [path for path in (workspace.home / "tables").rglob("*") if path.is_file()] == []


def test_an_encrypted_table_shows_nothing_on_the_disk(workspace: Workspace) -> None:
    read_table({"name": ["Valentyna Tereshchenko"] * 3}, name="t")
    workspace.close()
    for path in workspace.home.rglob("*"):
        if path.is_file():
            assert b"Valentyna" not in path.read_bytes(), path


@pytest.mark.parametrize("rows", [1, 7])
def test_scan_reads_what_is_asked(workspace: Workspace, rows: int) -> None:
    frame = pl.DataFrame({"n": np.arange(1000), "x": np.arange(1000) / 7, "s": ["a", "b"] * 500})
    table = read_table(frame, name="t").append(frame.with_columns(pl.col("n") + 1000))
    expected = pl.concat([frame, frame.with_columns(pl.col("n") + 1000)])
    where = "n >= 990 and n < 1010 and s = 'a'"
    wanted = expected.filter(pl.col("n").is_between(990, 1009), pl.col("s") == "a")
    assert_frame_equal(table.scan(["s", "n"], where).collect(), wanted.select("s", "n"))
    assert_frame_equal(table.scan().head(3).collect(), expected.head(3))
    lazy = table.scan().filter(pl.col("n") > 1500).select(pl.col("x").sum())
    assert lazy.collect().item() == pytest.approx(expected.filter(pl.col("n") > 1500)["x"].sum())
    parts = list(table.batches(["n"], where, rows=rows))
    assert max(part.num_rows for part in parts) <= rows
    assert [n for part in parts for n in part["n"].to_pylist()] == wanted["n"].to_list()


def test_an_altered_file_is_noticed(workspace: Workspace) -> None:
    from lepton_ai.core.errors import Corrupt

    read_table({"n": np.arange(100_000)}, name="t")
    workspace.close()
    for pack in (workspace.home / "objects").glob("pack_*"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
    workspace = Workspace.open(workspace.home)
    with pytest.raises(Corrupt):
        open_dataset("t", workspace).to_polars()


PROCESSES, APPENDS = 4, int(os.environ.get("LEPTON_APPENDS", "6"))


def _append(home: Path, url: str, process: int) -> None:
    from lepton_ai.core.settings import Settings

    settings = Settings(home=home, database_url=url)
    workspace = Workspace.open(settings=settings)
    for number in range(APPENDS):
        open_dataset("t", workspace).append({"process": [process], "number": [number]})


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_processes_lose_nothing(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = ""
        if kind == "postgres":
            url = stack.enter_context(postgres.database(stack.enter_context(postgres.server())))
        _race(tmp_path, url)


def _race(tmp_path: Path, url: str) -> None:
    from lepton_ai.core.settings import Settings

    workspace = Workspace.open(settings=Settings(home=tmp_path / "home", database_url=url))
    read_table({"process": [-1], "number": [-1]}, name="t", workspace=workspace)
    context = multiprocessing.get_context("spawn")
    processes = int(os.environ.get("LEPTON_APPENDERS", PROCESSES))
    workers = [
        context.Process(target=_append, args=(tmp_path / "home", url, process))
        for process in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    rows = sorted(open_dataset("t", workspace).to_polars().rows())
    assert rows == sorted([(-1, -1), *((p, n) for p in range(processes) for n in range(APPENDS))])
    versions = open_dataset("t", workspace).history()["rows"].to_list()
    assert versions == list(range(1, processes * APPENDS + 2))
    assert list(workspace.verify()) == []
    workspace.close()


def test_changes_of_two_threads_are_made_one_after_the_other(workspace: Workspace) -> None:
    from concurrent.futures import ThreadPoolExecutor

    read_table({"id": range(10), "hits": [0] * 10}, name="t")

    def add(number: int) -> None:
        open_dataset("t", workspace).upsert({"id": [number], "hits": [1]}, on="id")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    rows = open_dataset("t").to_polars().sort("id")
    assert rows["hits"].to_list() == [1] * 8 + [0, 0]
    assert dt.datetime.now() > dt.datetime(2026, 1, 1)
