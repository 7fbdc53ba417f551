"""Recipes: the same on every engine, and as scikit-learn, pandas and a pencil have it."""

import datetime as dt
import math

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.expression import columns_in, expression
from lepton_ai.data.read_table import read_table
from lepton_ai.data.recipes import (
    Aggregate,
    Bin,
    Calendar,
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
    Lag,
    OneHot,
    Ordinal,
    Outliers,
    ParseDates,
    Rare,
    Recipe,
    Rename,
    Rolling,
    Scale,
    Select,
    TargetEncode,
    Tfidf,
    Tidy,
    Units,
    open_recipe,
    propose_recipe,
    run_recipe,
    save_recipe,
)
from lepton_ai.storage import Workspace

FRAME = pl.DataFrame(
    {
        "id": [1, 2, 2, 3, 4, 5],
        "age": [31.0, None, None, 200.0, 45.0, 52.0],
        "city": [" Kyiv", "OSLO", "OSLO", None, "kyiv ", "?"],
        "day": ["2026-01-31", "01.02.2026", "01.02.2026", None, "2026-03-01", "soon"],
        "height": [180, 165, 165, 170, 175, 160],
        "weight": [81.0, 60.0, 60.0, None, 70.0, 64.0],
    }
)
EVERYTHING = Recipe.of(
    Deduplicate(),
    Tidy(case="lower", synonyms={"kyiv": "Kyiv"}),
    ParseDates(columns=("day",)),
    Invalid(column="age", low=0, high=120),
    Impute(columns=("age", "weight"), method="mean", flag=True),
    Outliers(columns=("weight",), method="iqr", width=0.5),
    Derive(columns={"bmi": "weight / (height / 100) ** 2"}),
    DateParts(column="day", parts=("month", "weekday")),
    Lag(columns=("bmi",), order=("id",)),
    Rolling(columns=("weight",), order=("id",), window=2, what=("mean", "sum")),
    Scale(columns=("height",)),
    OneHot(columns=("city",)),
    Bin(column="age", method="width", bins=3),
)


def test_one_recipe_on_every_engine() -> None:
    fitted, on_polars = EVERYTHING.fit_apply(FRAME)
    expected = on_polars.sort("id")
    assert expected["id"].to_list() == [1, 2, 3, 4, 5]
    # 31, 45 and 52 are left of the ages once 200 is refused.
    assert fitted.steps[4].values["age"] == pytest.approx((31 + 45 + 52) / 3)
    assert expected["age_missing"].to_list() == [False, True, True, False, False]
    assert expected.columns[-2:] == ["city=Kyiv", "city=oslo"]
    assert expected["city=Kyiv"].to_list() == [1, 0, 0, 1, 0]
    assert expected["day"].to_list() == [
        dt.date(2026, 1, 31), dt.date(2026, 2, 1), None, dt.date(2026, 3, 1), None,
    ]  # fmt: skip
    assert expected["bmi"][0] == pytest.approx(fitted.steps[5].bounds["weight"][1] / 1.8**2)
    lazy = fitted.apply(FRAME.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert_frame_equal(lazy.collect().sort("id"), expected)
    relation = duckdb.sql("select * from FRAME")
    again, on_duckdb = EVERYTHING.fit_apply(relation)
    assert isinstance(on_duckdb, duckdb.DuckDBPyRelation)
    assert_frame_equal(on_duckdb.pl().sort("id"), expected, check_dtypes=False, rel_tol=1e-12)
    assert [step.explain() for step in again] == [step.explain() for step in fitted]
    on_pandas = fitted.apply(FRAME.to_pandas())
    assert isinstance(on_pandas, pd.DataFrame)
    assert on_pandas.sort_values("id")["bmi"].tolist() == pytest.approx(
        expected["bmi"].to_list(), nan_ok=True
    )
    assert fitted.apply(FRAME.to_arrow()).num_rows == 5


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), numbers, st.sampled_from(["a", "b", None])), min_size=1,
        max_size=30,
    )
)  # fmt: skip
def test_polars_equals_duckdb_on_any_rows(rows: list[tuple[int, float | None, str | None]]) -> None:
    frame = pl.DataFrame(
        [(n, *row) for n, row in enumerate(rows)],
        schema={"n": pl.Int64, "g": pl.Int64, "x": pl.Float64, "c": pl.String},
        orient="row",
    )
    recipe = Recipe.of(
        Deduplicate(columns=("g", "c"), keep="first", order=("n",)),
        Impute(columns=("x",), method="constant", value=0.5),
        Impute(columns=("c",), method="mode"),
        Outliers(columns=("x",), method="quantile", tail=0.1),
        Scale(columns=("x",), method="minmax"),
        Aggregate(by=("g",), values={"s": "sum(x)", "m": "mean(x)", "k": "rows()"}),
    )  # fmt: skip
    fitted, left = recipe.fit_apply(frame)
    right = fitted.apply(duckdb.sql("select * from frame"))
    assert_frame_equal(
        left.sort("g"), right.pl().sort("g"), check_dtypes=False, rel_tol=1e-6, abs_tol=1e-9
    )


