"""Frames that are gone through again: equal each time, and unreadable on disk."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data import spool
from lepton_ai.data.quality import NotNull, Range, RowCount, Unique, quarantine, set_rules
from lepton_ai.data.spool import Spool
from lepton_ai.data.table import Table
from lepton_ai.data.tables import store_table
from lepton_ai.storage import Workspace


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second frame and all that follow go to the disk."""
    monkeypatch.setattr(spool, "_MEMORY_BYTES", 2000)


def frames(count: int = 5, rows: int = 100) -> list[pl.DataFrame]:
    return [
        pl.DataFrame(
            {
                "id": range(part * rows, (part + 1) * rows),
                "name": [f"Müller-{part}-{row}" for row in range(rows)],
                "when": [None, *[part] * (rows - 1)],
            },
            schema={"id": pl.Int64, "name": pl.String, "when": pl.Datetime("us", "Europe/Berlin")},
        )
        for part in range(count)
    ]


def test_frames_come_again_as_they_were(on_disk: None, tmp_path: Path) -> None:
    waiting = Spool(iter(frames()), tmp_path)
    for _ in range(2):
        for got, expected in zip(waiting, frames(), strict=True):
            assert got.equals(expected)
            assert got.schema == expected.schema


def test_two_may_go_through_at_once(on_disk: None, tmp_path: Path) -> None:
    waiting = Spool(frames(), tmp_path)
    for (first, second), expected in zip(zip(waiting, waiting, strict=True), frames(), strict=True):
        assert first.equals(expected)
        assert second.equals(expected)


def test_on_disk_nothing_has_a_name_or_can_be_read(on_disk: None, tmp_path: Path) -> None:
    waiting = Spool(frames(), tmp_path)
    assert not [*tmp_path.iterdir()]
    assert waiting._file is not None
    written = os.pread(waiting._file.fileno(), 2**20, 0)
    assert len(written) > 4 * 500
    assert b"ller" not in written


def test_no_frames(tmp_path: Path) -> None:
    assert not [*Spool([], tmp_path)]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
import polars as pl
from lepton_ai.data.spool import Spool
from lepton_ai.storage import StorageFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
import lepton_ai.data.spool as spool
spool._MEMORY_BYTES = 0
try:
    Spool([pl.select(x=pl.int_range(10**6).shuffle(seed=0))], Path(sys.argv[1]))
except StorageFull as error:
    print("told:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("told: no room")
    assert not [*tmp_path.iterdir()]


def test_rules_part_rows_that_wait_on_the_disk(on_disk: None, workspace: Workspace) -> None:
    store_table(workspace, "visits", [frames()[0].head(0)])
    set_rules(
        workspace,
        "visits",
        [
            NotNull(column="when"), Range(column="id", high=450), Unique(key=("id",)),
            RowCount(low=200),
        ],
    )  # fmt: skip
    coming = [*frames(), frames()[2]]
    table = Table(workspace, workspace.lineage.find("dataset", "visits")).append(iter(coming))
    rows = pl.concat(frames())
    expected = rows.filter(pl.col("when").is_not_null() & (pl.col("id") <= 450))
    assert table.to_polars().equals(expected)
    kept = quarantine("visits", workspace)
    assert kept is not None
    aside = kept.to_polars()
    assert table.to_polars().height + aside.height == 600
    assert aside["_id"].n_unique() == aside.height
    assert aside["_time"].n_unique() == 1
    assert set(aside["_reasons"].unique()) == {
        "when is never empty",
        "id is at most 450",
        "id is different in each row",
        "when is never empty; id is different in each row",
    }


def test_an_iterator_without_frames_is_told(workspace: Workspace) -> None:
    store_table(workspace, "visits", [frames()[0]])
    set_rules(workspace, "visits", [NotNull(column="id")])
    table = Table(workspace, workspace.lineage.find("dataset", "visits"))
    for change in (table.append, table.overwrite, lambda none: table.upsert(none, on="id")):
        with pytest.raises(InvalidInput, match="gave no frame"):
            change(iter([]))
    assert table.append(iter([frames()[0][:0]])).to_polars().height == 100


def test_no_frame_is_in_memory_with_the_next(on_disk: None, tmp_path: Path) -> None:
    """Ten frames of 40 MB each go through less than three of them would take."""
    program = """
import resource, sys
from pathlib import Path
import polars as pl
import lepton_ai.data.spool as spool
spool._MEMORY_BYTES = 0
def frames():
    for number in range(10):
        yield pl.select(x=pl.int_range(5_000_000).shuffle(seed=number))
for frame in frames():
    pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
waiting = spool.Spool(frames(), Path(sys.argv[1]))
total = sum(frame["x"].sum() for frame in waiting)
assert total == 10 * sum(range(5_000_000))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 240
