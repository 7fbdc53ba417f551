"""The same recipe on every engine in the process: Polars, pandas, Arrow, DuckDB."""

import datetime as dt
import math

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    AsOf,
    Calendar,
    DateParts,
    Deduplicate,
    Derive,
    Filter,
    Impute,
    Invalid,
    Join,
    Lag,
    Outliers,
    ParseDates,
    Recipe,
    Scale,
    TargetEncode,
    run_recipe,
    save_recipe,
)
from lepton_ai.data.recipes.steps import AnyStep
from lepton_ai.storage import Workspace
from tests.data.recipes.every_step import FRAME, START, STEPS, same


def test_every_step_is_here() -> None:
    tried = {type(step) for step in STEPS} | {Join, AsOf}
    assert tried == set(AnyStep.__args__)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{type(step).__name__}")
def test_polars_duckdb_and_pandas_agree(step: object) -> None:
    recipe = Recipe([step])
    fitted, expected = recipe.fit_apply(FRAME)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.from_arrow(FRAME.to_arrow())
        on_duckdb, done = recipe.fit_apply(relation)
        assert isinstance(done, duckdb.DuckDBPyRelation)
        same(done.pl(), expected)
        if not isinstance(step, TargetEncode):
            same(fitted.apply(relation).pl(), expected)
    assert [s.explain() for s in on_duckdb] == [s.explain() for s in fitted]
    lazily, lazy = recipe.fit_apply(FRAME.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazily.steps == fitted.steps
    same(lazy.collect(), expected)
    same(pl.from_pandas(recipe.fit_apply(FRAME.to_pandas())[1]), expected)
    arrow = recipe.fit_apply(FRAME.to_arrow())[1]
    assert isinstance(arrow, pa.Table)
    same(pl.from_arrow(arrow), expected)  # type: ignore[arg-type]
    assert Recipe.from_json(fitted.to_json()) == fitted
    # What is fitted works on no rows, and on one.
    assert fitted.apply(FRAME.head(0)).columns == expected.columns
    assert fitted.apply(FRAME.head(1)).columns == expected.columns


row = st.tuples(
    st.sampled_from(["a", "b", "Ä", None]),
    st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6, width=32)),
    st.one_of(st.none(), st.integers(-3, 3)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=1, max_size=25))
def test_engines_agree_on_any_rows(rows: list[tuple[str | None, float | None, int | None]]) -> None:
    frame = pl.DataFrame(
        [(n, *values) for n, values in enumerate(rows)],
        schema={"n": pl.Int64, "g": pl.String, "x": pl.Float64, "k": pl.Int64},
        orient="row",
    )
    recipe = Recipe(
        [
            Deduplicate(columns=("g", "k"), keep="first", order=("n",)),
            Impute(columns=("x",), method="constant", value=0.5),
            Impute(columns=("k",), method="mode"),
            Outliers(columns=("x",), method="quantile", tail=0.1),
            Scale(columns=("x",), method="minmax"),
            Lag(columns=("x",), order=("n",), by=("g",)),
            Derive(columns={"r": "x / k", "c": "x > 0.5 or k is None"}),
            Filter(where="n < 20"),
            Aggregate(
                by=("g",),
                values={"s": "sum(r)", "m": "mean(x)", "d": "std(x_lag1)", "k": "n_unique(k)"},
            ),
        ]
    )
    fitted, expected = recipe.fit_apply(frame)
    with duckdb.connect() as connection:
        again, done = recipe.fit_apply(connection.from_arrow(frame.to_arrow()))
        assert_frame_equal(
            done.pl().sort("g"), expected.sort("g"), check_dtypes=False, rel_tol=1e-6, abs_tol=1e-6
        )
    assert again.steps[2].values == fitted.steps[2].values
    through_pandas = fitted.apply(frame.to_pandas())
    assert_frame_equal(
        pl.from_pandas(through_pandas).sort("g"), expected.sort("g"), check_dtypes=False,
        rel_tol=1e-6, abs_tol=1e-6,
    )  # fmt: skip