@pytest.mark.parametrize(
    ("method", "peer"),
    [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("robust", RobustScaler())],
)
def test_scaling_is_scikit_learns(method: str, peer: StandardScaler) -> None:
    values = np.random.default_rng(1).normal(size=(50, 2)) * [1, 100]
    frame = pl.DataFrame(values, schema=["a", "b"])
    ours = Recipe.of(Scale(method=method)).fit_apply(frame)[1].to_numpy()
    np.testing.assert_allclose(ours, peer.fit_transform(values), rtol=1e-12)


def test_words_are_weighted_as_scikit_learn_does() -> None:
    texts = ["lung clear no nodule", "nodule in the left lung", "heart enlarged", ""]
    frame = pl.DataFrame({"text": texts, "n": range(4)})
    out = Recipe.of(Tfidf(column="text", most=5)).fit_apply(frame)[1]
    peer = TfidfVectorizer(max_features=5)
    expected = peer.fit_transform(texts).toarray()
    assert out.columns == ["n", *(f"text:{word}" for word in peer.get_feature_names_out())]
    np.testing.assert_allclose(out.drop("n").to_numpy(), expected)
    recipe = Recipe.of(Embed(column="text", size=2)).fit(frame)
    near = recipe.apply(pl.DataFrame({"text": ["a nodule of the lung", "heart"], "n": [0, 1]}))
    vectors = near.drop("n").to_numpy()
    base = recipe.apply(frame).drop("n").to_numpy()
    assert vectors[0] @ base[1] > vectors[0] @ base[2]
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_gaps_by_every_method() -> None:
    frame = pl.DataFrame(
        {
            "t": [1, 2, 3, 4],
            "g": ["a", "a", "b", "b"],
            "x": [1.0, None, 3.0, None],
            "y": [2, 4, 6, 8],
        }
    )
    filled = {
        method: Recipe.of(Impute(columns=("x",), method=method, value=9.0, order=("t",), by=("g",)))
        .fit_apply(frame)[1]
        .sort("t")["x"]
        .to_list()
        for method in ("constant", "mean", "median", "mode", "forward")
    }
    assert filled == {
        "constant": [1, 9, 3, 9],
        "mean": [1, 2, 3, 2],
        "median": [1, 2, 3, 2],
        "mode": [1, 1, 3, 1],
        "forward": [1, 1, 3, 3],
    }
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    big = pl.DataFrame({"x": 3 * y + 7, "y": y, "z": rng.normal(size=500)})
    holed = big.with_columns(x=pl.when(pl.int_range(500) % 5 > 0).then("x"))
    guess = Recipe.of(Impute(columns=("x", "y", "z"), method="model")).fit_apply(holed)[1]
    np.testing.assert_allclose(guess["x"], big["x"], atol=0.15)


def test_categories() -> None:
    frame = pl.DataFrame({"c": ["x"] * 8 + ["y"] * 3 + ["z", None], "t": [1, 0] * 6 + [1]})
    rare = Recipe.of(Rare(columns=("c",), share=0.2)).fit(frame)
    new = pl.DataFrame({"c": ["x", "z", "unseen", None], "t": [0] * 4})
    assert rare.apply(new)["c"].to_list() == ["x", "other", "other", None]
    order = Recipe.of(Ordinal(order={"c": ("z", "y", "x")})).fit(frame)
    assert order.apply(new)["c"].to_list() == [2, 0, None, None]
    hashed = Recipe.of(HashEncode(columns=("c",), buckets=8)).fit(frame)
    codes = hashed.apply(new)["c"].to_list()
    assert codes[0] == hashed.apply(frame)["c"][0]
    assert all(0 <= code < 8 for code in codes[:3])
    target = Recipe.of(TargetEncode(columns=("c",), target="t", smoothing=0))
    fitted, trained = target.fit_apply(frame)
    assert fitted.apply(new)["c"].to_list() == pytest.approx([0.5, 0.0, 7 / 13, 7 / 13])
    # A training row never sees its own target: alone in its category, it gets the mean of others.
    alone = trained["c"].to_list()[11]
    assert alone != 0.0
    with pytest.raises(InvalidInput, match="more than 2 categories"):
        Recipe.of(OneHot(columns=("c",), most=2)).fit(frame)


