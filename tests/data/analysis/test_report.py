"""The whole report: as text, page and JSON, of hostile, wide and masked data."""

import datetime as dt
import json
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from lepton_ai.data.analysis.reporting import report
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, change_entry
from lepton_ai.data.read_table import read_table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace


class Tags(HTMLParser):
    """Counts what a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def sales() -> pl.DataFrame:
    random = np.random.default_rng(0)
    hours = np.arange(24 * 20)
    start = dt.datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "at": [start + dt.timedelta(hours=int(n)) for n in hours],
            "load": 10 + 3 * np.sin(2 * np.pi * hours / 24) + random.normal(size=hours.size) / 5,
            "shop": random.choice(["north", "south"], hours.size),
            "sold": random.random(hours.size) < 0.4,
        }
    )


def test_every_part_is_there_and_a_series_is_taken_apart(sales: pl.DataFrame) -> None:
    found = report(sales, "sold", time="at", value="load")
    assert list(found.parts) == [
        "Columns", "Class balance", "Goes with the target", "May give the target away",
        "Correlations", "Groups", "Unusual rows", "Rules", "Over time",
    ]  # fmt: skip
    assert not [part for part in found.parts.values() if isinstance(part, str)]
    assert list(found.parts["Over time"].seasons) == [24]
    assert "season of 24 steps (1 day)" in str(found)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["parts"]["Over time"]["season_strength"]["24"] > 0.9
    page = found.to_html()
    assert ">1 hour<" in page
    assert "src='http" not in page
    assert "href='http" not in page


def test_markup_and_control_characters_are_text() -> None:
    name, value = "<script>alert(1)</script>\x1b[2J", "<img src=x onerror='a'>\x1b[31m$x^$"
    frame = pl.DataFrame(
        {
            name: [value, "b"] * 30,
            "'\"><b onclick=x>": range(60),
            "y": [0, 1, 1] * 20,
            "long": ["z" * 100_000, None] * 30,
        }
    )
    found = report(frame, "y")
    assert "\x1b" not in str(found)
    seen = Tags(found.to_html())
    assert not seen.names & {"script", "iframe", "object", "form"}
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert len(found.to_html()) < 2_000_000


def test_columns_that_say_nothing_stop_no_other_part() -> None:
    frame = pl.DataFrame(
        {
            "none": pl.Series([None] * 40, dtype=pl.Null),
            "void": pl.Series([None] * 40, dtype=pl.Float64),
            "same": [7] * 40,
            "blank": [""] * 40,
            "far": [float("inf"), float("-inf"), float("nan"), 1.0] * 10,
            "x": range(40),
            "y": [0, 1] * 20,
        }
    )
    for target in (None, "y"):
        found = report(frame, target)
        assert str(found)
        assert found.to_html()
        assert json.dumps(found.to_dict(), allow_nan=False)
    for target in ("none", "same"):
        assert "holds one value, or none" in str(report(frame, target))
    assert "not made" in str(report(frame.head(0)))


def test_of_a_wide_table_what_goes_with_the_target_is_compared() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 100)
    frame = pl.DataFrame({f"c{n}": random.normal(size=100) for n in range(300)})
    frame = frame.with_columns(last=pl.Series(target + random.normal(size=100) / 9), y=target)
    found = report(frame, "y")
    assert "from 200 of the 302 columns" in found.sampled
    assert found.parts["Correlations"].columns[:2] == ("y", "last")
    assert len(found.parts["Columns"].columns) == 302
    assert found.parts["Rules"].rules


def test_who_sees_a_column_masked_finds_nothing_of_it(workspace: Workspace) -> None:
    names = [f"Olga{n % 7}" for n in range(60)]
    read_table({"who": names, "age": [20 + n % 31 for n in range(60)]}, name="people")
    said = {"who": ColumnEntry(tags=("personal",)), "age": ColumnEntry(tags=("personal",))}
    change_entry(workspace, "people", lambda e: msgspec.structs.replace(e, columns=said))
    with acting_as("visitor"):
        found = report(open_dataset("people"))
        shown = found.to_html() + str(found) + json.dumps(found.to_dict())
    assert "Olga" not in shown
    assert found.parts["Columns"]["age"].missing == 60
    assert "Olga" in str(report(open_dataset("people")))


def test_on_the_command_line(workspace: Workspace, sales: pl.DataFrame, tmp_path: Path) -> None:
    from lepton_ai.apps.cli.analyse import analyse

    read_table(sales, name="sales")
    page = tmp_path / "sales.html"
    flags = ["--time", "at", "--value", "load", "--period", "24", "--html", str(page)]
    done = CliRunner().invoke(analyse, ["sales", *flags], catch_exceptions=False)
    assert done.output == f"sales:1: 480 rows; the report is in {page}\n"
    assert "id='over-time'" in page.read_text()
    done = CliRunner().invoke(analyse, ["sales", "--target", "sold", "--json"])
    assert json.loads(done.stdout)["target"] == "sold"
