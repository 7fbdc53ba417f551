"""Every step on rows that break things: none, one, only gaps, infinite, huge, odd names and types.

Whatever happens, Polars and DuckDB give the same rows or refuse in the same words.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes import (
    Aggregate,
    AsOf,
    Calendar,
    Convert,
    Deduplicate,
    Derive,
    DropColumns,
    Filter,
    Impute,
    Join,
    Lag,
    OneHot,
    Outliers,
    Rare,
    Recipe,
    Rolling,
    RollingTime,
    Scale,
    Sort,
    TargetEncode,
    Tidy,
    Units,
    propose_recipe,
    read_recipe,
    write_recipe,
)
from lepton_ai.data.recipes.serving import Front
from tests.data.recipes.every_step import FRAME, STEPS, same

SMALL = FRAME.head(4)
EDGES = {
    "no rows": FRAME.clear(),
    "one row": FRAME.head(1),
    "only gaps": SMALL.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in FRAME.schema.items() if name != "n"
    ),
    "infinite": SMALL.with_columns(x=pl.Series([float("inf"), float("-inf"), 1.0, None])),
    "large": SMALL.with_columns(
        x=pl.Series([1e150, -1e150, 1e-320, None]), k=pl.Series([2**62, 2 - 2**62, 0, None])
    ),
    "small types": SMALL.cast({"k": pl.Int8, "t": pl.Datetime("ns")}),
    "decimals": SMALL.with_columns(
        x=pl.Series([1.5, None, 2.25, 3]).cast(pl.Decimal(10, 2)), k=pl.col("k").cast(pl.UInt64)
    ),
    "coded": SMALL.cast({"g": pl.Categorical, "note": pl.Categorical}),
}


def outcome(recipe: Recipe, data: object) -> pl.DataFrame | str:
    try:
        done = recipe.fit_apply(data)[1]
    except InvalidInput as error:
        return str(error)
    return done.pl() if isinstance(done, duckdb.DuckDBPyRelation) else done


@pytest.mark.parametrize("edge", EDGES)
def test_engines_agree_at_the_edges(edge: str) -> None:
    frame = EDGES[edge]
    refused = 0
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.from_arrow(frame.to_arrow())
        for step in STEPS:
            recipe = Recipe([step])
            left, right = outcome(recipe, frame), outcome(recipe, rows)
            if isinstance(left, str) or isinstance(right, str):
                assert left == right, step
                refused += 1
            else:
                same(left, right)
    # Most steps have something to do, or nothing, and do it.
    assert refused < 10


@pytest.mark.parametrize("edge", EDGES)
def test_whatever_is_proposed_can_be_done(edge: str) -> None:
    for target in (None, "y"):
        recipe = propose_recipe(EDGES[edge], target)
        done = recipe.fit_apply(EDGES[edge])[1]
        assert target is None or done["y"].equals(EDGES[edge]["y"].head(done.height))
        assert read_recipe(write_recipe(recipe)) == recipe
    only = pl.DataFrame({"a": [None, None], "b": [None, None]})
    assert propose_recipe(only).fit_apply(only)[1].columns == ["a", "b"]


ODD = {
    "n": "n; DROP TABLE x", "g": 'g"q`', "x": "x y", "k": "ключ", "t": "{t}", "s": "select",
    "d": "a.b", "note": "x=1", "y": "100%",
}  # fmt: skip


def test_names_are_names() -> None:
    frame = FRAME.rename(ODD)
    n, g, x, k, d, y = (ODD[name] for name in "ngxkdy")
    recipe = Recipe(
        [
            Deduplicate(columns=(g, x), keep="first", order=(n,)),
            Impute(columns=(d,), method="mode"),
            Impute(columns=(x,), method="forward", order=(n,), by=(g,)),
            Rare(columns=(d,), share=0.2),
            Lag(columns=(x,), order=(n,), by=(d,)),
            Rolling(order=(n,), by=(g,), window=3, values={"q q": f"quantile(col({x!r}), 0.5)"}),
            TargetEncode(columns=(g,), target=y, order=(n,)),
            Scale(columns=(x, k)),
            Aggregate(by=(d,), values={"f'q": f"first(col({k!r}), by=col({n!r}))",
                                       "s.t": f"sum(col({x!r}))", "w": "sum(col('q q'))"}),
            Sort(by=(d,)),
        ]
    )  # fmt: skip
    fitted, expected = recipe.fit_apply(frame)
    assert expected.columns == [d, "f'q", "s.t", "w"]
    assert Recipe.from_json(fitted.to_json()) == fitted
    with duckdb.connect() as connection:
        same(recipe.fit_apply(connection.from_arrow(frame.to_arrow()))[1].pl(), expected)


def test_infinite_values_are_gaps() -> None:
    frame = pl.DataFrame({"x": [1.0, float("inf"), 3.0, float("-inf"), float("nan")]})
    for method, filled in (("mean", 2.0), ("median", 2.0), ("neighbours", 2.0), ("model", 2.0)):
        done = Recipe([Impute(columns=("x",), method=method)]).fit_apply(frame)[1]
        assert done["x"].to_list() == [1.0, filled, 3.0, filled, filled], method


def test_categories_of_polars_are_text() -> None:
    frame = pl.DataFrame({"c": ["a", "b", None]}, schema={"c": pl.Enum(["b", "a"])})
    done = Recipe([Impute(columns=("c",), method="mode"), OneHot()]).fit_apply(frame)[1]
    assert done.rows() == [(1, 0), (0, 1), (1, 0)]


def test_a_type_that_cannot_hold_what_fills_it_becomes_wider() -> None:
    frame = pl.DataFrame({"k": pl.Series([1, None, 100], dtype=pl.Int8)})
    for value, filled in ((1000, 1000.0), (-1, -1), (0.5, 0.5)):
        step = Impute(columns=("k",), method="constant", value=value)
        assert Recipe([step]).fit_apply(frame)[1]["k"].to_list() == [1, filled, 100]


def test_columns_go_for_a_reason() -> None:
    one = pl.DataFrame({"a": [1.0], "b": [None]})
    # One row says nothing of what is constant; no row, nothing at all.
    step = DropColumns(constant=True, missing_above=0.5)
    assert Recipe([step]).fit_apply(one)[1].columns == ["a"]
    assert Recipe([step]).fit_apply(one.clear())[1].columns == ["a", "b"]


def test_serving_knows_categories_and_values_it_never_saw() -> None:
    columns = {"c": ["a", "b"] * 10, "x": [1.0, 2.0] * 10}
    recipe = Recipe(
        [
            Outliers(columns=("x",), method="quantile", tail=0.0),
            Impute(columns=("x",), method="mean"),
            Rare(columns=("c",)),
            TargetEncode(columns=("c",), target="y", smoothing=0),
        ]
    )
    frame = pl.DataFrame(columns)
    target = pl.Series("y", [1.0, 0.0] * 10)
    front, _, _ = Front.fit(recipe, dict(frame.to_dict()), frame.schema, target)
    records = [
        {"c": "a", "x": float("inf")}, {"c": "unseen", "x": 99.0}, {"c": None, "x": float("nan")}
    ]  # fmt: skip
    together = front.apply(records)
    assert together["x"].tolist() == [1.5, 2.0, 1.5]
    assert together["c"].tolist() == [1.0, 0.5, 0.5]
    # Alone or with others, a record gets the same.
    for place, record in enumerate(records):
        alone = front.apply([record])
        assert {name: values[0] for name, values in alone.items()} == {
            name: values[place] for name, values in together.items()
        }


def plain(columns: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """Columns as lists, None for gaps."""
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in columns.items()
    }


def test_serving_is_training_row_for_row() -> None:
    target = FRAME["y"].fill_null(value=False).cast(pl.Float64)
    rows = FRAME.drop("y", "t")
    served = 0
    for step in STEPS:
        if not step.alone or not (step.reads() or set()) <= {*rows.columns, "y"}:  # type: ignore[attr-defined]
            continue
        front, trained, left = Front.fit(Recipe([step]), rows.to_dict(), rows.schema, target)
        records = rows.to_dicts()
        together = plain(front.apply(records))
        alone = [plain(front.apply([record])) for record in records]
        assert together == {name: [one[name][0] for one in alone] for name in together}, step
        # Training rows are encoded without their own target; all others as they are served.
        if not isinstance(step, TargetEncode):
            # Arrays of times have no zone; these are in UTC.
            moments = trained.cast({pl.Date: pl.Datetime("us"), cs.datetime(): pl.Datetime("us")})
            expected = moments.to_dict(as_series=False)
            assert expected == {n: [values[at] for at in left] for n, values in together.items()}
        served += 1
    assert served > 20


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12))
def test_ties_are_settled_by_naming_one_more_column(rows: list[tuple[int, int]]) -> None:
    frame = pl.DataFrame(
        [(n, *row) for n, row in enumerate(rows)], schema=["n", "t", "x"], orient="row"
    )
    steps = [
        Deduplicate(columns=("t",), keep="last", order=("x", "n")),
        Lag(columns=("n",), order=("t", "n")),
        Rolling(columns=("x",), order=("t", "n"), window=2, what=("first", "sum")),
    ]
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    for step in steps:
        expected = Recipe([step]).fit_apply(frame)[1].sort("n")
        assert Recipe([step]).fit_apply(shuffled)[1].sort("n").equals(expected)
        with duckdb.connect() as connection:
            same(Recipe([step]).fit_apply(connection.from_arrow(shuffled.to_arrow()))[1].pl(),
                 expected)  # fmt: skip


def test_every_step_is_refused_where_its_columns_are_not() -> None:
    empty = pl.DataFrame({"other": [1]})
    # What takes whatever columns there are has nothing to miss.
    at_ease = {"DropColumns"}
    for step in STEPS:
        if not step.reads() or type(step).__name__ in at_ease:  # type: ignore[attr-defined]
            continue
        if isinstance(step, Join | AsOf):
            continue
        with pytest.raises(InvalidInput, match=r"not there|needs columns"):
            Recipe([step]).fit_apply(empty)


def on_both(recipe: Recipe, frame: pl.DataFrame, zone: str = "UTC") -> pl.DataFrame:
    """The rows after a recipe by Polars, once it is sure that DuckDB has the same."""
    done = recipe.fit_apply(frame)[1]
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        other = recipe.fit_apply(connection.from_arrow(frame.to_arrow()))[1].pl()
    by = done.columns[0]
    assert_frame_equal(done.sort(by), other.sort(by), check_dtypes=False, abs_tol=1e-12)
    return done.sort(by)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("year(t) * 10000 + month(t) * 100 + day(t)", 20261231),
        ("hour(t) * 60", 1380),
        ("length(s) - 10", -7),
        ("small + 100", 200),
        ("small ** 2", 10000.0),
        ("few - many", -2),
        ("-few", -1),
        ("(300 if x > 0 else 0) * 10000000", 3_000_000_000),
        ("(x > 0) + (x > 9)", 1),
        ("round(x)", 2.0),
        ("round(x, 1)", 2.5),
        ("round(x / 10, 1)", 0.2),
        ("round(x * 100, -2)", 200.0),
        ("x ** -1", 0.4),
        ("upper(s)", "SSX\u00a0"),
        ("length(strip(s))", 2),
    ],
)
def test_formulas_are_computed_in_64_bits(formula: str, expected: object) -> None:
    frame = pl.DataFrame(
        {
            "t": [dt.datetime(2026, 12, 31, 23)], "s": ["ßx\u00a0"], "x": [2.5],
            "small": pl.Series([100], dtype=pl.Int8), "few": pl.Series([1], dtype=pl.UInt32),
            "many": pl.Series([3], dtype=pl.UInt32),
        }
    )  # fmt: skip
    done = on_both(Recipe([Derive(columns={"found": formula})]), frame)
    assert done["found"].to_list() == [expected]


def test_figures_can_be_subtracted_from_and_truths_are_counted() -> None:
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "u": pl.Series([200] * 3, dtype=pl.UInt8)})
    values = {
        "a": "count(x) - rows()", "b": "n_unique(x) - 5", "c": "mean(x > 1)", "d": "sum(x > 1) - 5",
        "e": "sum(u)",
    }  # fmt: skip
    done = on_both(Recipe([Aggregate(values=values)]), frame)
    assert done.rows() == [(-1, -2, 0.5, -4, 600)]
    for wrong in ("quantile(x, 2)", "quantile(x, -0.5)"):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            Recipe([Aggregate(values={"q": wrong})]).fit_apply(frame)


def test_a_difference_of_narrow_numbers_has_a_sign() -> None:
    frame = pl.DataFrame({"n": [0, 1], "u": pl.Series([5, 3], dtype=pl.UInt8)})
    done = on_both(Recipe([Lag(columns=("u",), order=("n",), change=True)]), frame)
    assert done["u_change1"].to_list() == [None, -2]


@pytest.mark.parametrize("value", [0.1, 123456.789])
def test_equal_numbers_have_no_spread(value: float) -> None:
    # Summed up, a thousand of them are not a thousand times the first.
    frame = pl.DataFrame({"n": range(1000), "x": [value] * 1000})
    scaled = Recipe([Scale(columns=("x",))]).fit(frame)
    assert scaled.apply({"n": [0], "x": [value + 1]})["x"][0] == pytest.approx(1)
    for action in ("clip", "null", "drop"):
        step = Outliers(columns=("x",), method="z", action=action)
        assert on_both(Recipe([step]), frame)["x"].to_list() == [value] * 1000


@pytest.mark.parametrize("every", ["15m", "1h", "3h", "6h", "1d", "1w", "1mo"])
@pytest.mark.parametrize("day", [dt.datetime(2026, 10, 24, 20), dt.datetime(2026, 3, 28, 20)])
def test_an_hour_that_comes_twice_is_two(every: str, day: dt.datetime) -> None:
    times = pl.Series([day + dt.timedelta(minutes=30 * step) for step in range(24)])
    zone = "Europe/Kyiv"
    t = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    frame = pl.DataFrame({"t": t, "x": range(24)})
    spans = on_both(
        Recipe([Calendar(time="t", every=every, values={"s": "sum(x)", "r": "rows()"})]),
        frame,
        zone,
    )
    assert spans["r"].sum() == 24
    if every == "1h":
        assert spans["r"].to_list() == [2] * 12
    windows = on_both(Recipe([RollingTime(columns=("x",), time="t", window="1h")]), frame, zone)
    assert windows["x_mean_1h"].to_list() == [0, 0.5, *range(1, 23)]


def test_values_that_cannot_be_computed_are_said_in_one_line() -> None:
    frame = pl.DataFrame({"x": [1.0], "s": ["a"]})
    for where in ("x == 'a'", "s == 1"):
        with pytest.raises(InvalidInput, match=r"cannot be computed.*compare") as caught:
            Recipe([Filter(where=where)]).fit_apply(frame)
        assert "\n" not in str(caught.value)
        with pytest.raises(InvalidInput, match=r"cannot be computed.*compare"):
            Recipe([Filter(where=where)]).apply(frame)


def test_blanks_are_those_of_unicode() -> None:
    marks = ["\u00a0", "\u2028", "\x0b", "\u3000", "\x85", "\t"]
    frame = pl.DataFrame({"n": range(6), "s": [f"{mark}1{mark}" for mark in marks]})
    for step, expected in (
        (Tidy(columns=("s",)), "1"), (Convert(columns=("s",)), 1.0),
        (Convert(columns=("s",), to="integer"), 1), (Units(column="s", to="kg", assume="kg"), 1.0),
    ):  # fmt: skip
        assert on_both(Recipe([step]), frame)["s"].to_list() == [expected] * 6


def test_what_is_no_whole_number_becomes_empty() -> None:
    frame = pl.DataFrame({"n": range(5), "x": [1.0, 1.5, -2.0, 1e30, None]})
    done = on_both(Recipe([Convert(columns=("x",), to="integer")]), frame)
    assert done["x"].to_list() == [1, None, -2, None, None]


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2026, 1, 31), None],
        [dt.datetime(2026, 1, 31, 12), None],
        [dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), None],
    ],
)
def test_dates_that_fill_gaps_are_kept_as_text(values: list[object]) -> None:
    frame = pl.DataFrame({"n": [0, 1], "d": values})
    recipe = Recipe([Impute(columns=("d",), method="mode")])
    on_both(recipe, frame)
    fitted = recipe.fit(frame)
    again = Recipe.from_json(fitted.to_json())
    assert again == fitted
    assert again.apply(frame)["d"].to_list() == [values[0]] * 2
    with pytest.raises(InvalidInput, match="cannot be filled with 'soon'"):
        Recipe([Impute(columns=("d",), method="constant", value="soon")]).fit_apply(frame)
