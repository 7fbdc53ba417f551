import pickle
from pathlib import Path

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
    ],
)  # fmt: skip
def test_it_only_reads_and_only_datasets(patients: Table, attack: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        sql(attack)


def test_errors_say_what_is_wrong(patients: Table) -> None:
    with pytest.raises(NotFound, match=r"there are hospital\.patients"):
        sql("select * from patient")
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
