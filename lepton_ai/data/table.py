"""Table: a named, versioned data set of rows and columns, kept as an Iceberg table."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Self, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.optional import load
from lepton_ai.data import access, tables
from lepton_ai.data.dataset import Rows, places_of
from lepton_ai.data.split_report import SplitReport
from lepton_ai.data.table_changes import ChangedTable
from lepton_ai.security.policy import Principal
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Node, Workspace

__all__ = ["Table"]


class Table(ChangedTable):
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
        principal: Principal | None = None,
    ) -> None:
        super().__init__(workspace, dataset, rows=rows, node=node, split=split)
        self._principal = principal or current_principal()
        if columns is not None:
            self.node = node  # some of the columns are not the whole either
        whole: dict[str, str] = dataset.facts["columns"]
        if any(access.shown(kind) != kind for kind in whole.values()):
            whole = self._sight().types(whole)
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
            principal=self._principal,
        )

    def side(self, node: Node) -> Self:
        """Return the selection that a ``split`` node of this dataset describes."""
        columns = node.facts["columns"]
        whole = type(self)(self.workspace, self.dataset, columns=columns, principal=self._principal)
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
                self.workspace,
                self.dataset,
                columns=key,
                rows=self.rows,
                split=self.split,
                principal=self._principal,
            )
        return self.take(places_of(key, len(self)))

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows as a Polars frame, with these columns only where given.

        Raises:
            Corrupt: stored bytes were altered.
            NotFound: the version's rows were expired or erased.
        """
        frames = [*self._whole_frames(columns)]
        whole = pl.concat(frames) if len(frames) > 1 else frames[0]
        return whole if self.rows is None else whole[self.rows]

    def scan(self, columns: Sequence[str] | None = None, where: str | None = None) -> pl.LazyFrame:
        """Return the rows as a lazy frame, read when it is collected and file by file.

        Args:
            columns: only these.
            where: a condition as in SQL, such as ``age >= 18 and city = 'Kyiv'``; files that
                cannot hold such rows are not read.

        Raises:
            InvalidInput: there are no such columns, or the condition is no SQL.
        """
        names = self.columns if columns is None else list(columns)
        self._check(names)
        names = [*dict.fromkeys([*names, *self._used(where)])]
        if self.rows is not None:
            lazy = self.to_polars(names).lazy()
        else:
            # Decided now: the engine that reads may do so in a thread of its own.
            sight = self._sight()

            def source(
                wanted: list[str] | None, filtered: Any, limit: int | None, size: int | None
            ) -> Iterator[pl.DataFrame]:
                left = limit
                for frame in self._read(wanted or names, where, sight):
                    part = frame if filtered is None else frame.filter(filtered)
                    part = part if left is None else part.head(left)
                    left = None if left is None else left - part.height
                    yield part
                    if left == 0:
                        return

            types = tables.schema_of(self.dataset.facts["types"])
            schema = pl.Schema(sight.types({name: types[name] for name in names}))
            lazy = register_io_source(source, schema=schema, is_pure=True)
        if where is not None:
            lazy = lazy.filter(tables.condition(where))
        return lazy.select(self.columns if columns is None else list(columns))

    def batches(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        rows: int = 65536,
    ) -> Iterator[Any]:
        """Yield the rows as Arrow record batches, in bounded memory.

        Args:
            columns: as in `scan`; so is ``where``.
            rows: the most in one batch.
        """
        wanted = None if where is None else tables.condition(where)
        asked = self.columns if columns is None else list(columns)
        names = [*dict.fromkeys([*asked, *self._used(where)])]
        for frame in self.frames(names, where):
            part = frame if wanted is None else frame.filter(wanted)
            part = part.select(asked)
            yield from part.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(rows)

    def frames(
        self, columns: Sequence[str] | None = None, where: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """Return the rows file by file; those that a condition leaves out may be among them."""
        if self.rows is not None:
            return iter([self.to_polars(columns)])
        return self._whole_frames(columns, where)

    def _whole_frames(
        self, columns: Sequence[str] | None, where: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """Return the whole version's rows, file by file, as the principal may see them."""
        names = self.columns if columns is None else list(columns)
        self._check(names)
        sight = self._sight()
        sight.check(names)
        return self._read(names, where, sight)

    def _sight(self) -> access.Sight:
        return access.sight(self.workspace, self.dataset, self._principal)

    def _read(
        self, names: Sequence[str], where: str | None, sight: access.Sight
    ) -> Iterator[pl.DataFrame]:
        """Yield rows: the one way by which any are read."""
        masked = sight.check(names)
        used = self._used(where)
        # Which files are left out would tell of values that are masked.
        hint = None if sight.check(used) else where
        scan = tables.Scan(self.workspace, self.dataset)
        empty = True
        for frame in scan.frames(names, hint):
            empty = False
            yield access.mask(frame, masked)
        if empty:
            none = pl.DataFrame(schema={name: scan.schema[name] for name in names})
            yield access.mask(none, masked)

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
                "an encoding encode them: Encoding.fit(table.to_polars())"
            )
        matrix: NDArray[np.float64] = frame.cast(pl.Float64).to_numpy()
        return matrix

    def at(self, when: int | str | datetime) -> Self:
        """Return another version: by number, by tag, or the newest of a moment.

        Raises:
            NotFound: there is none.
        """
        lineage = self.workspace.lineage
        if isinstance(when, datetime):
            made = [n for n in lineage.list("dataset", self.name) if n.created_at <= aware(when)]
            if not made:
                raise NotFound(f"{self.name} had no version by {when}")
            return self._changed(made[-1])
        version, alias = (when, None) if isinstance(when, int) else (None, when)
        return self._changed(lineage.find("dataset", self.name, version, alias))

    def _changed(self, dataset: Node) -> Self:
        return type(self)(self.workspace, dataset, principal=self._principal)

    def require(self, columns: Sequence[str], what: str) -> None:
        """Make sure that whoever opened the table sees these columns in clear.

        Args:
            what: is done with them, for the message.

        Raises:
            AccessDenied: they see some masked, or not at all.
        """
        self._sight().require([name for name in columns if name in self.schema], what)

    def summary(self) -> pl.DataFrame:
        """Return count, missing, mean, spread and quartiles of each column."""
        return self.to_polars().describe()

    def _used(self, where: str | None) -> list[str]:
        """Return the columns that a condition names, once it is sure that it fits them."""
        if where is None:
            return []
        used: list[str] = tables.condition(where).meta.root_names()
        self._check(used)
        tables.check_condition(where, tables.schema_of(self.dataset.facts["types"]))
        return used

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


def aware(moment: datetime) -> datetime:
    """Return a moment with its time zone: the reader's own unless it says another."""
    return moment if moment.tzinfo else moment.astimezone()
