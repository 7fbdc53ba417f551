import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, change_entry
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
    check_history,
    check_table,
    clear_rules,
    gate,
    quarantine,
    read_rules,
    readmit,
    rules_of,
    set_rules,
    write_rules,
)
from lepton_ai.data.quality.rules import stability
from lepton_ai.data.read_table import read_table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

ROWS = pl.DataFrame(
    {
        "id": [1, 2, 2, 4],
        "age": [31.0, -5.0, None, float("nan")],
        "code": ["A1", "B22", "a1", None],
        "sex": ["f", "m", "x", None],
        "start": [dt.date(2026, 1, 1), dt.date(2026, 5, 1), None, dt.date(2026, 3, 1)],
        "end": [dt.date(2026, 2, 1), dt.date(2026, 4, 1), dt.date(2026, 1, 1), None],
    }
)


def hide(workspace: Workspace, dataset: str, column: str) -> None:
    """Tag a column, so that a visitor sees it masked."""
    said = {column: ColumnEntry(tags=("personal",))}
    change_entry(workspace, dataset, lambda entry: msgspec.structs.replace(entry, columns=said))


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


def test_rows_that_break_a_rule_are_kept_aside_in_the_same_commit(workspace: Workspace) -> None:
    set_rules(
        workspace, "people",
        [Unique(key=("id",)), Range(column="age", low=0), NotNull(column="age"),
         OneOf(column="sex", values=("f", "m"), severity="warning")],
    )  # fmt: skip
    table = read_table(ROWS, name="people")
    assert table.to_polars()["id"].to_list() == [1]
    kept = quarantine("people")
    assert kept is not None
    rows = kept.to_polars()
    assert rows["id"].to_list() == [2, 2, 4]
    assert rows["_reasons"][1] == "id is different in each row; age is never empty"
    assert_frame_equal(rows.select(ROWS.columns), ROWS[1:])
    table.append({"id": [1, 7], "age": [50.0, 60.0]})
    assert open_dataset("people").to_polars()["id"].to_list() == [1, 7]
    assert quarantine("people").to_polars()["id"].to_list() == [2, 2, 4, 1]
    # A row may be replaced under its own key.
    open_dataset("people").upsert({"id": [7], "age": [61.0]}, on="id")
    assert open_dataset("people").to_polars().filter(pl.col("id") == 7)["age"].item() == 61.0
    mended = (
        quarantine("people")
        .to_polars()[:2]
        .with_columns(age=pl.Series([5.0, -1.0]), id=pl.Series([2, 3]))
    )
    assert readmit("people", mended) == (1, 1)
    assert sorted(open_dataset("people").to_polars()["id"]) == [1, 2, 7]
    left = quarantine("people").to_polars()
    assert sorted(left["id"]) == [1, 3, 4]
    with pytest.raises(NotFound, match="unknown"):
        readmit("people", mended)
    assert list(workspace.verify()) == []


def test_keys_are_those_of_the_rows_that_stay(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Unique(key=("id",)), Unique(key=("mail",))])
    table = read_table({"id": [1, 2], "mail": ["a", "b"]}, name="t")
    table = table.overwrite({"id": [1], "mail": ["c"]}, where="id = 1")
    assert sorted(table.to_polars().rows()) == [(1, "c"), (2, "b")]
    assert quarantine("t") is None
    # Another key than that by which rows are replaced.
    table = table.upsert({"id": [1, 3], "mail": ["c", "b"]}, on="id")
    assert sorted(table.to_polars().rows()) == [(1, "c"), (2, "b")]
    assert quarantine("t").to_polars()["_reasons"].to_list() == ["mail is different in each row"]


