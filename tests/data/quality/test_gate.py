"""The gate: which rows enter a table under rules, and which are kept aside."""

import json
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
    Length,
    NotNull,
    OneOf,
    Range,
    References,
    Stable,
    Unique,
    check,
    check_history,
    clear_rules,
    quarantine,
    readmit,
    rules_of,
    set_rules,
)
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace
from tests.data.quality.shared import ROWS


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


def test_no_row_is_lost_where_those_that_pass_are_there_already(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 99]}, name="t")
    again = read_table({"n": [1, 99]}, name="t")
    assert again.ref == "t:1"
    assert quarantine("t").to_polars()["n"].to_list() == [99]
    read_table({"n": [1, 55]}, name="t")
    assert quarantine("t").to_polars()["n"].to_list() == [99, 55]
    assert open_dataset("t").to_polars()["n"].to_list() == [1]


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


def test_a_change_of_distribution_is_refused(workspace: Workspace) -> None:
    read_table({"x": np.random.default_rng(0).normal(size=500)}, name="t")
    set_rules(workspace, "t", [Stable(column="x")])
    open_dataset("t").append({"x": np.random.default_rng(1).normal(size=300)})
    with pytest.raises(InvalidInput, match="distributed as before"):
        open_dataset("t").append({"x": np.random.default_rng(1).normal(size=300) + 3})


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


def test_wrong_columns_are_told() -> None:
    for rule in (
        NotNull(column="nothing"),
        Range(column="code", low=1),
        Length(column="age", low=1),
    ):
        with pytest.raises(InvalidInput, match=r"not there|cannot be measured"):
            check(ROWS, [rule])


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


def test_rows_enter_where_the_rules_are_gone(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [1, 99]}, name="t")
    clear_rules(workspace, "t")
    assert readmit("t", quarantine("t").to_polars()) == (1, 0)
    assert open_dataset("t").to_polars()["n"].to_list() == [1, 99]
    assert len(quarantine("t")) == 0
    assert len(check_history("t")) == 1
