"""Table: a named, versioned data set of rows and columns, kept as encrypted Parquet."""

import io
from collections.abc import Sequence
from typing import Any, Self, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.data.dataset import Dataset, Rows, places_of
from lepton_ai.data.split_report import SplitReport
from lepton_ai.storage import Node, Workspace

__all__ = ["Table"]


class Table(Dataset):
    """Rows and columns of one dataset version, or a selection of them; see `read_table`.

    ``table[["age", "sex"]]`` selects columns; a slice, a list of numbers or a mask of booleans
    selects rows. Rows stay in the store until a ``to_`` method reads them, every time anew.

    Attributes:
        schema: the Polars type of each column, as text, in order.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Node,
        *,
        columns: Sequence[str] | None = None,
        rows: Rows | None = None,
        node: Node | None = None,
        split: SplitReport | None = None,
    ) -> None:
        super().__init__(workspace, dataset, rows=rows, node=node, split=split)
        if columns is not None:
            self.node = node  # some of the columns are not the whole either
        whole: dict[str, str] = dataset.facts["columns"]
        self.schema = whole if columns is None else {name: whole[name] for name in columns}

    @classmethod
    def open(cls, workspace: Workspace, dataset: Node) -> Self:
        """Open the table of a dataset node."""
        if dataset.kind != "dataset" or dataset.facts.get("format") != "table":
            raise InvalidInput(f"{dataset.ref} is not a table, but a {dataset.kind} of images")
        return cls(workspace, dataset)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema)

    def _like(self, rows: Rows | None, node: Node | None, split: SplitReport | None) -> Self:
        whole = list(self.schema) == list(self.dataset.facts["columns"])
        return type(self)(
            self.workspace,
            self.dataset,
            columns=None if whole else self.columns,
            rows=rows,
            node=node,
            split=split,
        )

    def side(self, node: Node) -> Self:
        """Return the selection that a ``split`` node of this dataset describes."""
        whole = type(self)(self.workspace, self.dataset, columns=node.facts["columns"])
        return super(Table, whole).side(node)

    def _facts(self) -> dict[str, Any]:
        return {"columns": self.columns}

    def __len__(self) -> int:
        return int(self.dataset.facts["rows"]) if self.rows is None else len(self.rows)

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: slice | Sequence[Any] | NDArray[Any]) -> Self: ...
    def __getitem__(self, key: Any) -> "NDArray[Any] | Self":
        if isinstance(key, str):
            self._check([key])
            return self.to_polars([key]).to_series().to_numpy()
        if isinstance(key, list | tuple) and key and all(isinstance(name, str) for name in key):
            self._check(key)
            return type(self)(
                self.workspace, self.dataset, columns=key, rows=self.rows, split=self.split
            )
        return self.take(places_of(key, len(self)))

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows as a Polars frame, with these columns only where given.

        Raises:
            Corrupt: stored bytes were altered.
        """
        names = self.columns if columns is None else list(columns)
        self._check(names)
        assert self.dataset.digest is not None
        data = self.workspace.objects.get(self.dataset.digest)
        frame = pl.read_parquet(io.BytesIO(data), columns=names).select(names)
        return frame if self.rows is None else frame[self.rows]

    def to_pandas(self) -> Any:
        """Return the rows as a pandas frame."""
        load("pandas", extra="frames")
        load("pyarrow", extra="frames")
        return self.to_polars().to_pandas()

    def to_arrow(self) -> Any:
        """Return the rows as a pyarrow table."""
        load("pyarrow", extra="frames")
        return self.to_polars().to_arrow()

    def to_numpy(self) -> NDArray[np.float64]:
        """Return the rows as a float64 matrix, NaN where missing.

        Raises:
            InvalidInput: a column holds something else than numbers or booleans.
        """
        frame = self.to_polars()
        other = [
            name
            for name, kind in frame.schema.items()
            if not (kind.is_numeric() or kind == pl.Boolean)
        ]
        if other:
            raise InvalidInput(
                f"the columns {other} do not hold numbers; leave them out, table[[...]], or let "
                "a recipe encode them: Recipe.fit(table.to_polars())"
            )
        matrix: NDArray[np.float64] = frame.cast(pl.Float64).to_numpy()
        return matrix

    def summary(self) -> pl.DataFrame:
        """Return count, missing, mean, spread and quartiles of each column."""
        return self.to_polars().describe()

    def _check(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.schema]
        if unknown:
            raise InvalidInput(f"there are no columns {unknown}; there are {self.columns}")

    def __repr__(self) -> str:
        whole = self.dataset.facts["rows"]
        part = f"{whole} rows" if self.rows is None else f"{len(self)} of {whole} rows"
        columns = "\n".join(f"  {name}: {kind}" for name, kind in self.schema.items())
        return f"Table {self.ref}, {part}\n{columns}"

    def _repr_html_(self) -> str:
        head = self[:10].to_polars()
        return f"<p>Table {self.ref}, {len(self)} rows</p>{head._repr_html_()}"