def test_near_duplicates() -> None:
    names = ["Jane Doe", "Jane  Doe", "Jon Smith", "John Smith", "Ann Lee", None, None]
    frame = pl.DataFrame({"name": names, "born": [1980, 1980, 1970, 1970, 1970, 1, 1]})
    kept = Recipe.of(FuzzyDuplicates(column="name", within=("born",))).fit_apply(frame)[1]
    assert kept["name"].to_list() == ["Jane Doe", "Jon Smith", "Ann Lee", None, None]


def test_units_rows_and_calendar() -> None:
    frame = pl.DataFrame({"w": ["180 lb", "80kg", "70", "heavy", None]})
    kilos = Recipe.of(Units(column="w", to="kg", assume="kg")).fit_apply(frame)[1]["w"].to_list()
    assert kilos == [pytest.approx(81.6466266), 80.0, 70.0, None, None]
    with pytest.raises(InvalidInput, match="known are kg"):
        Recipe.of(Units(column="w", to="stone")).fit(frame)
    times = pl.DataFrame(
        {
            "at": [
                dt.datetime(2026, 1, 1, hour, minute) for hour in (0, 1) for minute in (0, 20, 40)
            ],
            "flow": [1.0, 2.0, 3.0, 10.0, None, 30.0],
        }
    )
    hours = Recipe.of(
        Calendar(
            time="at", every="1h",
            values={
                "total": "sum(flow)", "n": "count(flow)", "last": "last(flow, by=at)",
                "q": "quantile(flow, 0.5)", "share": "sum(flow) / rows()",
            },
        )
    ).fit_apply(times)[1].sort("at")  # fmt: skip
    assert hours.drop("at").rows() == [(6.0, 3, 3.0, 2.0, 2.0), (40.0, 2, 30.0, 20.0, 40 / 3)]


def test_rows_are_dropped_in_training_only() -> None:
    recipe = Recipe.of(
        DropMissing(columns=("x",)), Filter(where="x < 10"), Impute(columns=("x",), method="mean"),
        Outliers(columns=("x",), action="drop"), Rename(names={"x": "y"}), Select(columns=("y",)),
        DropColumns(constant=True),
    )  # fmt: skip
    fitted, trained = recipe.fit_apply({"x": [1.0, None, 3.0, 100.0], "z": [0, 0, 0, 0]})
    assert trained["y"].to_list() == [1.0, 3.0]
    served = fitted.apply({"x": [None, 50.0], "z": [0, 0]}, serving=True)
    assert served["y"].to_list() == [2.0, 50.0]
    assert [step.rows for step in fitted] == [True, True, False, True, False, False, False]


def test_fitted_on_training_rows_alone() -> None:
    train = pl.DataFrame({"x": [1.0, 2.0, 3.0]})
    fitted = Recipe.of(Scale(columns=("x",))).fit(train)
    assert fitted.steps[0].scales["x"] == (2.0, pytest.approx(math.sqrt(2 / 3)))
    assert fitted.apply({"x": [2.0, 100.0]})["x"][0] == 0.0
    assert fitted.steps[0].scales["x"] == (2.0, pytest.approx(math.sqrt(2 / 3)))


def test_a_recipe_is_data() -> None:
    fitted = EVERYTHING.fit(FRAME)
    assert Recipe.from_json(fitted.to_json()) == fitted
    assert Recipe.from_json(fitted.to_json()).to_json() == fitted.to_json()
    for wrong in (b"", b"{}", b'{"steps": [{"step": "rm -rf"}]}', b"\xff"):
        with pytest.raises(Corrupt):
            Recipe.from_json(wrong)
    text = str(fitted)
    assert "fill gaps (mean): age by 42.67" in text
    assert "(training rows only: 6 -> 5)" in text
    svg = fitted._repr_svg_()
    assert svg.count("<rect") == len(fitted) + 2
    assert "&lt;" in Recipe.of(Filter(where="x < 1"))._repr_svg_()


