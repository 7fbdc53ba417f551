"""Columns that change, change back, and meet branches."""

from typing import Any

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace


def opened(name: str) -> Table:
    table = open_dataset(name)
    assert isinstance(table, Table)
    return table


@pytest.fixture
def table(workspace: Workspace) -> Table:
    # The second version, as it comes from an append, is known by its snapshot alone.
    return read_table({"id": [1], "a": ["x"]}, name="t").append({"id": [2], "a": ["y"]})


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ({"rename": {"a": "b"}}, {"rename": {"b": "a"}}),
        ({"rename": {"a": "id", "id": "a"}}, {"rename": {"a": "id", "id": "a"}}),
        ({"add": {"w": pl.Float64}}, {"drop": ["w"]}),
    ],
)
def test_columns_that_change_back_make_a_version(
    table: Table, there: dict[str, Any], back: dict[str, Any]
) -> None:
    assert table.evolve(**there).version == 3
    again = table.evolve(**back)
    assert again.version == 4
    assert opened("t").columns == ["id", "a"]
    assert again.append({"id": [3], "a": ["z"]}).to_polars().rows() == [
        (1, "x"),
        (2, "y"),
        (3, "z"),
    ]
    assert table.evolve(types={"id": pl.Int64}).version == 5  # nothing changed


def test_a_column_is_widened_step_by_step(workspace: Workspace) -> None:
    rows = pl.DataFrame({"n": [1]}, schema={"n": pl.Int8})
    table = read_table(rows, name="t").append(rows)
    for kind in (pl.Int16, pl.Int32, pl.Int64):
        table = table.evolve(types={"n": kind})
        assert opened("t").to_polars().schema == {"n": kind}
    assert table.version == 5


@pytest.mark.parametrize(
    "change",
    [
        {"rename": {"a": "ID"}}, {"rename": {"a": ""}}, {"rename": {"a": "x\ny"}},
        {"rename": {"a": "^x$"}}, {"add": {"A": pl.Int64}}, {"add": {"o": "number"}},
        {"add": {"o": pl.Object}}, {"types": {"id": "wide"}}, {"drop": ["id", "a"]},
    ],
    ids=str,
)  # fmt: skip
def test_columns_that_no_table_can_have_are_refused(table: Table, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        table.evolve(**change)
    assert opened("t").columns == ["id", "a"]


def test_a_branch_of_an_old_version_has_its_columns_until_it_is_changed(table: Table) -> None:
    table.evolve(rename={"a": "b"}, add={"w": pl.Float64})
    old = opened("t:1").branch("old")
    assert old.to_polars().to_dict(as_series=False) == {"id": [1], "a": ["x"]}
    rows = old.append({"id": [9], "w": [0.5]}).to_polars()
    assert rows.to_dict(as_series=False) == {"id": [1, 9], "b": ["x", None], "w": [None, 0.5]}
    assert list(table.workspace.verify()) == []


def test_a_merge_keeps_the_columns_that_the_table_got_meanwhile(table: Table) -> None:
    work = table.branch("work").append({"id": [3], "a": ["z"]})
    table.evolve(rename={"a": "b"}, add={"w": pl.Float64})
    merged = work.merge()
    assert merged.to_polars().rows() == [(1, "x", None), (2, "y", None), (3, "z", None)]
    assert opened("t").columns == ["id", "b", "w"]
    assert opened("t").append({"w": [0.5]}).to_polars().rows()[-1] == (None, None, 0.5)
