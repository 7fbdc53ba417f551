import datetime as dt
import json
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound, Unavailable
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.read_table import read_table
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.security.grants import grant, list_grants, revoke
from lepton_ai.security.policy import Principal
from lepton_ai.security.principal import acting_as, current_principal
from lepton_ai.storage import Workspace

PATIENTS = pl.DataFrame(
    {"id": [1, 2, 3], "name": ["Ada", "Bo", None], "age": [31, 45, 60], "ward": ["a", "b", "a"]}
)


@pytest.fixture
def patients(workspace: Workspace) -> Table:
    return read_table(PATIENTS, name="hospital.patients")


def test_joins_versions_tags_and_branches(patients: Table) -> None:
    patients.tag("gold")
    newer = patients.append({"id": [4], "age": [10], "ward": ["b"]})
    newer.branch("work").delete("id = 1")
    read_table({"ward": ["a", "b"], "floor": [1, 2]}, name="wards")
    answer = sql(
        "select floor, count(*) as n, avg(age) as age from hospital.patients "
        "join wards using (ward) group by floor order by floor"
    )
    assert answer.rows.rows() == [(1, 2, 45.5), (2, 2, 27.5)]
    assert answer.sources == ["hospital.patients:2", "wards:1"]
    for name, rows in (("patients:1", 3), ("patients@gold", 3), ("patients#work", 3)):
        counted = sql(f'select count(*) from hospital."{name}"').rows.item()
        assert counted == rows
    assert sql("select ? + 1", [41]).rows.item() == 42
    kept = sql("select ward, sum(age) as age from hospital.patients group by ward").save("ages")
    parents = {node.ref for _, node in kept.workspace.lineage.parents(kept.dataset.id)}
    assert parents == {"hospital.patients:2"}


def test_the_same_rows_as_polars(workspace: Workspace, datasets: Path) -> None:
    credit = read_table(next((datasets / "finance/german_credit").glob("*.arff")), name="credit")
    frame = credit.to_polars()
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    column = numbers[0]
    found = sql(f'select sum("{column}") as s, count(*) as n from credit where "{column}" > 20')
    mine = frame.filter(pl.col(column) > 20).select(s=pl.sum(column), n=pl.len())
    assert_frame_equal(found.rows, mine, check_dtypes=False)