def test_the_key_of_a_row_that_stays_as_what_comes_is_kept_out_counts(
    workspace: Workspace,
) -> None:
    rules = [Unique(key=("id",)), Unique(key=("mail",)), Range(column="age", low=0)]
    set_rules(workspace, "t", rules)
    there = {"id": [1, 2, 3, 5], "mail": ["a", "b", "c", "z"], "age": [20, 21, 22, 30]}
    # Each takes the address of the one before, and the first may not enter: nor may the others.
    came = {"id": [1, 2, 3, 4], "mail": ["x", "a", "b", "c"], "age": [-5, 1, 2, 3]}
    table = read_table(there, name="t").upsert(came, on="id")
    assert sorted(table.to_polars().rows()) == sorted(zip(*there.values(), strict=True))
    mail = "mail is different in each row"
    assert quarantine("t").to_polars()["_reasons"].to_list() == ["age is at least 0", *[mail] * 3]
    assert [f.failed for f in check_history("t")[-1].findings] == [0, 3, 1]


def test_a_key_that_is_none_is_not_taken(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Unique(key=("x",)), Range(column="age", low=0)])
    table = read_table({"id": [1, 2], "x": [float("nan"), 2.0], "age": [1, 2]}, name="t")
    table = table.upsert({"id": [1, 2], "x": [5.0, float("nan")], "age": [-1, 7]}, on="id")
    assert sorted(table.to_polars()["age"]) == [1, 7]


@given(
    there=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), max_size=6),
    came=st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 1)), max_size=6),
)
@settings(max_examples=15, deadline=None)
def test_a_key_is_there_once_whatever_is_replaced(
    there: list[tuple[int, int]],
    came: list[tuple[int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    workspace = Workspace.open(tmp_path_factory.mktemp("keys"))
    set_rules(workspace, "t", [Unique(key=("mail",)), Range(column="age", low=0)])

    def rows(some: list[tuple[int, int]]) -> pl.DataFrame:
        schema = {"id": pl.Int64, "mail": pl.Int64, "age": pl.Int64}
        return pl.DataFrame([(n, *one) for n, one in enumerate(some)], schema, orient="row")

    table = read_table(rows(there), name="t", workspace=workspace)
    after = table.upsert(rows(came), on="id").to_polars()
    assert after["mail"].is_unique().all()
    assert after["id"].is_unique().all()


def test_keys_are_those_of_the_branch(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Unique(key=("id",))])
    branch = read_table({"id": [1, 2]}, name="t").branch("trial")
    branch = branch.append({"id": [3]}).append({"id": [3]})
    assert sorted(branch.to_polars()["id"]) == [1, 2, 3]
    branch = branch.delete("id = 1").append({"id": [1]})
    assert sorted(branch.to_polars()["id"]) == [1, 2, 3]
    row = quarantine("t#trial").to_polars().with_columns(id=pl.lit(4, dtype=pl.Int64))
    assert readmit("t#trial", row) == (1, 0)
    assert sorted(open_dataset("t#trial").to_polars()["id"]) == [1, 2, 3, 4]
    assert len(open_dataset("t")) == 2


def test_a_branch_knows_columns_by_their_newest_names(workspace: Workspace) -> None:
    table = read_table({"id": [1, 2]}, name="t")
    branch = table.branch("trial")
    table.evolve(rename={"id": "number"})
    set_rules(workspace, "t", [Unique(key=("number",))])
    assert sorted(branch.append({"number": [1, 3]}).to_polars()["number"]) == [1, 2, 3]


def test_text_rules_hold_for_columns_without_values_and_for_categories(
    workspace: Workspace,
) -> None:
    rules = [Length(column="x", low=2), Pattern(column="x", pattern="a+")]
    set_rules(workspace, "t", rules)
    assert len(read_table({"x": [None, None], "n": [1, 2]}, name="t")) == 2
    listed = pl.Series(["a", "aa", "bb"], dtype=pl.Enum(["a", "aa", "bb"]))
    assert [f.failed for f in check({"x": listed}, rules).findings] == [1, 1]


def test_no_row_is_lost_where_those_that_pass_are_there_already(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 99]}, name="t")
    again = read_table({"n": [1, 99]}, name="t")
    assert again.ref == "t:1"
    assert quarantine("t").to_polars()["n"].to_list() == [99]
    read_table({"n": [1, 55]}, name="t")
    assert quarantine("t").to_polars()["n"].to_list() == [99, 55]
    assert open_dataset("t").to_polars()["n"].to_list() == [1]


