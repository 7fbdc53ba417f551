"""The same recipe on Spark, through one session for all tests; `make test-spark` runs them."""

import datetime as dt
import importlib.util
import os
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    AsOf,
    Deduplicate,
    Derive,
    Impute,
    Invalid,
    Join,
    Outliers,
    ParseDates,
    Recipe,
    Rolling,
    Scale,
)
from lepton_ai.storage import Workspace
from tests.data.recipes.every_step import FRAME, START, STEPS, same

JAVA = shutil.which("java", path=f"{os.environ.get('JAVA_HOME', '')}/bin:{os.environ['PATH']}")

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or JAVA is None,
        reason="SKIPPED FOR LACK OF SPARK: run make test-spark, with a Java of 17 or later",
    ),
    pytest.mark.timeout(900),
    # Of Spark itself, which leaves sockets to be closed when it likes.
    pytest.mark.filterwarnings("default:::pyspark", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        session = (
            SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.memory", "1g")
            .getOrCreate()
        )
        yield session
        session.stop()


def polars(rows: Any) -> pl.DataFrame:
    return pl.DataFrame(rows.toArrow())


def test_every_step_agrees(spark: Any) -> None:
    rows = spark.createDataFrame(FRAME.to_arrow())
    failed = []
    for step in STEPS:
        fitted, expected = Recipe([step]).fit_apply(FRAME)
        try:
            learned, done = Recipe([step]).fit_apply(rows)
            same(polars(done), expected)
            assert [s.explain() for s in learned] == [s.explain() for s in fitted]
        except (AssertionError, InvalidInput) as error:
            failed.append(f"{step}: {type(error).__name__} {error}"[:600])
    assert not failed, "\n\n".join(failed)


def test_joins_agree(spark: Any, workspace: Workspace) -> None:
    read_table({"id": [1, 2, None], "crp": [3.5, 7.0, 1.0]}, name="labs")
    hours = [START + dt.timedelta(hours=h) for h in range(30)]
    doses = {
        "id": [1, 1, 1, 2, None],
        "t": [hours[0], hours[2], hours[2], hours[24], hours[0]],
        "dose": [10.0, 15.0, None, 99.0, 5.0],
    }
    read_table(pl.DataFrame(doses), name="doses")
    visits = pl.DataFrame(
        {"n": range(6), "id": [1, 1, 2, 3, None, None],
         "t": [hours[1], hours[5], hours[25], hours[1], None, hours[2]]}
    )  # fmt: skip
    recipe = Recipe(
        [
            Join(table="labs", on=("id",)),
            AsOf(table="doses", on="t", by=("id",), prefix="last_"),
            AsOf(table="doses", on="t", columns=("dose",), prefix="near_", within="2h"),
        ]
    )
    expected = recipe.fit_apply(visits)[1]
    assert expected["last_dose"].to_list() == [10.0, None, 99.0, None, None, None]
    done = polars(recipe.fit_apply(spark.createDataFrame(visits.to_arrow()))[1])
    same(done.select(expected.columns), expected)


def test_a_whole_recipe_agrees_and_stays_a_plan(spark: Any) -> None:
    recipe = Recipe(
        [
            Deduplicate(columns=("g", "k"), keep="first", order=("n",)),
            Invalid(column="x", low=-10, high=30),
            Impute(columns=("x", "k"), method="mean", flag=True),
            Outliers(columns=("x",), method="z", width=1.5),
            Rolling(order=("n",), by=("g",), window=3, values={"top": "quantile(x, 0.9)"}),
            Derive(columns={"r": "top / k"}),
            Scale(columns=("r",)),
            Aggregate(by=("g",), values={"r": "sum(r)", "l": "last(x, by=n)", "n": "rows()"}),
        ]
    )
    fitted, expected = recipe.fit_apply(FRAME)
    rows = spark.createDataFrame(FRAME.to_arrow())
    done = fitted.apply(rows)
    assert isinstance(done, type(rows))
    same(polars(done), expected)
    learned = recipe.fit(rows)
    assert [s.explain() for s in learned] == [s.explain() for s in fitted]


def test_what_spark_cannot_do_is_said_once(spark: Any) -> None:
    rows = spark.createDataFrame(FRAME.to_arrow())
    for name in ("a.b", "a`b"):
        with pytest.raises(InvalidInput, match="Spark takes dots and backticks"):
            Recipe([Scale()]).fit(rows.withColumnRenamed("x", name))
    with pytest.raises(InvalidInput, match=r"step 1, Derive: .*DATATYPE_MISMATCH"):
        Recipe([Derive(columns={"z": "t + x"})]).fit_apply(rows)
    spark.conf.set("spark.sql.session.timeZone", "Europe/Kyiv")
    try:
        with pytest.raises(InvalidInput, match=r"set its TimeZone .* to UTC"):
            Recipe([ParseDates(columns=("d",), formats=("%Y-%m-%d %H:%M",), zone="UTC")]).fit_apply(
                rows
            )
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
