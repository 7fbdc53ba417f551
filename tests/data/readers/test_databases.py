"""Databases by their URL: SQLite and a real PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_ai.core.errors import InvalidInput, MissingExtra, NotFound
from lepton_ai.data.read_table import read_table
from lepton_ai.data.readers import database as module
from lepton_ai.data.readers.database import Answer, Wider
from lepton_ai.storage import Workspace
from tests.postgres import database, server


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as started, database(started) as url:
        yield url


def fill(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'sales.db'}"
    fill(url, "create table t (id integer, v, name text)")
    return url


def test_types_of_postgresql(postgres: str, workspace: Workspace) -> None:
    fill(
        postgres,
        "create table visits (id bigint, code uuid, cost numeric(12,3), seen timestamptz, day date,"
        " facts jsonb, codes int[], raw bytea, took interval, host inet, huge numeric)",
        "insert into visits values (1, '00000000-0000-0000-0000-000000000007', 12.345,"
        " '2026-03-29 02:30:00+01', '2026-03-29', '{\"a\": {\"b\": 1}}', '{1,2}', '\\x00ff',"
        " '90 s', '10.0.0.1', 12345678901234567890123456789),"
        " (2, null, null, '2026-10-25 02:30:00+02', null, null, null, null, null, null, null)",
    )
    plain = sa.make_url(postgres).set(drivername="postgresql")
    url = plain.render_as_string(hide_password=False)
    table = read_table(url, query="select * from visits where '10%' <> ':x' order by id", name="v")
    first, second = table.to_polars().rows()
    assert first[:5] == (
        1, "00000000-0000-0000-0000-000000000007", Decimal("12.345"),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC), date(2026, 3, 29),
    )  # fmt: skip
    assert first[5:] == (
        {"a": {"b": 1}}, [1, 2], b"\x00\xff", timedelta(seconds=90), "10.0.0.1",
        Decimal("12345678901234567890123456789"),
    )  # fmt: skip
    assert second[3] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for query, words in (
        ("select", "every column needs a name"),
        ("selec 1", "syntax"),
        ("select 1/0", "division"),
    ):
        with pytest.raises(InvalidInput, match=words):
            read_table(url, query=query, name="x")


def test_rows_come_in_batches_whose_types_widen(
    sqlite: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS", 3)
    fill(sqlite, *(f"insert into t values ({n}, null, null)" for n in range(4)),
         "insert into t values (4, 7, 'x')", f"insert into t values (5, 2.5, '{'y' * 9}')",
         "insert into t values (6, 9, null)")  # fmt: skip
    table = read_table(sqlite, query="select * from t order by id", name="t")
    assert table.to_polars()["v"].to_list() == [None, None, None, None, 7.0, 2.5, 9.0]
    fill(sqlite, "insert into t values (7, 'text', null)")
    with pytest.raises(InvalidInput, match="'v' mixes"):
        read_table(sqlite, query="select * from t order by id", name="t")
    assert read_table(sqlite, query="select id from t where id > 99", name="none").to_polars(
    ).height == 0  # fmt: skip


def test_what_cannot_be_asked(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(NotFound, match=r"there is no database .*none\.db"):
        read_table(f"sqlite:///{tmp_path / 'none.db'}", query="select 1", name="x")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(MissingExtra, match="driver 'pymysql': install it yourself"):
        read_table("mysql+pymysql://u:secret@127.0.0.1:1/x", query="select 1", name="x")
    with pytest.raises(InvalidInput) as caught:
        read_table("postgresql://u:secret@127.0.0.1:1/x", query="select 1", name="x")
    assert "secret" not in str(caught.value)


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(VALUES, st.none() | st.floats(allow_nan=False), st.none() | st.binary()),
        min_size=1, max_size=9,
    )
)  # fmt: skip
def test_rows_come_back(
    rows: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("db") / "x.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (a integer, b real, c blob)")
        connection.exec_driver_sql("insert into t values (?, ?, ?)", rows)
    answer = Answer(f"sqlite:///{path}", "select * from t order by rowid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", 2)
        while True:
            try:
                found = pl.concat([*answer])
            except Wider:
                continue
            break
    assert found.rows() == rows


@pytest.mark.parametrize(
    "query", ["drop table t", "delete from t", "insert into t values (1, 2, 3)"]
)
def test_a_query_changes_nothing(query: str, sqlite: str) -> None:
    fill(sqlite, "insert into t values (1, 2, 'x')")
    with pytest.raises(InvalidInput, match="readonly"):
        list(Answer(sqlite, query))
    assert [frame.height for frame in Answer(sqlite, "select * from t")] == [1]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@127.0.0.1:port/clinic",
        "postgresql://u:hidden@127.0.0.1:1/clinic?password=hidden",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        list(Answer(url, "select 1"))
    assert "hidden" not in str(caught.value)