def test_a_repair_is_whole(workspace: Workspace) -> None:
    set_rules(workspace, "people", [Range(column="age", high=120)])
    read_table({"name": ["Ada", "Bob"], "age": [36, 410]}, name="people")
    mended = quarantine("people").to_polars().with_columns(age=pl.lit(41)).drop("name")
    with pytest.raises(InvalidInput, match="would be lost"):
        readmit("people", mended)
    hide(workspace, "people", "name")
    with acting_as("visitor"), pytest.raises(AccessDenied, match="readmit"):
        readmit("people", mended)
    assert quarantine("people").to_polars()["name"].to_list() == ["Bob"]


def test_a_warning_keeps_nothing_out_even_if_it_cannot_be_measured(workspace: Workspace) -> None:
    rules = [
        Range(column="s", low=1, severity="warning"),
        NotNull(column="other", severity="warning"),
        References(column="s", dataset="gone", other="x", severity="warning"),
    ]
    set_rules(workspace, "t", rules)
    assert len(read_table({"s": ["a"]}, name="t")) == 1
    (report,) = check_history("t")
    assert [(f.passed, f.detail) for f in report.findings] == [
        (False, "it cannot be measured on these rows")
    ] * 3


def test_a_rule_about_the_whole_refuses_everything(workspace: Workspace) -> None:
    set_rules(workspace, "people", [Complete(column="sex", share=0.9), NotNull(column="sex")])
    with pytest.raises(InvalidInput, match=r"may not enter people.*75.0% of the rows"):
        read_table(ROWS, name="people")
    assert quarantine("people") is None
    with pytest.raises(NotFound):
        open_dataset("people")


def test_values_of_another_dataset(workspace: Workspace) -> None:
    read_table({"ward": ["a", "b"]}, name="wards")
    set_rules(workspace, "stays", [References(column="ward", dataset="wards", other="ward")])
    stays = read_table({"ward": ["a", "c", None]}, name="stays")
    assert stays.to_polars()["ward"].to_list() == ["a", None]


def test_a_change_of_distribution_is_refused(workspace: Workspace) -> None:
    read_table({"x": np.random.default_rng(0).normal(size=500)}, name="t")
    set_rules(workspace, "t", [Stable(column="x")])
    open_dataset("t").append({"x": np.random.default_rng(1).normal(size=300)})
    with pytest.raises(InvalidInput, match="distributed as before"):
        open_dataset("t").append({"x": np.random.default_rng(1).normal(size=300) + 3})


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


def test_what_rules_need_is_read_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lepton_ai.data.quality import context

    read_table({"ward": ["a", "b"], "head": ["x", "y"]}, name="wards")
    stays = read_table({"ward": ["a"], "head": ["y"], "id": [1]}, name="stays")
    rules = [
        References(column="ward", dataset="wards", other="ward"),
        References(column="head", dataset="wards", other="head"),
        Unique(key=("id",)),
        Unique(key=("id", "ward")),
    ]
    set_rules(workspace, "stays", rules)
    read: list[str] = []
    for name in ("open_dataset", "_there"):
        whole = getattr(context, name)

        def counting(*args, name: str = name, whole=whole):
            read.append(name)
            return whole(*args)

        monkeypatch.setattr(context, name, counting)
    assert len(stays.append({"ward": ["b", "c"], "head": ["x", "y"], "id": [2, 3]})) == 2
    assert sorted(read) == ["_there", "open_dataset"]


def test_what_came_is_in_the_history_warnings_too(workspace: Workspace) -> None:
    rules = [NotNull(column="sex"), Range(column="age", low=0, severity="warning")]
    set_rules(workspace, "people", rules)
    read_table(ROWS, name="people").append({"age": [-1.0], "sex": ["f"]})
    first, second = check_history("people")
    assert (first.subject, first.rows, first.passed) == ("people, rows that came", 4, False)
    assert [f.failed for f in first.findings] == [1, 1]
    assert second.passed
    assert [f.passed for f in second.findings] == [True, False]


