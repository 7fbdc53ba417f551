"""Recipes on real data: turbofan engines (C-MAPSS) and German credit."""

import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    Deduplicate,
    Derive,
    DropColumns,
    Lag,
    Recipe,
    Rolling,
    Scale,
    propose_recipe,
)
from lepton_ai.storage import Workspace


@pytest.fixture
def engines(datasets: Path) -> pl.DataFrame:
    text = lzma.decompress((datasets / "manufacturing/cmapss/train_FD001.txt.xz").read_bytes())
    rows = [line.split() for line in text.decode().splitlines()]
    names = ["unit", "cycle", "a", "b", "c", *(f"s{n}" for n in range(1, 22))]
    frame = pl.DataFrame(rows, schema=names, orient="row").cast(pl.Float64)
    return frame.cast({"unit": pl.Int64, "cycle": pl.Int64})


def test_engines_by_windows(engines: pl.DataFrame) -> None:
    recipe = Recipe(
        [
            DropColumns(constant=True),
            Rolling(columns=("s2", "s11"), order=("cycle",), by=("unit",), window=10),
            Lag(columns=("s2",), order=("cycle",), by=("unit",), change=True),
            Scale(columns=("s2_mean10",), method="standard"),
            Aggregate(
                by=("unit",),
                values={"life": "max(cycle)", "end": "last(s11_mean10, by=cycle)",
                        "drift": "mean(s2_change1)", "spread": "std(s2_mean10)"},
            ),
        ]
    )  # fmt: skip
    fitted, done = recipe.fit_apply(engines)
    # The set's own description: seven sensors and one setting of FD001 never change.
    assert set(fitted.steps[0].dropped) == {"c", "s1", "s5", "s10", "s16", "s18", "s19"}
    frame = engines.to_pandas().sort_values(["unit", "cycle"])
    grouped = frame.groupby("unit")
    means = grouped[["s2", "s11"]].rolling(10, min_periods=1).mean().reset_index(0)
    scaled = (means["s2"] - means["s2"].mean()) / means["s2"].std(ddof=0)
    expected = pd.DataFrame(
        {
            "life": grouped["cycle"].max(),
            "end": means.groupby("unit")["s11"].last(),
            "drift": grouped["s2"].apply(lambda s: s.diff().mean()),
            "spread": scaled.groupby(means["unit"]).std(),
        }
    )
    done = done.sort("unit")
    assert done.height == 100
    assert done["life"].to_list() == expected["life"].to_list()
    for name in ("end", "drift", "spread"):
        np.testing.assert_allclose(done[name], expected[name], rtol=1e-6, atol=1e-9)


def test_a_proposal_cleans_dirtied_credit(datasets: Path, workspace: Workspace) -> None:
    clean = read_table(datasets / "finance/german_credit/credit-g.arff", name="credit").to_polars()
    rng = np.random.default_rng(0)
    upper = pl.Series(rng.random(1000) < 0.1)
    dirty = clean.with_columns(
        pl.when(upper).then(pl.col("purpose").str.to_uppercase()).otherwise("purpose").alias(
            "purpose"
        ),
        pl.when(pl.Series(rng.random(1000) > 0.1)).then("age").alias("age"),
        (pl.col("housing") + "  ").alias("housing"),
        pl.format("{}", "duration").alias("duration"),
    )  # fmt: skip
    dirty = pl.concat([dirty, dirty.head(7)])
    table = read_table(dirty, name="dirty")
    recipe = propose_recipe(table, target="class")
    result = recipe.run(table, name="tidied").to_polars()
    assert result.height == 1000
    assert result["age"].null_count() == 0
    assert result["duration"].dtype == pl.Float64
    assert set(result["purpose"]) == {text.lower() for text in clean["purpose"]}
    assert set(result["housing"]) == set(clean["housing"])
    assert result["class"].value_counts().sort("class").rows() == [("bad", 300), ("good", 700)]
    named = {type(step).__name__ for step in recipe}
    assert {"Deduplicate", "Tidy", "Convert", "Impute"} <= named


def test_a_formula_of_credit_is_polars_own(datasets: Path, workspace: Workspace) -> None:
    table = read_table(datasets / "finance/german_credit/credit-g.arff", name="credit")
    recipe = Recipe(
        [
            Deduplicate(),
            Derive(columns={"rate": "credit_amount / duration if duration > 12 else None"}),
            Aggregate(by=("purpose",), values={"r": "mean(rate)", "n": "rows()"}),
        ]
    )
    expected = (
        table.to_polars()
        .unique()
        .with_columns(
            rate=pl.when(pl.col("duration") > 12).then(pl.col("credit_amount") / pl.col("duration"))
        )
        .group_by("purpose")
        .agg(r=pl.mean("rate"), n=pl.len())
    )
    done = recipe.fit_apply(table)[1]
    assert_frame_equal(done.sort("purpose"), expected.sort("purpose"), check_dtypes=False)
