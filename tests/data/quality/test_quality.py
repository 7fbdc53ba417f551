import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import (
    Complete,
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
    Unique,
    check,
    check_history,
    check_table,
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


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        (NotNull(column="age"), [2]),
        (Range(column="age", low=0, high=120), [1, 3]),
        (Range(column="start", high=dt.date(2026, 3, 1)), [1]),
        (Length(column="code", low=2, high=2), [1]),
        (Pattern(column="code", pattern="[A-Z][0-9]"), [1, 2]),
        (OneOf(column="sex", values=("f", "m")), [2]),
        (Unique(key=("id",)), [2]),
        (Unique(key=("id", "sex")), []),
        (Expression(formula="start <= end"), [1]),
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


def test_stability_is_the_textbooks() -> None:
    before = pl.Series(["a"] * 50 + ["b"] * 50)
    now = pl.Series(["a"] * 70 + ["b"] * 30)
    assert stability(before, now) == pytest.approx(
        (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    )
    normal = np.random.default_rng(0).normal(size=(2, 5000))
    assert stability(pl.Series(normal[0]), pl.Series(normal[1])) < 0.02
    assert stability(pl.Series(normal[0]), pl.Series(normal[1] + 1)) > 0.5


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


def test_a_rule_about_the_whole_refuses_everything(workspace: Workspace) -> None:
    set_rules(workspace, "people", [Complete(column="age", share=0.9), NotNull(column="sex")])
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
    gated = gate(workspace, "nothing", frame, rules)
    assert sorted([*gated.passed["row"], *gated.failed["row"]]) == list(range(len(rows)))
    assert gated.passed["row"].is_sorted()
    assert all(gated.failed["_reasons"].str.len_chars() > 0)
    assert check(gated.passed, rules).passed


def test_yaml_there_and_back() -> None:
    rules = [
        NotNull(column="a"), Range(column="b", low=0.5, high=3, severity="warning"),
        Unique(key=("a", "b")), Pattern(column="ü", pattern="x{2}"), Expression(formula="a < b"),
        RowCount(low=1),
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
        ("rules:\n- {rule: expression, formula: 'import os'}", "no formula"),
        ("a: [\n", "no YAML"), ("3\n", "rules are a list"),
        ("a: &a [x]\nb: [*a, *a]\n", "without anchors"),
        ("!!python/object/apply:os.system ['true']\n", "no YAML"),
        ("x" * 1_000_001 + "\n", "may have"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_rules(text)


def test_wrong_columns_are_told() -> None:
    for rule in (NotNull(column="nothing"), Range(column="code", low=1), Length(column="age")):
        with pytest.raises(InvalidInput, match=r"not there|cannot be measured"):
            check(ROWS, [rule])


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
    assert "2 rows" in done.output
    text = (tmp_path / "q.csv").read_text().replace("-5.0", "5.0").replace("NaN", "7.0")
    (tmp_path / "q.csv").write_text(text)
    done = run.invoke(quality, ["readmit", "people", str(tmp_path / "q.csv")])
    assert done.output == "2 rows entered people, 0 stay out\n", done.exception
    assert len(open_dataset("people")) == 4