def test_no_value_is_kept_and_none_is_shown_to_who_may_not_see_it(workspace: Workspace) -> None:
    table = read_table({"name": ["Ada", "Bob7"], "age": [36, 41]}, name="people")
    rule = Pattern(column="name", pattern="[A-Za-z]+")
    assert "'Bob7'" in str(check_table(table, [rule]))
    assert "Bob7" not in str(check_history("people")[0].to_json())
    assert check_history("people")[0].findings[0].failed == 1
    hide(workspace, "people", "name")
    with acting_as("visitor"):
        seen = open_dataset("people")
        with pytest.raises(AccessDenied, match="check rules"):
            check_table(seen, [rule])
        assert check_table(seen, [Range(column="age", low=0)]).passed


def test_masked_rows_are_not_readmitted(workspace: Workspace) -> None:
    set_rules(workspace, "people", [Range(column="age", high=120)])
    read_table({"name": ["Ada", "Bob"], "age": [36, 410]}, name="people")
    hide(workspace, "people", "name")
    with acting_as("visitor"):
        rows = quarantine("people").to_polars().with_columns(age=pl.lit(41))
        assert rows["name"].item() == "***"
        with pytest.raises(AccessDenied, match="readmit"):
            readmit("people", rows)
    assert quarantine("people").to_polars()["name"].item() == "Bob"


def test_markup_and_control_characters_are_text(workspace: Workspace) -> None:
    name = "<script>x</script>\x1b[31m"
    frame = {name: ["<img src=x onerror=alert(1)>\x1b[2J" + "y" * 500]}
    report = check(frame, [OneOf(column=name, values=("a",))], subject="<b>t</b>")
    assert "\x1b" not in str(report)
    assert max(map(len, str(report).splitlines())) < 250
    html = report.to_html()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


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


