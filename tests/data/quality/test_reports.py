"""Rules as YAML, reports, history and commands."""

import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner

from lepton_ai.core.errors import InvalidInput
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
    RowCount,
    Stable,
    Statistic,
    Type,
    Unique,
    check,
    check_history,
    check_table,
    read_rules,
    rules_of,
    set_rules,
    write_rules,
)
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace
from tests.data.quality.shared import ROWS


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


def test_words_are_words() -> None:
    rules = read_rules("- {rule: one_of, column: on, values: [no, 2026-01-01]}\n")
    assert rules == [OneOf(column="on", values=("no", "2026-01-01"))]


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


def test_a_share_is_told_as_it_was_asked_for() -> None:
    (found,) = check({"x": [None] + [1] * 9999}, [Complete(column="x", share=0.99999)]).findings
    assert found.sentence == "x is known in at least 99.999% of the rows"
    assert found.detail == "100.0% of the rows have one, 1 row has none"


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
