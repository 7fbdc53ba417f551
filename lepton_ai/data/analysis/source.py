"""Source: whatever is analysed, a stored dataset or a frame, read a few columns at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.items import item_frame
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["Sample", "Source"]

_BATCH = 262_144


class Sample:
    """Rows that stand for all.

    Attributes:
        frame: the rows, in their order.
        places: int64, the number of each of them in the whole.
        rows: how many there are in the whole.
        seed: by which they were drawn; None when they are all there are.
    """

    def __init__(
        self, frame: pl.DataFrame, places: np.ndarray[Any, Any], rows: int, seed: int | None
    ) -> None:
        self.frame = frame
        self.places = places
        self.rows = rows
        self.seed = seed

    @property
    def note(self) -> str:
        """Return how the rows were chosen, in words."""
        if self.seed is None:
            return f"all {self.rows:,} rows"
        return f"{self.frame.height:,} of {self.rows:,} rows, drawn at random with seed {self.seed}"


class Source:
    """Data to analyse.

    Args:
        data: a table, an image set, a dataset's name, a Polars, pandas or Arrow frame, a Polars
            lazy frame, a mapping of columns, or a list of records.
        workspace: where a name is looked up; the default one unless given.

    Attributes:
        name: of the dataset and its version, ``data`` for a frame.
        schema: the Polars type of each column.
        rows: how many there are.

    Raises:
        InvalidInput: the data is none of these.
        NotFound: there is no dataset of this name.
    """

    def __init__(self, data: Any, workspace: Workspace | None = None) -> None:
        if isinstance(data, Source):
            self.__dict__.update(data.__dict__)
            return
        opened = open_dataset(data, workspace) if isinstance(data, str) else data
        self._table = opened if isinstance(opened, Table) else None
        self.name = opened.ref if isinstance(opened, Table | ImageSet) else "data"
        self._lazy = self._frame = None
        if isinstance(opened, Table):
            self.schema = opened.scan().collect_schema() if opened.rows is None else _types(opened)
            self.rows = len(opened)
        elif isinstance(opened, pl.LazyFrame):
            self._lazy = opened
            self.schema = opened.collect_schema()
            self.rows = int(opened.select(pl.len()).collect(engine="streaming").item())
        else:
            self._frame = item_frame(opened) if isinstance(opened, ImageSet) else frame_of(opened)
            self.schema = self._frame.schema
            self.rows = self._frame.height

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema)

    def read(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return all rows of some columns."""
        self.check(columns)
        if self._table is not None:
            return self._table.to_polars(columns)
        if self._lazy is not None:
            frame: pl.DataFrame = self._lazy.select(columns).collect(engine="streaming")
            return frame
        assert self._frame is not None
        return self._frame.select(columns)

    def batches(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield all rows of some columns, in order and in bounded memory."""
        self.check(columns)
        if self._table is not None:
            for batch in self._table[list(columns)].batches(rows=_BATCH):
                part = pl.from_arrow(batch)
                assert isinstance(part, pl.DataFrame)
                yield part
        elif self._lazy is not None:
            yield from self._lazy.select(columns).collect_batches(maintain_order=True)
        else:
            yield from self.read(columns).iter_slices(_BATCH)

    def sample(self, rows: int, seed: int = 0, columns: Sequence[str] | None = None) -> Sample:
        """Return at most so many rows, each with the same chance; all of them where they fit.

        Args:
            rows: the most.
            seed: the same draws the same.
            columns: only these.
        """
        if rows < 1:
            raise InvalidInput(f"a sample has one row or more; got {rows}")
        names = self.columns if columns is None else list(columns)
        if self.rows <= rows:
            return Sample(self.read(names), np.arange(self.rows), self.rows, None)
        generator = np.random.default_rng(seed)
        places = np.sort(generator.choice(self.rows, size=rows, replace=False))
        parts, start = [], 0
        for batch in self.batches(names):
            inside = places[(places >= start) & (places < start + batch.height)] - start
            parts.append(batch[inside])
            start += batch.height
        return Sample(pl.concat(parts), places, self.rows, seed)

    def check(self, columns: Sequence[str]) -> None:
        """Refuse names that are no columns.

        Raises:
            InvalidInput: they are not, with the names that are close.
        """
        unknown = [name for name in columns if name not in self.schema]
        if unknown:
            raise InvalidInput(
                f"{self.name} has no columns {unknown}; there are {_shown(self.columns)}"
            )


def _types(table: Table) -> pl.Schema:
    whole = Table(table.workspace, table.dataset, columns=table.columns)
    return whole.scan().collect_schema()


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more