def test_a_wide_table_is_not_read_whole(patients: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    from lepton_ai.data.tables.scan import Scan

    asked = []
    whole = Scan.frames

    def frames(self, columns, where=None):
        asked.append(list(columns))
        return whole(self, columns, where)

    monkeypatch.setattr(Scan, "frames", frames)
    assert sql("select max(age) from hospital.patients").rows.item() == 60
    assert asked == [["age"]]


@pytest.mark.parametrize(
    "attack",
    [
        "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'",
        "select * from read_text('/etc/passwd')", "select * from glob('/*')",
        "copy (select 1) to '/tmp/x.csv'", "attach '/tmp/x.db'", "install httpfs", "load icu",
        "set memory_limit='1TB'", "pragma database_list", "create table t as select 1",
        "insert into hospital.patients values (1)", "select 1; drop table x",
        "call pragma_version()",
        "select getenv('HOME')", "import database '/tmp'", "", "delete from hospital.patients",
        "select * from _1", "export database '/tmp/x'", "select * from patients_frame",
        "set x = 1",
        "select * from duckdb_settings()", "select * from duckdb_databases()",
        "select * from duckdb_secrets()", "select * from duckdb_temporary_files()",
        "select * from read_blob('/etc/*')", "select * from read_json('/etc/passwd')",
        "select * from read_parquet('/x')", "select * from sniff_csv('/etc/passwd')",
        "select * from parquet_metadata('/x')", "select * from read_duckdb('/x')",
        "select * from query('select 1')", "select * from query_table('lepton_source_0')",
        "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "select * from lepton_source_0", "select * from checkpoint()", "select write_log('x')",
        "select current_setting('secret_directory')", "select getvariable('x')",
        "select (select count(*) from glob('/*'))", "from '/etc/passwd'",
        "select * from range(3) where exists (from read_text('/etc/passwd'))",
        "with x as (select * from read_text('/etc/passwd')) select * from x",
        "explain analyze copy (select 1) to '/tmp/x.csv'", "describe '/etc/passwd'",
        "select * from information_schema.tables", "select * from pg_catalog.pg_settings",
        "select * from secret_frame", "vacuum", "checkpoint", "reset memory_limit",
        "prepare x as select 1", "use memory", "begin", "select * from pragma_user_agent()",
        "select * from (with pg_settings as (select 1) from pg_settings) a, pg_settings b",
        "select * from (with duckdb_logs as (select 1) from duckdb_logs), duckdb_logs",
        "with x as (from pg_settings), pg_settings as (select 1) select * from x",
        "select json_serialize_plan('select current_setting(''memory_limit'')', optimize := true)",
        "with x as (insert into t values (1) returning *) select * from x",
        "with x as (delete from hospital.patients returning *) select * from x",
        "with x as (copy (select 1) to '/tmp/x.csv') select * from x",
        "show tables", "from (show databases)", "show pg_settings", "update extensions",
        "select '\ud800'", "select " + "[" * 500 + "1" + "]" * 500,
    ],
)  # fmt: skip
def test_it_only_reads_and_only_datasets(
    patients: Table, attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    secret_frame = pl.DataFrame({"a": [1]})
    assert secret_frame.height
    with pytest.raises((InvalidInput, NotFound)):
        sql(attack)
    assert [path.name for path in tmp_path.iterdir()] == ["lepton-home"]


def test_what_makes_rows_of_its_own_is_allowed(patients: Table) -> None:
    assert sql("select sum(range) from range(4)").rows.item() == 6
    assert sql("select unnest([1, 2]) as n").rows["n"].to_list() == [1, 2]
    assert "SCAN" in repr(sql("explain select age from hospital.patients").rows.to_dicts())
    assert sql("describe hospital.patients").rows["column_name"].to_list() == PATIENTS.columns
    assert sql("select 1 as a, 2 as a, 3 as a").rows.columns == ["a", "a_1", "a_2"]


def test_what_a_query_makes_itself_is_found_as_sql_finds_names(patients: Table) -> None:
    for query in (
        "with Old as (select * from hospital.patients where age > 40) select count(*) from old",
        "with a as (select 1 as n), b as (from a union all from a) select count(*) from b",
        "with recursive t(n) as (select 1 union all select n + 1 from T where n < 2) "
        "select count(*) from t",
        "with o as (select id from hospital.patients) "
        "select count(*) from hospital.patients where id in (select id + 1 from o)",
    ):
        assert sql(query).rows.item() == 2


def test_durations_come_back_and_times_are_in_utc(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    start = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    stays = pl.DataFrame(
        {
            "start": [start, start, None],
            "end": [start + dt.timedelta(days=40, microseconds=3), start, start],
            "wait": [dt.timedelta(hours=-1), None, dt.timedelta(0)],
        }
    )
    read_table(stays, name="stays")
    assert_frame_equal(sql("from stays").rows, stays)
    answer = sql('select "end" - start as stay, hour(start) as hour from stays')
    assert_frame_equal(
        answer.rows,
        stays.select(stay=pl.col("end") - pl.col("start"), hour=pl.col("start").dt.hour()),
        check_dtypes=False,
    )
    assert answer.save("kept").to_polars()["stay"].to_list()[0] == dt.timedelta(40, 0, 3)
    assert sql('select "end" - start as stay from stays where false').rows.schema == {
        "stay": pl.Duration("us")
    }


@pytest.mark.parametrize(
    "value",
    [
        "'101'::bit", "340282366920938463463374607431768211455::uhugeint", "1::bignum",
        "1::variant", "union_value(a := 1)", "timetz '12:00:00+01'", "[interval 1 day]",
        "{'a': map {'b': interval 1 day}}", "[interval 1 day]::interval[1]", "interval 1 month",
    ],
)  # fmt: skip
def test_types_that_no_frame_holds_are_refused(workspace: Workspace, value: str) -> None:
    with pytest.raises(InvalidInput, match="'v' is"):
        assert sql(f"select {value} as v").rows.height
    assert sql(f"select cast({value} as varchar) as v").rows.height == 1


def test_csv_of_lists_is_refused(workspace: Workspace) -> None:
    from click.testing import CliRunner

    from lepton_ai.apps.cli.sql import sql as command

    told = CliRunner().invoke(command, ["select 1 as n, [1, 2] as numbers", "--csv"])
    assert isinstance(told.exception, InvalidInput)
    assert "['numbers']" in str(told.exception)


def test_an_answer_is_printed_as_it_is(workspace: Workspace) -> None:
    from click.testing import CliRunner

    from lepton_ai.apps.cli.sql import sql as command

    def told(values: str, *flags: str) -> str:
        return (
            CliRunner().invoke(command, [f"select {values}", *flags], catch_exceptions=False).stdout
        )

    assert told("1e-9 as small, 1e300 as large, 0.5 as half").split()[3:] == [
        "1e-09", "1e+300", "0.5"
    ]  # fmt: skip
    assert "1, 2" in told("[1, 2] as n")
    assert "20000-01-01" in told("date '20000-01-01' as far")
    moments = (
        "timestamp_ns '2024-03-31 02:30:00.123456789' as at, timestamptz '2024-01-01 05:00+05' as z"
    )
    assert "2024-03-31 02:30:00.123456789" in told(moments)
    (row,) = json.loads(told(moments, "--json"))
    assert row == {"at": "2024-03-31T02:30:00.123456789", "z": "2024-01-01T00:00:00Z"}
    whole = "(select sum(range) from range(5)) as s, (2::hugeint ** 126)::hugeint + 1 as h"
    (row,) = json.loads(told(whole, "--json"))
    assert row == {"s": 10, "h": str(2**126 + 1)}
    assert told("interval 3 hour as stay", "--csv") == "stay\nPT3H\n"
    assert told("'\\xff'::blob as scan", "--csv") == "scan\n/w==\n"
    refused = CliRunner().invoke(command, ["select 1", "--limit", "-1"])
    assert refused.exit_code == 2


def test_rows_come_as_they_are_read_and_go_as_they_come(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lepton_ai.data import sql as module

    read_table({"n": range(500_000)}, name="numbers")
    sizes: list[int] = []
    store = module.tables.store_table

    def watched(*args: Any, **options: Any) -> Any:
        def passing(frames: Any) -> Any:
            for frame in frames:
                sizes.append(frame.height)
                yield frame

        return store(*args[:2], passing(args[2]), **options)

    monkeypatch.setattr(module.tables, "store_table", watched)
    answer = sql("select n, n * 2 as m from numbers order by n")
    assert sum(batch.num_rows for batch in answer.batches()) == 500_000
    kept = answer.save("doubled")
    assert len(sizes) > 3
    assert max(sizes) < 200_000
    assert len(kept) == 500_000
    assert kept.scan(where="n = 77").collect()["m"].to_list() == [154]
    assert answer.rows["m"].sum() == 500_000 * 499_999
    none = sql("select n, 'x' as word from numbers where n < 0").save("none")
    assert none.columns == ["n", "word"]
    assert len(none) == 0
    # A query reads the versions that it found, even when it runs again.
    answer = sql("select count(*) as n from numbers")
    assert answer.rows.item() == 500_000
    read_table({"n": [1]}, name="numbers")
    again = sql('select count(*) as n from "numbers:1"')
    assert [b["n"].to_pylist() for b in again.batches()] == [[500_000]]
    assert [b["n"].to_pylist() for b in again.batches()] == [[500_000]]


def test_more_than_the_memory_is_refused_and_nothing_is_spilled(
    patients: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=100 * 2**20))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="more memory than half"):
        sql("select i, hash(i) as h from range(20000000) t(i) order by h")
    assert [path.name for path in tmp_path.iterdir()] == ["lepton-home"]


ENDLESS = """
from lepton_ai.data.sql import sql
print("begun", flush=True)
sql("select count(*) from range(100000000000) a, range(10000000) b")
"""


def test_a_person_may_stop_a_query(patients: Table) -> None:
    # As Ctrl-C does, in the middle of the work.
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_errors_say_what_is_wrong(patients: Table) -> None:
    with pytest.raises(NotFound, match=r"there are hospital\.patients"):
        sql("select * from patient")
    for name in ("temp.rows", "Memory.rows", "information_schema.tables", "a.b.rows"):
        read_table({"n": [1]}, name=name)
        with pytest.raises(InvalidInput, match=f'in double quotes: "{name}"'):
            sql(f"select n from {name}")
        assert sql(f'select n from "{name}"').rows.item() == 1
    with pytest.raises(InvalidInput, match="agge"):
        sql("select agge from hospital.patients")
    with pytest.raises(Unavailable, match="longer than"):
        sql("select count(*) from range(100000000000) a, range(10000000) b", timeout=0.2)


DOORS = {
    "to_polars": lambda t: t.to_polars()["name"].to_list(),
    "to_pandas": lambda t: t.to_pandas()["name"].fillna("-").to_list(),
    "to_arrow": lambda t: t.to_arrow()["name"].to_pylist(),
    "scan": lambda t: t.scan(["name"]).collect()["name"].to_list(),
    "filter": lambda t: t.scan(where="name = 'Ada'").collect()["name"].to_list(),
    "lazy filter": lambda t: t.scan().filter(pl.col("name") == "Ada").collect()["name"].to_list(),
    "batches": lambda t: [n for b in t.batches() for n in b["name"].to_pylist()],
    "getitem": lambda t: t["name"].tolist(),
    "columns": lambda t: t[["name"]].to_polars()["name"].to_list(),
    "rows": lambda t: t[:2].to_polars()["name"].to_list(),
    "summary": lambda t: t.summary()["name"].to_list(),
    "sql": lambda t: sql("select name from hospital.patients").rows["name"].to_list(),
    "sql where": lambda t: sql("select id from hospital.patients where name = 'Ada'").rows.rows(),
    "html": lambda t: [t._repr_html_()],
    "version": lambda t: t.at(1).to_polars()["name"].to_list(),
    "pickled": lambda t: pickle.loads(pickle.dumps(t)).to_polars()["name"].to_list(),
}


@pytest.mark.parametrize(
    ("door", "derived"),
    [(door, False) for door in DOORS] + [(door, True) for door in DOORS if door != "version"],
)
def test_no_door_shows_what_is_masked(
    patients: Table, workspace: Workspace, door: str, derived: bool
) -> None:
    tags = {"name": ColumnEntry(tags=("personal",))}
    change_entry(workspace, "hospital.patients", lambda _: Entry(columns=tags))
    if derived:
        sql("select * from hospital.patients").save("copy")
    name = "copy" if derived and "sql" not in door else "hospital.patients"

    def opened() -> Table:
        from lepton_ai.data.catalog import open_dataset

        table = open_dataset(name)
        assert isinstance(table, Table)
        return table

    with acting_as("analyst"):
        shown = repr(DOORS[door](opened()))
        assert "Ada" not in shown
        assert "Bo'" not in shown
        if "where" not in door and "filter" not in door:
            assert "***" in shown
        restricted = opened()
    # What was opened inside stays restricted outside, also in threads that read for it.
    assert "Ada" not in repr(DOORS["scan"](restricted))
    assert "Ada" in repr(opened().to_polars())


def test_grants_open_columns_and_end(patients: Table, workspace: Workspace) -> None:
    tags = {"name": ColumnEntry(tags=("personal",)), "age": ColumnEntry(tags=("secret",))}
    change_entry(workspace, "hospital.patients", lambda _: Entry(columns=tags))
    from datetime import UTC, datetime

    from lepton_ai.data.catalog import open_dataset

    def names(someone: str) -> list[str]:
        with acting_as(someone):
            return open_dataset("hospital.patients").to_polars(["name"])["name"].to_list()

    assert names("ada") == ["***", "***", None]
    grant(workspace, "ada", "personal", "hospital.patients")
    assert names("ada") == ["Ada", "Bo", None]
    assert names("eve") == ["***", "***", None]
    with acting_as("ada"), pytest.raises(AccessDenied, match="lepton access grant ada secret"):
        open_dataset("hospital.patients").to_polars()
    grant(workspace, "ada", "personal", "hospital.patients", until=datetime(2020, 1, 1, tzinfo=UTC))
    assert names("ada") == ["***", "***", None]
    grant(workspace, "ada", "personal")
    assert revoke(workspace, "ada", "personal")
    assert names("ada") == ["***", "***", None] or len(list_grants(workspace)) == 1
    with acting_as(Principal("ada")):
        assert current_principal().name == "ada"
        for forbidden in (
            lambda: grant(workspace, "ada", "personal"),
            lambda: revoke(workspace, "eve", "personal"),
            lambda: change_entry(workspace, "hospital.patients", lambda _: Entry()),
        ):
            with pytest.raises(AccessDenied, match="ask the owner"):
                forbidden()
    assert current_principal().name == "owner"


def test_a_grant_cannot_be_forged(workspace: Workspace) -> None:
    import sqlalchemy as sa

    from lepton_ai.core.errors import Corrupt
    from lepton_ai.storage.schema import grants

    grant(workspace, "ada", "personal", "a")
    with workspace.database.write() as connection:
        connection.execute(sa.update(grants).values(scope="*"))
    with pytest.raises(Corrupt, match="was altered"):
        list_grants(workspace)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('SELECT * FROM "patients:9"', "no dataset patients:9; there are versions 1"),
        ('SELECT * FROM "patients@gold"', "no dataset patients@gold; there are versions 1"),
        ("SELECT * FROM patients:1", 'between double quotes: "patients:1"'),
        ("SELECT * FROM patients p JOIN patients@gold g USING (id)", '"patients@gold"'),
    ],
)
def test_a_version_that_is_not_there_or_not_quoted(
    workspace: Workspace, query: str, said: str
) -> None:
    read_table({"id": [1]}, name="patients")
    with pytest.raises((NotFound, InvalidInput)) as raised:
        sql(query, workspace=workspace)
    assert said in str(raised.value)