def test_times_in_utc_need_a_connection_that_shows_them_so() -> None:
    recipe = Recipe([ParseDates(columns=("d",), formats=("%Y-%m-%d %H:%M",), zone="UTC")])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Europe/Kyiv'")
        rows = connection.sql("select '2024-01-01 10:00' as d")
        with pytest.raises(InvalidInput, match="shows them in Europe/Kyiv; set its TimeZone"):
            recipe.fit_apply(rows)


def test_parts_of_a_time_are_those_of_its_zone() -> None:
    frame = FRAME.with_columns(pl.col("t").dt.replace_time_zone("Europe/Kyiv"))
    recipe = Recipe([DateParts(column="t", parts=("month", "day", "hour"), keep=False)])
    expected = recipe.fit_apply(frame)[1]
    assert expected["t_hour"][0] == 22
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Europe/Kyiv'")
        same(recipe.fit_apply(connection.from_arrow(frame.to_arrow()))[1].pl(), expected)


@pytest.mark.parametrize("every", ["15s", "15m", "5h", "2d", "7d", "1w", "2mo", "2q", "2y"])
@pytest.mark.parametrize("zone", [None, "Europe/Kyiv"])
def test_spans_begin_alike(every: str, zone: str | None) -> None:
    times = [START + dt.timedelta(hours=31 * n) for n in range(300)]
    frame = pl.DataFrame({"t": [*times, dt.datetime(2000, 2, 28, 23, 59, 59, 999999), None]})
    if zone is not None:
        moments = pl.col("t").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        frame = frame.with_columns(moments)
    recipe = Recipe([Calendar(time="t", every=every, values={"n": "rows()"})])
    expected = recipe.fit_apply(frame)[1].sort("t")
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone or 'UTC'}'")
        done = recipe.fit_apply(connection.from_arrow(frame.to_arrow()))[1].pl().sort("t")
    assert_frame_equal(done, expected)
    if every == "1w":
        assert set(expected["t"].drop_nulls().dt.weekday()) == {1}
    for wrong in ("5mo", "7y", "2w", "1x", "0d"):
        with pytest.raises(InvalidInput, match="every"):
            Recipe([Calendar(time="t", every=wrong, values={"n": "rows()"})]).fit_apply(frame)


def test_joins_on_every_engine(workspace: Workspace) -> None:
    labs = {"id": [1, 2, None], "crp": [3.5, 7.0, 1.0], "t": [START] * 3}
    read_table(labs, name="labs")
    doses = pl.DataFrame(
        {
            "id": [1, 1, 1, 2],
            "t": [START, *[START + dt.timedelta(hours=2)] * 2, START + dt.timedelta(days=1)],
            # Of two at one time, the one stored last.
            "dose": [10.0, 15.0, 20.0, 99.0],
        }
    )
    read_table(doses, name="doses")
    visits = pl.DataFrame(
        {
            "n": [0, 1, 2, 3, 4],
            "id": [1, 1, 2, 3, None],
            "t": [START + dt.timedelta(hours=h) for h in (1, 5, 1, 1)] + [None],
        },
        schema_overrides={"t": pl.Datetime("us")},
    )
    recipe = Recipe(
        [
            Join(table="labs", on=("id",), columns=("crp",)),
            AsOf(table="doses", on="t", by=("id",), prefix="last_"),
            AsOf(table="doses", on="t", by=("id",), prefix="near_", within="2h"),
        ]
    )
    fitted, done = recipe.fit_apply(visits)
    assert done.sort("n").drop("t").rows() == [
        (0, 1, 3.5, 10.0, 10.0), (1, 1, 3.5, 20.0, None), (2, 2, 7.0, None, None),
        (3, 3, None, None, None), (4, None, None, None, None),
    ]  # fmt: skip
    with duckdb.connect() as connection:
        other = recipe.fit_apply(connection.from_arrow(visits.to_arrow()))[1]
        same(other.pl().select(done.columns), done)
    # The version that was found is the one that is joined from then on.
    assert fitted.steps[0].pinned == "labs:1"
    read_table({"id": [1], "crp": [0.0], "t": [START]}, name="labs")
    same(fitted.apply(visits), done)
    inner = Recipe([Join(table="labs:1", on=("id",), columns=("crp",), how="inner")])
    assert inner.steps[0].rows
    assert inner.fit_apply(visits)[1].height == 3


