"""Rows that the tests of quality share, and how they hide a column."""

import datetime as dt

import msgspec
import polars as pl

from lepton_ai.data.entry import ColumnEntry, change_entry
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
