"""What rules, refusals, history and pages tell of masked columns: nothing."""

import datetime as dt

import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.core.errors import AccessDenied, InvalidInput
from lepton_ai.data import tables
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import (
    Expression,
    Fresh,
    OneOf,
    Pattern,
    Range,
    References,
    Statistic,
    check_history,
    check_table,
    clear_rules,
    quarantine,
    readmit,
    rules_of,
    set_rules,
)
from lepton_ai.data.read_table import read_table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from tests.data.quality.shared import hide


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


def test_an_extreme_is_a_value_of_a_row(workspace: Workspace) -> None:
    table = read_table({"n": [1.0, 76.5], "at": [dt.datetime(2026, 1, 1)] * 2}, name="t")
    rules = [Statistic(column="n", of=of, low=0) for of in ("max", "min", "mean")]
    found = check_table(table, [*rules, Fresh(column="at", hours=1)]).findings
    assert [f.detail for f in found[:3]] == ["it is 76.5", "it is 1", "it is 38.75"]
    (kept,) = check_history("t")
    assert [f.detail for f in kept.findings] == ["", "", "it is 38.75", ""]


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


def test_the_quarantine_of_a_branch_shows_what_its_rules_read(workspace: Workspace) -> None:
    from lepton_ai.apps.cli.quality import quality

    rows = {"a": [1], "b": [2], "n": [99]}
    branch = read_table(rows, name="t").branch("trial")
    set_rules(workspace, "t", [Range(column="n", high=9)])
    branch.append(rows)
    shown = CliRunner().invoke(quality, ["quarantine", "t#trial"]).output
    assert shown.split()[:2] == ["n", "why"]


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