def test_joins_are_part_of_the_lineage(workspace: Workspace) -> None:
    read_table({"id": [1, 2], "crp": [3.5, 7.0]}, name="labs")
    read_table({"id": [2, 1]}, name="visits")
    done = Recipe([Join(table="labs", on=("id",))]).run("visits", name="joined")
    assert done.to_polars().sort("id").rows() == [(1, 3.5), (2, 7.0)]
    parents = {role: node.ref for role, node in workspace.lineage.parents(done.dataset.id)}
    assert parents == {"data": "visits:1", "recipe": "joined:1", "joined": "labs:1"}


def test_values_by_reference(workspace: Workspace) -> None:
    read_table({"code": ["A", "B", None]}, name="wards")
    read_table({"ward": ["A", "X", None, "B"], "n": [1, 2, 3, 4]}, name="stays")
    recipe = Recipe([Invalid(column="ward", table="wards", key="code")])
    done = recipe.run("stays", name="checked")
    assert done.to_polars().sort("n")["ward"].to_list() == ["A", None, None, "B"]
    parents = {role: node.ref for role, node in workspace.lineage.parents(done.dataset.id)}
    assert parents["joined"] == "wards:1"
    fitted = recipe.fit(pl.DataFrame({"ward": ["A"]}))
    assert fitted.steps[0].explain() == "empty values of ward not in code of wards:1"
    # What was learned stays, whatever becomes of the reference.
    read_table({"code": ["X"]}, name="wards")
    with duckdb.connect() as connection:
        rows = connection.sql("select unnest(['A', 'X']) as ward")
        assert fitted.apply(rows).fetchall() == [("A",), (None,)]
    with pytest.raises(InvalidInput, match="has no column 'ward'"):
        Recipe([Invalid(column="ward", table="wards")]).fit(pl.DataFrame({"ward": ["A"]}))
    read_table(pl.DataFrame({"ward": [None]}, schema={"ward": pl.String}), name="none")
    with pytest.raises(InvalidInput, match="lists 0 values"):
        Recipe([Invalid(column="ward", table="none")]).fit(pl.DataFrame({"ward": ["A"]}))


def test_joins_that_would_go_wrong(workspace: Workspace) -> None:
    read_table({"id": [1, 1], "x": [3.5, 7.0]}, name="labs")
    frame = pl.DataFrame({"id": [1], "x": [0]})
    for step, words in (
        (Join(table="labs", on=("id",), columns=("x",)), "already"),
        (Join(table="labs", on=("id",), prefix="l_"), "more than once"),
        (Join(table="labs", on=("id",), columns=("y",)), "has no columns"),
        (Join(table="labs", on=("key",)), "not there"),
        (AsOf(table="labs", on="id", prefix="l_", within="soon"), "written 30s"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Recipe([step]).fit_apply(frame)


def test_a_stored_recipe_is_what_it_was(workspace: Workspace) -> None:
    read_table({"x": [1.0, None]}, name="raw")
    recipe = Recipe([Impute(columns=("x",), method="mean")])
    assert save_recipe("fill", recipe).ref == save_recipe("fill", recipe).ref == "fill:1"
    assert save_recipe("fill", recipe.then(Scale())).ref == "fill:2"
    done = run_recipe("fill:1", "raw", "filled")
    assert done.to_polars()["x"].to_list() == [1.0, 1.0]
