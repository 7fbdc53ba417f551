"""What writing a table leaves in memory."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from lepton_ai.data.tables import commit
from lepton_ai.data.tables.columns import iceberg_schema
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.storage import Workspace

ROWS = 20_000


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_rows_leave_memory_once_they_are_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_FILE_BYTES", ROWS * 8)
    # Polars and Arrow share the memory of a NumPy array, which lives for as long as they need it.
    made: list[weakref.ref[np.ndarray]] = []
    alive = []

    def frames() -> Iterator[pl.DataFrame]:
        for number in range(24):
            values = np.arange(ROWS) + number * ROWS
            made.append(weakref.ref(values))
            frame = pl.from_arrow(pa.table({"n": pa.array(values)}))
            assert isinstance(frame, pl.DataFrame)
            del values
            yield frame
            del frame
            alive.append(sum(reference() is not None for reference in made))

    schema = pl.Schema({"n": pl.Int64})
    with TableCommit(workspace, "numbers") as change:
        change.begin(iceberg_schema(schema), encrypted=True)
        files = change.write(frames())
        assert not any(reference() is not None for reference in made)
        node = change.publish(Change("create", schema, added=files))
    # Two files are being written, one waits to be full.
    assert 1 <= max(alive) <= 6
    assert len(files) > 10
    assert node.facts["rows"] == 24 * ROWS
