"""A protected table: what is protected, what may be joined, who may see it."""

from datetime import date

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.entry import ColumnEntry, Entry, change_entry
from lepton_ai.data.privacy.protect import Band, Drop, Generalise, Mask, Redact, Token, protect
from lepton_ai.data.read_table import read_table
from lepton_ai.data.sql import sql
from lepton_ai.data.table import Table
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

FRAME = pl.DataFrame(
    {
        "pid": ["P1", "P2", "P1", None],
        "name": ["Ada", "Zoë", "Ada", None],
        "card": ["4111111111111111", "5500000000000004", None, "x"],
        "age": [34, -3, 40, None],
        "weight": [61.5, 70.0, 82.25, None],
        "born": [date(1990, 5, 7), date(2001, 1, 1), None, date(1980, 12, 31)],
        "zip": ["10115", "01067", "1", None],
        "job": ["nurse", "smith", "baker", None],
        "note": ["saw Dr. House", "mail a@b.org", "well", None],
    }
)


def test_each_protection(workspace: Workspace) -> None:
    table = read_table(FRAME, name="people")
    done = protect(
        table,
        {
            "name": Drop(),
            "pid": Token("T-"),
            "card": Mask(keep=4),
            "age": Band(10),
            "weight": Band(2.5),
            "born": Band("month"),
            "zip": Generalise(start=2),
            "job": Generalise(groups={"nurse": "health", "smith": "craft"}),
            "note": Redact(),
        },
        "shared",
    ).to_polars()
    assert "name" not in done.columns
    assert done["card"].to_list() == ["*****1111", "*****0004", None, "*****x"]
    assert done["age"].to_list() == ["30 - 39", "-10 - -1", "40 - 49", None]
    assert done["weight"].to_list() == ["60.0 - 62.5", "70.0 - 72.5", "80.0 - 82.5", None]
    assert done["born"].to_list() == ["1990-05", "2001-01", None, "1980-12"]
    assert done["zip"].to_list() == ["10", "01", "1", None]
    assert done["job"].to_list() == ["health", "craft", "other", None]
    assert done["note"].to_list() == ["saw Dr. [name]", "mail [e-mail]", "well", None]
    first, second, again, none = done["pid"].to_list()
    assert first == again != second
    assert none is None
    assert first.startswith("T-")
    assert "P1" not in first
    # The same person has the same token in another table, and another one elsewhere.
    other = protect(read_table({"pid": ["P1"]}, name="visits"), {"pid": Token("T-")}, "v")
    assert other.to_polars()["pid"].item() == first


def test_who_may_see_it(workspace: Workspace) -> None:
    table = read_table(FRAME, name="people")
    tags = {name: ColumnEntry(tags=("personal",)) for name in ("pid", "name", "note")}
    change_entry(workspace, "people", lambda _: Entry(columns=tags))
    protect(table, {"pid": Token(), "note": Redact()}, "shared")
    sql("select * from shared", workspace=workspace).save("copy")
    sql(
        "select shared.pid as pid, people.name from shared, people", workspace=workspace
    ).save("round")  # fmt: skip
    with acting_as("guest"):
        for name in ("shared", "copy"):
            seen = open_dataset(name, workspace)
            assert isinstance(seen, Table)
            frame = seen.to_polars()
            assert set(frame["name"].drop_nulls()) == {"***"}
            assert "***" not in frame["pid"].to_list()
            assert set(frame["note"].drop_nulls()) == {"***"}
        # Each column keeps what it is made from, in a query over both tables too.
        round_about = open_dataset("round", workspace)
        assert isinstance(round_about, Table)
        assert "***" not in round_about.to_polars()["pid"].to_list()
        assert set(round_about.to_polars()["name"].drop_nulls()) == {"***"}


def test_what_does_not_fit_is_refused(workspace: Workspace) -> None:
    table = read_table(FRAME, name="people")
    for columns in (
        {"nothing": Drop()}, {"name": Band(10)}, {"age": Band(0)}, {"age": Band("month")},
        {"zip": Generalise()}, {"zip": Generalise({}, 2)},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            protect(table, columns, "shared")
    with pytest.raises(InvalidInput, match="history"):
        protect(table, {"name": Drop()}, "people")
