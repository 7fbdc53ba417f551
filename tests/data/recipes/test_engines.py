"""The same recipe on every engine: Polars, pandas, Arrow, DuckDB, and Spark where it is there."""

import datetime as dt
import importlib.util
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
    Bin,
    Calendar,
    Convert,
    DateParts,
    Deduplicate,
    Derive,
    DropColumns,
    DropMissing,
    Embed,
    Filter,
    FuzzyDuplicates,
    HashEncode,
    Impute,
    Invalid,
    Join,
    Lag,
    OneHot,
    Ordinal,
    Outliers,
    ParseDates,
    Rare,
    Recipe,
    Rename,
    Rolling,
    RollingTime,
    Scale,
    Select,
    Sort,
    TargetEncode,
    Tfidf,
    Tidy,
    Units,
    run_recipe,
    save_recipe,
)
from lepton_ai.data.recipes.steps import AnyStep
from lepton_ai.storage import Workspace

START = dt.datetime(2026, 1, 30, 22)
FRAME = pl.DataFrame(
    {
        "n": range(12),
        "g": ["a", "b", None] * 4,
        "x": [1.5, None, float("nan"), -3.0, 8.0, 2.0, 0.0, 40.0, None, 5.0, 6.0, 7.0],
        "k": [0, 3, 1, None, 2, 5, 1, 1, 0, 2, 9, 4],
        "t": [START + dt.timedelta(minutes=37 * n) if n != 5 else None for n in range(12)],
        "s": [" Über  A", "n/a", "ﬁne", "12", "1.5", "-4e2", None, "yes", "5 kg", "8 g", "", "x"],
        "d": ["2026-01-31", "30.02.2026", "1.2.2026", None, "20260301", "soon"] * 2,
        "note": ["clear lung", "nodule in lung", "heart", "clear heart", "lung nodule", ""] * 2,
        "y": [True, False, True, True, False, None] * 2,
    }
)  # fmt: skip

STEPS: list[object] = [
    Aggregate(by=("g",), values={"s": "sum(x)", "q": "quantile(x, 0.3)", "r": "sum(x) / sum(k)"}),
    Aggregate(values={"d": "std(x)", "c": "count(x)", "u": "n_unique(k)", "a": "rows()"}),
    Aggregate(
        by=("g",), values={"f": "first(k, by=n)", "l": "last(x, by=n) - first(k, by=col('n'))"}
    ),
    Bin(column="x", bins=3),
    Calendar(time="t", every="1d", by=("g",), values={"m": "mean(x)", "h": "max(k)"}),
    Calendar(time="t", every="1mo", values={"n": "rows()"}),
    Convert(columns=("s",)),
    Convert(columns=("s",), to="boolean"),
    DateParts(column="t", parts=("month", "weekday", "hour"), cyclic=True),
    Deduplicate(columns=("g",), keep="last", order=("n",)),
    Derive(columns={"z": "x / k", "m": "k % 3", "w": "upper(s) if k > 1 else d"}),
    DropColumns(columns=("s",), missing_above=0.3, constant=True),
    DropMissing(columns=("x", "g")),
    Embed(column="note", size=2),
    Filter(where="x > 0 and g is not None or k in (0, 5)"),
    FuzzyDuplicates(column="note", order=("n",), similarity=0.9),
    HashEncode(columns=("g",), buckets=8),
    Impute(columns=("x", "k"), method="median", flag=True),
    Impute(columns=("g",), method="mode"),
    Impute(columns=("x",), method="forward", order=("n",), by=("g",)),
    Impute(columns=("x", "k"), method="model", predictors=("n",)),
    Impute(columns=("x", "k"), method="neighbours", nearest=2),
    Invalid(column="x", low=0, high=10),
    Invalid(column="d", pattern="[0-9-]+", action="drop"),
    Lag(columns=("x", "g"), order=("n",), by=("y",), lags=(1, 2)),
    OneHot(columns=("g",)),
    Ordinal(columns=("g", "d")),
    Outliers(columns=("x", "k"), method="z", width=1),
    Outliers(columns=("x",), action="drop"),
    ParseDates(columns=("d",), formats=("%Y-%m-%d", "%-d.%-m.%Y", "%Y%m%d")),
    Rare(columns=("d",), share=0.2),
    Rename(names={"x": "v", "k": "x"}),
    Rolling(columns=("x",), order=("n",), window=3, what=("mean", "sum", "std", "min", "max")),
    RollingTime(
        columns=("x",), time="t", window="90m", by=("g",), what=("mean", "min", "max", "count")
    ),
    RollingTime(columns=("k",), time="t", window="2h", what=("sum", "std")),
    Scale(columns=("x", "k"), method="robust"),
    Scale(columns=("x",), method="log"),
    Scale(columns=("x", "k"), method="power"),
    Select(columns=("k", "n")),
    Sort(by=("n",), descending=True),
    TargetEncode(columns=("g", "k"), target="y", order=("n",), smoothing=1),
    Tfidf(column="note", most=4),
    Tidy(columns=("s",), unicode="NFKC", case="lower", synonyms={"yes": "ja"}),
    Units(column="s", to="g", assume="kg"),
]


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows in an order of their own: engines promise none."""
    frame = frame.with_columns(pl.col(pl.Datetime).cast(pl.Datetime("us")))
    keys = [name for name in ("n", "g", "t") if name in frame.columns]
    return frame.sort(keys or frame.columns)


def same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert_frame_equal(
        in_order(left), in_order(right), check_dtypes=False, rel_tol=1e-9, abs_tol=1e-12
    )


def test_every_step_is_here() -> None:
    tried = {type(step) for step in STEPS} | {Join, AsOf}
    assert tried == set(AnyStep.__args__)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{type(step).__name__}")
def test_polars_duckdb_and_pandas_agree(step: object) -> None:
    recipe = Recipe([step])
    fitted, expected = recipe.fit_apply(FRAME)
    with duckdb.connect() as connection:
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


def test_zones_need_polars() -> None:
    recipe = Recipe([ParseDates(columns=("d",), formats=("%Y-%m-%d %H:%M",), zone="UTC")])
    with pytest.raises(InvalidInput, match="does not work on"):
        recipe.fit_apply(duckdb.sql("select '2024-01-01 10:00' as d"))


def test_joins_on_every_engine(workspace: Workspace) -> None:
    labs = {"id": [1, 2, None], "crp": [3.5, 7.0, 1.0], "t": [START] * 3}
    read_table(labs, name="labs")
    doses = pl.DataFrame(
        {
            "id": [1, 1, 2],
            "t": [START, START + dt.timedelta(hours=2), START + dt.timedelta(days=1)],
            "dose": [10.0, 20.0, 99.0],
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


@pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None,
    reason="SKIPPED FOR LACK OF SPARK: pip install pyspark, with a Java of 17 or later",
)
def test_spark_agrees() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        session = (
            SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate()
        )
        failed = []
        try:
            rows = session.createDataFrame(FRAME.to_arrow())
            for step in STEPS:
                _, expected = Recipe([step]).fit_apply(FRAME)
                try:
                    done = Recipe([step]).fit_apply(rows)[1]
                    same(pl.DataFrame(done.toArrow()), expected)
                except Exception as error:
                    said = f"{step}: {type(error).__name__} {error}"[:400]
                    # The first and last of a group are the one thing that Spark has not here.
                    if "is not supported for PySpark" not in said or "first(" not in said:
                        failed.append(said)
        finally:
            session.stop()
    assert not failed, "\n\n".join(failed)
