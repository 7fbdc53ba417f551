"""Profiles against pandas and SciPy, values checked by hand, and hostile columns."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis import profile
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace


def test_figures_are_those_of_pandas_and_scipy() -> None:
    random = np.random.default_rng(0)
    values = np.r_[random.gamma(2, size=997), np.nan, np.nan, 50.0]
    column = profile({"x": values})["x"]
    numbers = column.numbers
    assert numbers is not None
    described = pl.DataFrame({"x": values}).to_pandas()["x"]
    assert (column.rows, column.missing, column.distinct) == (1000, 2, 998)
    assert numbers.mean == pytest.approx(described.mean())
    assert numbers.std == pytest.approx(described.std())
    known = values[~np.isnan(values)]
    assert numbers.skew == pytest.approx(stats.skew(known))
    for share, value in numbers.quantiles.items():
        assert value == pytest.approx(described.quantile(share))
    low, high = described.quantile(0.25), described.quantile(0.75)
    reach = 1.5 * (high - low)
    assert numbers.outliers == ((known < low - reach) | (known > high + reach)).sum()
    assert numbers.histogram is not None
    assert sum(numbers.histogram.counts) == 998


def test_text_dates_and_warnings_by_hand() -> None:
    start = dt.datetime(2024, 1, 1)
    hours = [start + dt.timedelta(hours=n if n < 20 else n + 100) for n in range(40)]
    found = profile(
        {
            "id": [f"P{n:03}" for n in range(40)],
            "number": range(7, 47),
            "when": hours,
            "ward": ["north ", "south"] * 20,
            "region": ["N", "S"] * 20,
            "constant": [1.5] * 40,
            "empty": [None] * 40,
            "celsius": [float(n % 7) for n in range(40)],
            "fahrenheit": [n % 7 * 1.8 + 32 for n in range(40)],
            "written": [str(n % 5) for n in range(40)],
        }
    )
    texts, dates = found["ward"].texts, found["when"].dates
    assert texts is not None
    assert dates is not None
    assert (texts.shortest, texts.longest, texts.mean_length, texts.padded) == (5, 6, 5.5, 20)
    assert [(v.value, v.count) for v in found["ward"].top] == [("north ", 20), ("south", 20)]
    assert (dates.first.replace(tzinfo=None), dates.last.replace(tzinfo=None)) == (
        hours[0],
        hours[-1],
    )
    assert (dates.step, dates.gap) == (3600, 101 * 3600)
    notes = {name: " ".join(said) for name, said in found.notes.items()}
    assert "names its rows" in notes["id"]
    assert "names its rows" in notes["number"]
    assert "a gap of 4 days, 5:00:00" in notes["when"]
    assert "constant" in notes["constant"]
    assert "no value" in notes["empty"]
    assert "says the same as 'ward'" in notes["region"]
    assert "says the same as 'celsius'" in notes["fahrenheit"]
    assert "numbers written as text" in notes["written"]
    assert "celsius" not in notes


def test_equal_values_have_no_spread() -> None:
    numbers = profile({"x": [0.03] * 20_631})["x"].numbers
    assert numbers is not None
    assert numbers.std == 0
    assert numbers.skew is None


def test_zero_and_minus_zero_are_one_value() -> None:
    for numbers in ([0.0, -0.0, 1.0], [-0.0, 0.0, 1.0]):
        column = profile(pl.DataFrame({"n": numbers}))["n"]
        assert [(value.value, value.count) for value in column.top] == [("0", 2), ("1", 1)]


def test_columns_stand_below_each_other_in_any_script() -> None:
    lines = aligned(["name", "n"], [["患者", "1"], ["Größe", "22"], ["e\u0301", "3"]], numbers=(1,))
    assert lines.split("\n") == ["name    n", "患者    1", "Größe  22", "e\u0301       3"]


def test_durations_are_described() -> None:
    stays = [dt.timedelta(hours=3), dt.timedelta(days=2), dt.timedelta(hours=3), None]
    column = profile({"stay": stays})["stay"]
    assert [(v.value, v.count) for v in column.top] == [("3h", 2), ("2d", 1)]
    assert (column.missing, column.distinct) == (1, 2)


def test_what_far_values_stretch_alike_is_no_twin() -> None:
    random = np.random.default_rng(0)
    pulse, heat = random.normal(70, 9, 1000), random.normal(37, 1, 1000)
    pulse[:30] = heat[:30] = 99_999  # as some devices write a gap
    found = profile({"pulse": pulse, "heat": heat, "twice": 2 * pulse})
    said = {name for name, notes in found.notes.items() if "says the same" in " ".join(notes)}
    assert said == {"twice"}


def test_no_twins_among_what_only_looks_alike() -> None:
    random = np.random.default_rng(1)
    numbers = pl.DataFrame(random.normal(size=(400, 30)))
    words = pl.DataFrame({f"w{n}": random.choice(list("abc"), 400) for n in range(10)})
    own = pl.DataFrame({f"own{n}": [f"{n}-{row}" for row in range(400)] for n in range(3)})
    found = profile(pl.concat([numbers, words, own], how="horizontal"))
    assert not [said for notes in found.notes.values() for said in notes if "same" in said]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": pl.Series([], dtype=pl.Float64), "b": pl.Series([], dtype=pl.String)}),
        pl.DataFrame({"a": [1], "b": ["x"], "c": [None], "d": [dt.date(2024, 1, 1)]}),
        pl.DataFrame({"a": [float("inf"), float("-inf"), float("nan"), None, 1.0]}),
        pl.DataFrame({"a": pl.Series([2**100, -(2**100), None], dtype=pl.Int128)}),
        pl.DataFrame({"a": [[1], None, [2, 3]], "b": [{"x": 1}, {"x": 2}, None]}),
        pl.DataFrame({"a": [b"\x00\xff", b"", None], "t": [dt.time(1), None, dt.time(2)]}),
        pl.DataFrame({"a": [f"category {n}" for n in range(10_000)]}),
        pl.DataFrame({"$\\frac{": ["<b>", "\x1b[31m", "${"], "\n": [1e308, -1e308, 1e308]}),
        pl.DataFrame(
            {
                "utc": pl.Series([dt.datetime(2024, 1, 1)]).dt.replace_time_zone("UTC"),
                "kyiv": pl.Series([dt.datetime(2024, 1, 1)]).dt.replace_time_zone("Europe/Kyiv"),
                "plain": [dt.datetime(1, 1, 1)],
            }
        ),
        pl.DataFrame(np.random.default_rng(0).normal(size=(30, 300))),
    ],
)  # fmt: skip
def test_hostile_columns_are_described_drawn_and_written(frame: pl.DataFrame) -> None:
    found = profile(frame)
    assert str(found)
    assert found.to_polars().height == frame.width
    assert found.to_dict()["rows"] == frame.height
    found.plot().canvas.draw()
    html = found._repr_html_()
    assert "<b>" not in html.replace("<b>", "", html.count("class='fact'"))


def test_time_zones_do_not_move_a_moment() -> None:
    moments = pl.Series([dt.datetime(2024, 6, 1, 12)]).dt.replace_time_zone("Europe/Kyiv")
    dates = profile({"at": moments})["at"].dates
    assert dates is not None
    assert dates.first == dt.datetime(2024, 6, 1, 9, tzinfo=dt.UTC)


COLUMNS = st.fixed_dictionaries(
    {
        "n": st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=25, max_size=25),
        "t": st.lists(st.one_of(st.none(), st.sampled_from("abc")), min_size=25, max_size=25),
        "i": st.permutations(range(25)),
    }
)


@settings(max_examples=25, deadline=None)
@given(columns=COLUMNS, order=st.permutations(range(25)))
def test_the_order_of_rows_and_a_constant_column_change_nothing(
    columns: dict[str, Any], order: list[int]
) -> None:
    frame = pl.DataFrame(columns, schema={"n": pl.Float64, "t": pl.String, "i": pl.Int64})
    before = profile(frame)
    after = profile(frame[order].with_columns(one=pl.lit(1)))
    for column in before.columns:
        other = after[column.name]
        numbers, others = column.numbers, other.numbers
        assert (column.missing, column.distinct, column.top, column.texts, column.notes) == (
            other.missing, other.distinct, other.top, other.texts, other.notes
        )  # fmt: skip
        if numbers is not None and others is not None:
            assert numbers.quantiles == others.quantiles
            if numbers.mean is not None:
                assert numbers.mean == pytest.approx(others.mean, rel=1e-9, abs=1e-6)


def test_a_sample_says_so_and_is_the_same_for_a_table_and_a_frame(workspace: Workspace) -> None:
    frame = pl.DataFrame({"row": range(5000), "x": np.arange(5000) % 10})
    table = read_table(frame, name="numbers")
    ours, other = profile(table, rows=500), profile(frame.lazy(), rows=500)
    assert "500 of 5,000 rows, drawn at random with seed 0" in str(ours)
    assert ours.columns == other.columns
    assert ours["x"].rows == 500
    assert profile("numbers").subject == "numbers:1"
    with pytest.raises(InvalidInput, match="'row'"):
        profile(table, columns=["rwo"])