def test_yaml_there_and_back() -> None:
    rules = [
        NotNull(column="a"), Range(column="b", low=0.5, high=3, severity="warning"),
        Unique(key=("a", "b")), Pattern(column="ü", pattern="x{2}"), Expression(formula="a < b"),
        RowCount(low=1), Type(column="a", type="date"), Stable(column="b", dataset="t:3"),
        Statistic(column="b", of="mean", high=3.0),
    ]  # fmt: skip
    assert read_rules(write_rules(rules)) == rules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules:\n- {rule: nothing}", "rule 1.*there are complete"),
        ("rules:\n- {rule: not_null}", "rule 1.*column"),
        ("rules:\n- {rule: not_null, column: a, low: 3}", "unknown"),
        ("rules:\n- {rule: range, column: a, low: soon}", "rule 1"),
        ("rules:\n- {rule: pattern, column: a, pattern: '('}", "no regular expression"),
        ("rules:\n- {rule: type, column: a, type: colour}", "rule 1"),
        ("rules:\n- {rule: range, column: a}", "needs a bound"),
        ("rules:\n- {rule: range, column: a, low: 3, high: 1}", "above high=1"),
        ("rules:\n- {rule: row_count}", "needs a bound"),
        ("rules:\n- {rule: complete, column: a, share: 95}", "no share"),
        ("rules:\n- {rule: unique, key: []}", "columns of a key"),
        ("rules:\n- {rule: expression, formula: 'import os'}", "no formula"),
        ("a: [\n", "no YAML"), ("3\n", "rules are a list"),
        ("a: &a [x]\nb: [*a, *a]\n", "without anchors"),
        ("rules:\n- {rule: range, column: a, low: 0, low: 9}", "'low' is there twice"),
        ("rules:\n- {rule: row_count, low: 1}\nrules: []\n", "'rules' is there twice"),
        ("rules: []\nseverity: warning\n", "beside it is nothing"),
        ("!!python/object/apply:os.system ['true']\n", "no YAML"),
        ("x" * 1_000_001 + "\n", "may have"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_rules(text)


def test_rules_of_masked_columns_tell_no_values(workspace: Workspace) -> None:
    rules = [OneOf(column="city", values=("Kyiv",)), Range(column="age", low=7)]
    set_rules(workspace, "people", rules)
    table = read_table({"city": ["Kyiv", "Lviv"], "age": [36, 41]}, name="people")
    check_table(table, rules)
    hide(workspace, "people", "city")
    assert rules_of(workspace, "people") == rules
    assert "Kyiv" in str(check_history("people"))
    with acting_as("visitor"):
        with pytest.raises(AccessDenied, match="read the rules"):
            rules_of(workspace, "people")
        said = str(check_history("people"))
        kept = quarantine("people")
        assert kept is not None
        assert kept.to_polars()["_reasons"].to_list() == ["***"]
        # Rows still pass, or not, by the rules that are not shown.
        open_dataset("people").append({"city": ["Kyiv", "Odesa"], "age": [1, 50]})
    assert "Kyiv" not in said
    assert "one_of of city, which you see masked" in said
    assert "age is at least 7" in said
    assert len(open_dataset("people")) == 1


@pytest.mark.parametrize(
    "rule",
    [
        OneOf(column="city", values=(987654321,)),
        Statistic(column="city", of="distinct", low=987654321),
        Expression(formula="city == 987654321"),
        Expression(formula=r'col("\x63ity") > 987654321'),
    ],
)
def test_what_refuses_rows_tells_nothing_of_masked_columns(workspace: Workspace, rule) -> None:
    table = read_table({"city": ["Kyiv"], "age": [1]}, name="people")
    if isinstance(rule, Statistic):
        check_table(table, [rule])
    hide(workspace, "people", "city")
    set_rules(workspace, "people", [rule])
    with acting_as("visitor"):
        with pytest.raises(InvalidInput, match="of city, which you see masked") as refused:
            open_dataset("people").append({"city": ["Lviv"], "age": [2]})
        assert "987654321" not in str(refused.value)
        assert "987654321" not in str(check_history("people"))


def test_the_history_knows_which_columns_a_rule_reads(workspace: Workspace) -> None:
    set_rules(workspace, "people", [Expression(formula=r'col("\x63ity") == "Kyiv"')])
    read_table({"city": ["Kyiv", "Lviv"]}, name="people")
    hide(workspace, "people", "city")
    with acting_as("visitor"):
        said = str(check_history("people"))
    assert "expression of city, which you see masked" in said
    assert "Kyiv" not in said


def test_values_elsewhere_that_are_masked_cannot_be_checked_against(workspace: Workspace) -> None:
    read_table({"ward": ["a", "b"]}, name="wards")
    read_table({"ward": ["a", "c"]}, name="stays")
    hide(workspace, "wards", "ward")
    rule = References(column="ward", dataset="wards", other="ward")
    with acting_as("visitor"), pytest.raises(AccessDenied, match="check rules"):
        check_table(open_dataset("stays"), [rule])
    assert check_history("stays") == []


@pytest.mark.parametrize(
    "rule",
    [
        Range(column="a", low="x"), Range(column="a", high=dt.datetime(2026, 1, 1)),
        Range(column="a", high=float("nan")), Range(column="a", low=-float("inf")),
        Fresh(column="a", hours=float("inf")), Fresh(column="a", hours=-1),
        Stable(column="a", most=-1), Unique(key="visit"), Type(column="a", type="colour"),
        NotNull(column="a", severity="fatal"), OneOf(column="a", values=()), "not_null",
        Length(column="a", high=-1), RowCount(low=-3, high=-1), Complete(column="a", share="x"),
    ],
)  # fmt: skip
def test_a_rule_that_could_not_be_read_again_is_not_kept(workspace: Workspace, rule) -> None:
    with pytest.raises(InvalidInput):
        set_rules(workspace, "t", [rule])
    with pytest.raises(InvalidInput):
        check({"a": [1]}, [rule])
    assert rules_of(workspace, "t") == []


@pytest.mark.parametrize(
    "name", ["people:1", "people@best", "people#trial", "a/b", "", "t.quarantine"]
)
def test_rules_are_not_set_where_they_would_hold_for_nothing(
    workspace: Workspace, name: str
) -> None:
    with pytest.raises(InvalidInput, match="no name of a table"):
        set_rules(workspace, name, [NotNull(column="a")])


def test_rules_and_history_are_those_of_all_versions(workspace: Workspace) -> None:
    for ask in (lambda: rules_of(workspace, "t:1"), lambda: check_history("t:1")):
        with pytest.raises(InvalidInput, match="no name of a table"):
            ask()


def test_bytes_do_not_come_back_as_text(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [99], "raw": [b"\x00"]}, name="t")
    rows = quarantine("t").to_polars().with_columns(n=pl.lit(1))
    with pytest.raises(InvalidInput, match="holds bytes"):
        readmit("t", rows.with_columns(raw=pl.lit("AA==")))
    assert readmit("t", rows) == (1, 0)


