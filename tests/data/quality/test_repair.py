"""Rows that were kept aside come back once they are mended, each once and whole."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from lepton_ai.core.errors import AccessDenied, InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.quality import (
    Range,
    RowCount,
    Statistic,
    quarantine,
    readmit,
    set_rules,
)
from lepton_ai.data.read_table import read_table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from tests.data.quality.shared import hide


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


def test_bytes_do_not_come_back_as_text(workspace: Workspace) -> None:
    set_rules(workspace, "t", [Range(column="n", high=9)])
    read_table({"n": [99], "raw": [b"\x00"]}, name="t")
    rows = quarantine("t").to_polars().with_columns(n=pl.lit(1))
    with pytest.raises(InvalidInput, match="holds bytes"):
        readmit("t", rows.with_columns(raw=pl.lit("AA==")))
    assert readmit("t", rows) == (1, 0)


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
