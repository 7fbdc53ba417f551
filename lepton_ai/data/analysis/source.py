"""Source: whatever is analysed, a stored dataset or a frame, read a few columns at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["Sample", "Source"]


class Sample(Struct, frozen=True, eq=False):
    """Rows that stand for all.

    Attributes:
        frame: the rows, in their order.
        places: int64, the number of each of them in the whole.
        note: how they were chosen, in words.
    """

    frame: pl.DataFrame
    places: NDArray[np.int64]
    note: str


class Source:
    """Data to analyse.

    Args:
        data: a table, a dataset's name, a Polars, pandas or Arrow frame, a Polars lazy frame, a
            mapping of columns, or a list of records.
        workspace: where a name is looked up; the default one unless given.

    Attributes:
        name: of the dataset and its version, ``data`` for a frame.
        table: the stored table, None for a frame.
        schema: the Polars type of each column.
        rows: how many there are.
        whole: how many there are of which these were drawn; the same unless `of` made it.

    Raises:
        InvalidInput: the data is none of these.
        NotFound: there is no dataset of this name.
    """

    def __init__(self, data: Any, workspace: Workspace | None = None) -> None:
        if isinstance(data, Source):
            self.__dict__.update(data.__dict__)
            return
        opened = open_dataset(data, workspace) if isinstance(data, str) else data
        if isinstance(data, str) and not isinstance(opened, Table):
            raise InvalidInput(f"{data} holds no table; what is analysed is a table or a frame")
        self.table = opened if isinstance(opened, Table) else None
        self.name = "data" if self.table is None else self.table.ref
        if self.table is not None:
            self._lazy = self.table.scan()
        elif isinstance(opened, pl.LazyFrame):
            self._lazy = opened
        else:
            self._lazy = frame_of(opened).lazy()
        self.schema = self._lazy.collect_schema()
        counted = self._lazy.select(pl.len()) if self.table is None else None
        self.rows = len(self.table or ()) if counted is None else int(counted.collect().item())
        self.whole = self.rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema)

    def read(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return all rows of some columns."""
        self.check(columns)
        if self.table is not None:
            return self.table.to_polars(columns)
        frame: pl.DataFrame = self._lazy.select(columns).collect()
        return frame

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
        self.check(names)
        if self.rows <= rows:
            return Sample(self.read(names), np.arange(self.rows), f"all {self.rows:,} rows")
        generator = np.random.default_rng(seed)
        places = np.sort(generator.choice(self.rows, size=rows, replace=False))
        count = f"row {max(names, key=len)}"  # longer than any column's name, so none is called so
        chosen = self._lazy.select(names).with_row_index(count)
        chosen = chosen.filter(pl.col(count).is_in(pl.Series(places, dtype=pl.UInt32).implode()))
        frame = chosen.drop(count).collect(engine="streaming")
        note = f"{rows:,} of {self.rows:,} rows, drawn at random with seed {seed}"
        return Sample(frame, places, note)

    def of(self, sample: Sample) -> "Source":
        """Return some of the rows as a source of their own, under the same name."""
        part = Source(sample.frame)
        part.name, part.whole = self.name, self.whole
        return part

    def check(self, columns: Sequence[str]) -> None:
        """Refuse names that are no columns.

        Raises:
            InvalidInput: they are not, with those that there are.
        """
        unknown = [name for name in columns if name not in self.schema]
        if unknown:
            shown = ", ".join(map(repr, self.columns[:20]))
            more = f" and {len(self.columns) - 20} more" if len(self.columns) > 20 else ""
            raise InvalidInput(f"{self.name} has no columns {unknown}; there are {shown}{more}")