def test_words_are_words() -> None:
    rules = read_rules("- {rule: one_of, column: on, values: [no, 2026-01-01]}\n")
    assert rules == [OneOf(column="on", values=("no", "2026-01-01"))]


def test_wrong_columns_are_told() -> None:
    for rule in (
        NotNull(column="nothing"),
        Range(column="code", low=1),
        Length(column="age", low=1),
    ):
        with pytest.raises(InvalidInput, match=r"not there|cannot be measured"):
            check(ROWS, [rule])


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


def test_checks_are_kept_version_by_version(workspace: Workspace) -> None:
    table = read_table(ROWS, name="people")
    check_table(table, [NotNull(column="age")])
    check_table(table.append({"id": [9], "age": [3.0]}), [RowCount(low=1)])
    assert [(r.subject, r.passed) for r in check_history("people")] == [
        ("people:1", False),
        ("people:2", True),
    ]


def test_on_the_command_line(workspace: Workspace, tmp_path: Path) -> None:
    from lepton_ai.apps.cli.quality import quality

    run = CliRunner()
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n- {rule: range, column: age, low: 0}\n")
    assert run.invoke(quality, ["set", "people", str(rules)]).exit_code == 0
    assert rules_of(workspace, "people") == [Range(column="age", low=0)]
    read_table(ROWS.drop("start", "end"), name="people")
    assert run.invoke(quality, ["check", "people"]).exit_code == 0
    done = run.invoke(quality, ["quarantine", "people", "--csv", str(tmp_path / "q.csv")])
    assert "1 row in" in done.output
    text = (tmp_path / "q.csv").read_text().replace("-5.0", "5.0")
    (tmp_path / "q.csv").write_text(text)
    done = run.invoke(quality, ["readmit", "people", str(tmp_path / "q.csv")])
    assert done.output == "1 row entered people, 0 stay out\n", done.exception
    assert len(open_dataset("people")) == 4


def test_the_command_that_adds_rows_tells_how_many_were_kept_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    from lepton_ai.apps.cli.data import data

    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 99]}, name="t")
    (tmp_path / "rows.csv").write_text("n\n2\n98\n97\n")
    run = CliRunner()
    added = run.invoke(data, ["append", "t", str(tmp_path / "rows.csv")]).output
    assert added.startswith("t:2: 2 rows\n2 rows kept aside")
    again = run.invoke(data, ["upsert", "t", str(tmp_path / "rows.csv"), "--on", "n", "--json"])
    assert json.loads(again.output)["kept_out"] == 2
    gone = run.invoke(data, ["delete", "t", "--where", "n = 2"]).output
    assert "kept aside" not in gone