def test_kept_and_run_with_lineage(workspace: Workspace) -> None:
    table = read_table(FRAME, name="raw")
    save_recipe("cleaning", EVERYTHING)
    assert open_recipe("cleaning") == EVERYTHING
    clean = run_recipe("cleaning", "raw", "clean")
    assert_frame_equal(clean.to_polars().sort("id"), EVERYTHING.fit_apply(FRAME)[1].sort("id"))
    parents = dict(workspace.lineage.parents(clean.dataset.id))
    assert parents["data"].ref == "raw:1"
    assert parents["recipe"].kind == "recipe"
    assert open_recipe("clean").fitted
    again = run_recipe(open_recipe("clean"), table, "clean")
    assert again.ref in ("clean:1", "clean:2")
    with pytest.raises(InvalidInput, match="a name of its own"):
        run_recipe(EVERYTHING, table, "raw")


def test_proposals_give_reasons() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": [None, 1e9, *rng.normal(size=98)],
            "c": [" a", "b", *(["a", None] * 49)],
            "day": ["2026-01-01"] * 100,
            "empty": [None] * 99 + ["x"],
            "y": [0, 1] * 50,
        }
    )
    frame = pl.concat([frame, frame[:1]])
    recipe = propose_recipe(frame, target="y")
    names = [type(step).__name__ for step in recipe]
    assert names == [
        "Deduplicate", "Tidy", "ParseDates", "DropColumns", "DropColumns", "Outliers", "Impute",
        "Impute",
    ]  # fmt: skip
    assert len(recipe.reasons) == len(recipe)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert len(recipe.without(0).then(Scale()).fit_apply(frame)[1]) == 101
    assert len(propose_recipe(pl.DataFrame({"a": [1, 2, 3]}))) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + 2 * b", 7.0), ("-(a - b) ** 2", -4.0), ("10 / b", 10 / 3), ("a < b <= 3", True),
        ("a if a > b else b", 3.0), ("c in ('x', 'y') and not a == 2", True),
        ("c is not None", True),
        ("n is None or a > 5", True), ("coalesce(n, 4)", 4), ("length(c) + 1", 2),
        ("upper(c) == 'X'", True), ("col(\"a\") % 2", 1.0), ("sqrt(abs(0 - b * b))", 3.0),
        ("matches(c, '^[xyz]$')", True), ("round(b / 2, 1)", 1.5),
    ],
)  # fmt: skip
def test_formulas(text: str, value: object) -> None:
    frame = pl.DataFrame(
        {"a": [1.0], "b": [3.0], "c": ["x"], "n": pl.Series([None], dtype=pl.Int64)}
    )
    import narwhals as nw

    assert nw.from_native(frame).select(z=expression(text))["z"][0] == pytest.approx(value)
    assert nw.from_native(duckdb.sql("select * from frame")).select(z=expression(text)).collect(
        "polars"
    )["z"][0] == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "", "a +", "a = 1", "__import__('os').system('true')", "a.b", "a[0]", "lambda: 1",
        "open('x')",
        "[x for x in a]", "9 ** 9 ** 9", "a == None", "a is 3", "a in b", "f'{a}'", "sum(a, 1, 2)",
        "(" * 5000, "a" * 20_000, "col(a)", "a if", "b'x'", "1j", "...",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        expression(text)


def test_the_columns_of_a_formula() -> None:
    assert columns_in('sum(a) / col("b c") + mean(d) if e > 1 else 0') == {"a", "b c", "d", "e"}


def test_wrong_recipes_say_what_to_do() -> None:
    frame = pl.DataFrame({"x": [1.0], "c": ["a"]})
    for recipe, words in (
        (Recipe.of(Scale(columns=("y",))), "not there"),
        (Recipe.of(Scale(columns=("c",))), "columns of numbers"),
        (Recipe.of(Tidy(columns=("x",))), "columns of text"),
        (Recipe.of(Impute(columns=("x",), method="forward")), "needs an order"),
        (Recipe.of(Deduplicate(keep="first")), "needs an order"),
        (Recipe.of(Invalid(column="x")), "says nothing"),
        (Recipe.of(Derive(columns={"z": "w * 2"})), "not there"),
        (
            Recipe.of(Calendar(time="x", every="1h", values={"n": "rows()"})),
            "goes by dates or times",
        ),
    ):
        with pytest.raises(InvalidInput, match=words):
            recipe.fit(frame)
    with pytest.raises(InvalidInput, match="was not fitted"):
        Recipe.of(Scale()).apply(frame)
    with pytest.raises(InvalidInput, match="a recipe works on"):
        Recipe.of(Scale()).fit(3)
    with pytest.raises(InvalidInput, match="no value at all"):
        Recipe.of(Impute(columns=("x",))).fit(
            pl.DataFrame({"x": pl.Series([None], dtype=pl.Float64)})
        )
