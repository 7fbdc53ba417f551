"""Each kind of rule, against rows and other implementations."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.read import read_images
from lepton_ai.data.quality import (
    Complete,
    Context,
    Expression,
    Fresh,
    Length,
    NotNull,
    OneOf,
    Pattern,
    Range,
    References,
    RowCount,
    Stable,
    Statistic,
    Type,
    Unique,
    check,
    check_table,
    gate,
    quarantine,
    read_rules,
    set_rules,
)
from lepton_ai.data.quality.rules import stability
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace
from tests.data.quality.shared import ROWS


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        (NotNull(column="age"), [2, 3]),
        (Range(column="age", low=0, high=120), [1]),
        (OneOf(column="age", values=(31, -5)), []),
        (Expression(formula="age < 40"), []),
        (Range(column="start", high=dt.date(2026, 3, 1)), [1]),
        (Length(column="code", low=2, high=2), [1]),
        (Pattern(column="code", pattern="[A-Z][0-9]"), [1, 2]),
        (OneOf(column="sex", values=("f", "m")), [2]),
        (Unique(key=("id",)), [2]),
        (Unique(key=("id", "sex")), []),
        (Expression(formula="start <= end"), [1]),
        (Type(column="age", type="integer"), []),
        (Type(column="code", type="text"), []),
        (Type(column="code", type="date"), [0, 1, 2]),
        (Type(column="start", type="datetime"), []),
        (Type(column="start", type="number"), [0, 1, 3]),
        (Type(column="id", type="boolean"), [1, 2, 3]),
        (Type(column="age", type="boolean"), [0, 1]),
        (Unique(key=("sex", "code")), []),
    ],
)
def test_rules_about_rows(rule, places: list[int]) -> None:
    (finding,) = check(ROWS, [rule]).findings
    assert finding.failed == len(places)
    assert list(finding.places) == places
    assert finding.passed is not bool(places)


def test_rules_about_the_whole() -> None:
    now = dt.datetime.now(dt.UTC)
    frame = ROWS.with_columns(at=pl.lit(now - dt.timedelta(hours=5)))
    rules = [
        Complete(column="sex", share=0.75), Complete(column="sex", share=0.76),
        RowCount(low=4, high=4), RowCount(low=5),
        Fresh(column="at", hours=6), Fresh(column="at", hours=4),
    ]  # fmt: skip
    report = check(frame, rules)
    assert [f.passed for f in report.findings] == [True, False, True, False, True, False]
    assert report.score == 0.5
    assert "5.0 h old" in str(report)
    assert report.to_html().count("<tr") == 7


@pytest.mark.parametrize(
    ("kind", "fits", "not_"),
    [
        ("integer", ["1", "-7", " 12 ", "007"], ["1.0", "x", "", "1e3", "١٢"]),
        ("number", ["1", "1.5", "-2e3"], ["1,5", "x", "1 2"]),
        ("boolean", ["true", "False", "0"], ["yes", "2"]),
        (
            "date",
            ["2026-02-28"],
            ["2026-02-30", "28.2.2026", "2026-02-28 10:00", "26-02-28", "2026-2-8"],
        ),
        (
            "datetime",
            [
                "2026-02-28",
                "2026-02-28T10:00:01",
                "2026-02-28 10:00",
                "2026-02-28T10:00:00.5+01:00",
                "2026-02-28T10:00Z",
            ],
            ["2026-02-28 25:00", "soon", "26-02-28 10:00", "2026-02-30 10:00", "2026-02-28Z"],
        ),
    ],
)
def test_text_that_stands_for_a_type(kind, fits: list[str], not_: list[str]) -> None:
    (finding,) = check({"x": [*fits, *not_, None]}, [Type(column="x", type=kind)]).findings
    assert finding.failed == len(not_)
    assert list(finding.places) == list(range(len(fits), len(fits) + len(not_)))[:5]


def test_a_key_of_which_a_part_is_empty_is_none() -> None:
    frame = pl.DataFrame({"a": [1, 1, None, None, 1], "b": [0.0, None, 2.0, 2.0, -0.0]})
    assert check(frame, [Unique(key=("a", "b"))]).findings[0].places == (4,)
    nothing = {"x": [None, None, float("nan"), float("nan"), 0.0]}
    assert check(nothing, [Unique(key=("x",))]).passed
    there = Context(present=pl.DataFrame(nothing))
    assert check(nothing, [Unique(key=("x",))], context=there).findings[0].places == (4,)


def test_a_bound_that_is_a_date_is_the_whole_day() -> None:
    last = dt.datetime(2026, 3, 1, 23, 59)
    for zone in (None, "UTC"):
        times = pl.Series([last, last + dt.timedelta(minutes=1)]).dt.replace_time_zone(zone)
        (finding,) = check({"at": times}, [Range(column="at", high=last.date())]).findings
        assert finding.places == (1,)


def test_days_are_not_compared_with_numbers() -> None:
    day = dt.date(2026, 1, 1)
    for values, bound in (
        ([day], 0),
        ([dt.datetime(2026, 1, 1)], 0),
        ([20_000], day),
        ([1.0], day),
    ):
        with pytest.raises(InvalidInput, match="numbers with numbers"):
            check({"x": values}, [Range(column="x", low=bound)])


def test_values_are_numbers_of_the_columns_kind() -> None:
    frame = pl.DataFrame({"x": [0.1, 1.0, 2.5, 3.0]}, schema={"x": pl.Float32})
    (finding,) = check(frame, [OneOf(column="x", values=(0.1, 1, 2.5))]).findings
    assert finding.places == (3,)
    large = 2**53 + 1
    assert not check(
        {"x": [large - 1]}, read_rules(f"- {{rule: range, column: x, low: {large}}}\n")
    ).passed


def test_a_formula_about_all_rows_holds_for_each_or_none(workspace: Workspace) -> None:
    rule = Expression(formula="sum(n) > 5")
    frame = pl.DataFrame({"n": [1, 2, 3]})
    assert check(frame, [rule, NotNull(column="n")]).passed
    assert check(frame.head(0), [rule]).passed
    set_rules(workspace, "t", [rule])
    assert len(read_table(frame, name="t")) == 3
    assert len(read_table(frame.head(2), name="t")) == 0
    assert quarantine("t").to_polars()["n"].to_list() == [1, 2]


@pytest.mark.parametrize(
    "formula",
    ["n + 1", "None", "n > 'x'", "day > '2026-01-01'", "matches(text, '(')", "n" + " + n" * 2000],
)
def test_a_formula_that_says_nothing_is_refused(formula: str) -> None:
    frame = {"n": [1], "day": [dt.date(2026, 1, 1)], "text": ["a"]}
    with pytest.raises(InvalidInput, match=r"cannot be measured|nested too deeply"):
        check(frame, [Expression(formula=formula)])


def test_what_cannot_be_measured_is_told_whatever_the_column_holds() -> None:
    far = pl.Series([2**62]).cast(pl.Datetime("us"))
    for rule in (Fresh(column="x", hours=1), Range(column="x", high=dt.date(2026, 1, 1))):
        with pytest.raises(InvalidInput, match="cannot be measured"):
            check({"x": far}, [rule])
    frame = {"x": [[1]] * 60}
    rules = [Fresh(column="x", hours=1), Stable(column="x"), Range(column="x", low=1)]
    for rule in rules:
        with pytest.raises(InvalidInput, match="cannot be measured"):
            check(frame, [rule], context=Context(before=pl.DataFrame(frame)))


def test_a_fraction_is_no_integer() -> None:
    frame = {"x": [1.0, 1.5, None, float("nan"), float("inf")]}
    (finding,) = check(frame, [Type(column="x", type="integer")]).findings
    assert list(finding.places) == [1, 4]


def test_statistics_lie_between_bounds() -> None:
    frame = {"x": [1.0, 2.0, 6.0, None, float("nan")], "c": ["a", "b", "a", None, "b"]}
    rules = [
        Statistic(column="x", of="mean", low=3, high=3),
        Statistic(column="x", of="median", high=1.9),
        Statistic(column="x", of="std", low=2.645, high=2.646),
        Statistic(column="x", of="sum", low=9.5),
        Statistic(column="c", of="distinct", high=2),
    ]
    report = check(frame, rules)
    assert [f.passed for f in report.findings] == [True, False, True, False, True]
    assert report.findings[1].detail == "it is 2"
    with pytest.raises(InvalidInput, match="not numbers"):
        check(frame, [Statistic(column="c", of="mean", low=1)])


def test_stability_is_the_textbooks() -> None:
    before = pl.Series(["a"] * 50 + ["b"] * 50)
    now = pl.Series(["a"] * 70 + ["b"] * 30)
    assert stability(before, now) == pytest.approx(
        (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    )
    normal = np.random.default_rng(0).normal(size=(2, 5000))
    assert stability(pl.Series(normal[0]), pl.Series(normal[1])) < 0.02
    assert stability(pl.Series(normal[0]), pl.Series(normal[1] + 1)) > 0.5
    # Against NumPy: ten intervals between the deciles of the rows before.
    edges = np.quantile(normal[0], np.arange(1, 10) / 10)
    old, new = (np.bincount(np.searchsorted(edges, x)) / 5000 for x in (normal[0], normal[1] + 1))
    assert stability(pl.Series(normal[0]), pl.Series(normal[1] + 1)) == pytest.approx(
        ((new - old) * np.log(new / old)).sum()
    )


def test_what_comes_to_lie_below_a_constant_is_not_the_same() -> None:
    five, zeros = pl.Series([5.0] * 100), pl.Series([0.0] * 60 + [*range(1, 41)])
    for other in (3.0, 7.0, None, float("nan")):
        assert stability(five, pl.Series([other] * 100, dtype=pl.Float64)) > 5
    assert stability(five, five) == 0
    assert stability(zeros, zeros.replace(0.0, -1.0)) > 5
    # NaN is no value, and not a large one.
    missing = pl.Series([float("nan")] * 40 + [*range(60)], dtype=pl.Float64)
    assert stability(missing, missing.fill_nan(None)) == 0


def test_text_rules_hold_for_columns_without_values_and_for_categories(
    workspace: Workspace,
) -> None:
    rules = [Length(column="x", low=2), Pattern(column="x", pattern="a+")]
    set_rules(workspace, "t", rules)
    assert len(read_table({"x": [None, None], "n": [1, 2]}, name="t")) == 2
    listed = pl.Series(["a", "aa", "bb"], dtype=pl.Enum(["a", "aa", "bb"]))
    assert [f.failed for f in check({"x": listed}, rules).findings] == [1, 1]


def test_values_of_another_dataset(workspace: Workspace) -> None:
    read_table({"ward": ["a", "b"]}, name="wards")
    set_rules(workspace, "stays", [References(column="ward", dataset="wards", other="ward")])
    stays = read_table({"ward": ["a", "c", None]}, name="stays")
    assert stays.to_polars()["ward"].to_list() == ["a", None]


def test_a_distribution_is_compared_with_the_version_before_or_a_named_one(
    workspace: Workspace,
) -> None:
    draw = np.random.default_rng(0).normal
    first = read_table({"x": draw(size=400), "k": range(400)}, name="t")
    second = first.overwrite({"x": draw(size=400) + 2, "k": range(400)})
    third = second.overwrite({"x": draw(size=400) + 2, "k": range(400)})
    before, pinned = Stable(column="x"), Stable(column="x", dataset="t:1")
    found = [
        [f.passed for f in check_table(t, [before, pinned]).findings]
        for t in (first, second, third)
    ]
    assert found == [[True, True], [False, False], [True, False]]
    # The keys of rows that are replaced do not count, their distribution does.
    set_rules(workspace, "t", [Unique(key=("k",)), Stable(column="x")])
    third.overwrite({"x": draw(size=400) + 2, "k": range(400)})
    with pytest.raises(InvalidInput, match="distributed as before"):
        third.overwrite({"x": draw(size=400), "k": range(400)})


def test_two_rules_refer_to_two_columns_of_one_dataset(workspace: Workspace) -> None:
    read_table({"ward": ["a", "b"], "head": ["x", "y"]}, name="wards")
    rules = [
        References(column="ward", dataset="wards", other="ward"),
        References(column="head", dataset="wards", other="head"),
    ]
    stays = read_table({"ward": ["a", "b"], "head": ["y", "z"]}, name="stays")
    assert [f.failed for f in check_table(stays, rules).findings] == [0, 1]
    with pytest.raises(InvalidInput, match="not there"):
        check_table(stays, [References(column="bed", dataset="wards", other="ward")])


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-5, 5), st.sampled_from("abc")), max_size=20)
)
def test_each_row_passes_or_fails_never_both(
    rows: list[tuple[int | None, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = Workspace.open(tmp_path_factory.getbasetemp() / "gate")
    frame = pl.DataFrame(rows, schema={"n": pl.Int64, "c": pl.String}, orient="row")
    frame = frame.with_row_index("row")
    rules = [Range(column="n", low=0), OneOf(column="c", values=("a", "b")), Unique(key=("n", "c"))]
    frames = [frame[: len(rows) // 3], frame[len(rows) // 3 :]]
    gated = gate(workspace, "nothing", frames, rules)
    passed = pl.concat(gated.passed(frames))
    failed = [row for part in gated.failed(frames) for row in part.rows(named=True)]
    assert sorted([*passed["row"], *(row["row"] for row in failed)]) == list(range(len(rows)))
    assert gated.kept_out == len(failed)
    assert passed["row"].is_sorted()
    assert all(row["_reasons"] for row in failed)
    assert check(passed, rules).passed


def test_all_columns_there_are_are_told(workspace: Workspace) -> None:
    table = read_table(ROWS, name="people")
    rules = [Range(column="age", low=0), NotNull(column="name")]
    with pytest.raises(InvalidInput) as told:
        check_table(table, rules)
    assert str(ROWS.columns) in str(told.value)
    set_rules(workspace, "people", rules)
    with pytest.raises(InvalidInput) as told:
        table.append(ROWS)
    assert str(ROWS.columns) in str(told.value)


def test_a_formula_of_narrow_numbers_may_be_negative() -> None:
    frame = pl.DataFrame({"end": [1, 3], "begin": [3, 1]}, schema_overrides={"end": pl.UInt8})
    frame = frame.cast({"begin": pl.UInt8}).with_columns(code=pl.Series(["abc", "abcdef"]))
    for formula in ("end - begin >= 0", "length(code) - 5 >= 0"):
        assert check(frame, [Expression(formula=formula)]).findings[0].places == (0,)


def test_a_sum_goes_beyond_64_bits() -> None:
    for kind in (pl.Int64, pl.UInt64):
        frame = pl.DataFrame({"n": [2**62] * 4}, schema={"n": kind})
        (found,) = check(frame, [Statistic(column="n", of="sum", high=2**63)]).findings
        assert (found.passed, found.detail) == (False, "it is 1.84467e+19")


def test_a_set_of_images_is_there_and_no_table(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    read_images(tmp_path, name="scans")
    with pytest.raises(InvalidInput, match="'scans', which is no table"):
        check_table(
            read_table({"a": [1]}, name="t"), [References(column="a", dataset="scans", other="a")]
        )