def test_rows_come_back_from_a_file_as_they_were(workspace: Workspace, tmp_path: Path) -> None:
    from lepton_ai.apps.cli.quality import quality

    run = CliRunner()
    zone = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    rows = pl.DataFrame(
        {"zip": ["007", ""], "n": [999, 999], "on": [True, None], "day": [zone.date(), None],
         "at": [zone, None], "x": [0.1, None]}
    )  # fmt: skip
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table(rows, name="t")
    shown = run.invoke(quality, ["quarantine", "t"]).output
    assert "n is at most 9" in shown
    assert "2 of 2 rows" in shown
    path = tmp_path / "rows.csv"
    run.invoke(quality, ["quarantine", "t", "--csv", str(path)])
    path.write_text(path.read_text().replace("999", "nine", 1).replace("999", "9"))
    refused = run.invoke(quality, ["readmit", "t", str(path)])
    assert isinstance(refused.exception, InvalidInput)
    assert "'nine'" in str(refused.exception)
    path.write_text(path.read_text().replace("nine", "9"))
    done = run.invoke(quality, ["readmit", "t", str(path)])
    assert done.output == "2 rows entered t, 0 stay out\n", done.exception
    assert_frame_equal(
        open_dataset("t").to_polars(), rows.with_columns(n=pl.lit(9)), check_dtypes=False
    )
    assert run.invoke(quality, ["quarantine", "t"]).output == "nothing is kept aside\n"
    history = run.invoke(quality, ["history", "t"]).output
    assert "n is at most 9 (2 rows)" in history


def test_a_row_enters_once(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [99]}, name="t")
    row = quarantine("t").to_polars().with_columns(n=pl.lit(1))
    with pytest.raises(InvalidInput, match="another value"):
        readmit("t", row.with_columns(n=pl.lit(7.5)))
    with pytest.raises(InvalidInput, match="twice"):
        readmit("t", pl.concat([row, row]))


def test_rows_come_back_one_by_one(workspace: Workspace) -> None:
    whole = [RowCount(low=3), Statistic(column="n", of="mean", high=40)]
    set_rules(workspace, "t", [Range(column="n", high=9), *whole])
    read_table({"n": [1, 2, 99]}, name="t")
    row = quarantine("t").to_polars()
    assert readmit("t", row) == (0, 1)
    assert readmit("t", quarantine("t").to_polars().with_columns(n=pl.lit(9))) == (1, 0)


def test_an_extreme_is_a_value_of_a_row(workspace: Workspace) -> None:
    table = read_table({"n": [1.0, 76.5], "at": [dt.datetime(2026, 1, 1)] * 2}, name="t")
    rules = [Statistic(column="n", of=of, low=0) for of in ("max", "min", "mean")]
    found = check_table(table, [*rules, Fresh(column="at", hours=1)]).findings
    assert [f.detail for f in found[:3]] == ["it is 76.5", "it is 1", "it is 38.75"]
    (kept,) = check_history("t")
    assert [f.detail for f in kept.findings] == ["", "", "it is 38.75", ""]


def test_a_share_is_told_as_it_was_asked_for() -> None:
    (found,) = check({"x": [None] + [1] * 9999}, [Complete(column="x", share=0.99999)]).findings
    assert found.sentence == "x is known in at least 99.999% of the rows"
    assert found.detail == "100.0% of the rows have one, 1 row has none"


def test_a_row_that_two_mend_enters_once(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 98, 99]}, name="t")
    rows = quarantine("t").to_polars().with_columns(n=pl.Series([2, 99]))
    both = Barrier(2)

    def mend(_: int) -> tuple[int, int] | None:
        both.wait()
        try:
            return readmit("t", rows, workspace)
        except NotFound:
            return None

    with ThreadPoolExecutor(2) as pool:
        assert {*pool.map(mend, range(2))} == {(1, 1), None}
    assert open_dataset("t").to_polars()["n"].to_list() == [1, 2]
    # What failed again went back in the commit in which the others left.
    assert quarantine("t").to_polars()["n"].to_list() == [99]
    assert [n.version for n in workspace.lineage.list("dataset", "t.quarantine")] == [1, 2]


def test_rows_enter_where_the_rules_are_gone(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 99]}, name="t")
    clear_rules(workspace, "t")
    assert readmit("t", quarantine("t").to_polars()) == (1, 0)
    assert open_dataset("t").to_polars()["n"].to_list() == [1, 99]
    assert len(quarantine("t")) == 0
    assert len(check_history("t")) == 1


def test_a_formula_of_narrow_numbers_may_be_negative() -> None:
    frame = pl.DataFrame({"end": [1, 3], "begin": [3, 1]}, schema_overrides={"end": pl.UInt8})
    frame = frame.cast({"begin": pl.UInt8}).with_columns(code=pl.Series(["abc", "abcdef"]))
    for formula in ("end - begin >= 0", "length(code) - 5 >= 0"):
        assert check(frame, [Expression(formula=formula)]).findings[0].places == (0,)


def test_a_column_of_another_day_tells_no_values_where_any_is_masked(workspace: Workspace) -> None:
    rule = OneOf(column="diag", values=("HIV", "flu"))
    set_rules(workspace, "people", [rule])
    read_table({"diag": ["HIV"], "age": [1]}, name="people")
    clear_rules(workspace, "people")
    # Written anew under other names, which no version says to be the same.
    read_table({"diagnosis": ["HIV"], "age": [1]}, name="people")
    set_rules(workspace, "people", [rule])
    hide(workspace, "people", "diagnosis")
    with acting_as("visitor"):
        assert "HIV" not in str(check_history("people"))
        with pytest.raises(AccessDenied, match="read the rules"):
            rules_of(workspace, "people")
        with pytest.raises(InvalidInput, match="which you see masked") as refused:
            open_dataset("people").append({"age": [3]})
        assert "HIV" not in str(refused.value)


def test_a_sum_goes_beyond_64_bits() -> None:
    for kind in (pl.Int64, pl.UInt64):
        frame = pl.DataFrame({"n": [2**62] * 4}, schema={"n": kind})
        (found,) = check(frame, [Statistic(column="n", of="sum", high=2**63)]).findings
        assert (found.passed, found.detail) == (False, "it is 1.84467e+19")


def test_what_is_told_is_one_line() -> None:
    for rule in (Length(column="x", low=1), Pattern(column="x", pattern="(")):
        with pytest.raises(InvalidInput, match=r"cannot be measured|no regular") as told:
            check({"x": [[1]]}, [rule])
        assert "\n" not in str(told.value)


def test_the_history_has_the_checks_of_branches(workspace: Workspace) -> None:
    table = read_table({"n": [1]}, name="t")
    check_table(table.branch("trial").append({"n": [2]}), [NotNull(column="n")])
    assert [r.subject for r in check_history("t")] == ["t#trial:2"]
    assert check_history("t#trial") == check_history("t")


def test_the_quarantine_of_a_branch_shows_what_its_rules_read(workspace: Workspace) -> None:
    from lepton_ai.apps.cli.quality import quality

    rows = {"a": [1], "b": [2], "n": [99]}
    branch = read_table(rows, name="t").branch("trial")
    set_rules(workspace, "t", [Range(column="n", high=9)])
    branch.append(rows)
    shown = CliRunner().invoke(quality, ["quarantine", "t#trial"]).output
    assert shown.split()[:2] == ["n", "why"]


def test_a_set_of_images_is_there_and_no_table(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    read_images(tmp_path, name="scans")
    with pytest.raises(InvalidInput, match="'scans', which is no table"):
        check_table(
            read_table({"a": [1]}, name="t"), [References(column="a", dataset="scans", other="a")]
        )


def test_what_is_masked_in_a_branch_alone_is_not_told_of_it(workspace: Workspace) -> None:
    branch = read_table({"n": [1]}, name="t").branch("trial")
    source = read_table({"n": [987654]}, name="source")
    hide(workspace, "source", "n")
    rule = Statistic(column="n", of="sum", high=987654)
    tables.append(workspace, branch.name, [source.to_polars()], [(source.record().id, "data")])
    check_table(open_dataset("t#trial"), [rule])
    assert "987,654" in str(check_history("t"))
    with acting_as("visitor"):
        assert "statistic of n, which you see masked" in str(check_history("t"))
