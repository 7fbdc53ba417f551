"""Table: a named, versioned data set of rows and columns, kept as an Iceberg table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.core.optional import load
from lepton_ai.data import access, tables
from lepton_ai.data.dataset import Dataset, Rows, places_of
from lepton_ai.data.frames import frame_of
from lepton_ai.data.split_report import SplitReport
from lepton_ai.security.principal import current_principal
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
        self._principal = current_principal()
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
            NotFound: the version's rows were expired or erased.
        """
        frames = [*self._frames(columns)]
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
        if where is not None:
            used = tables.condition(where).meta.root_names()
            self._check(used)
            names = [*dict.fromkeys([*names, *used])]
        if self.rows is not None:
            lazy = self.to_polars(names).lazy()
        else:
            # Decided now: the engine that reads may do so in a thread of its own.
            masked = access.view(self.workspace, self.dataset, names, self._principal)

            def source(
                wanted: list[str] | None, filtered: Any, limit: int | None, size: int | None
            ) -> Iterator[pl.DataFrame]:
                left = limit
                for frame in self._read(wanted or names, where, masked):
                    part = frame if filtered is None else frame.filter(filtered)
                    part = part if left is None else part.head(left)
                    left = None if left is None else left - part.height
                    yield part
                    if left == 0:
                        return

            types = tables.schema_of(self.dataset.facts["types"])
            schema = pl.Schema({name: types[name] for name in names})
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
        selected = self.rows is not None
        for frame in [self.to_polars()] if selected else self._frames(None, where):
            part = frame if wanted is None else frame.filter(wanted)
            part = part if columns is None else part.select(columns)
            yield from part.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(rows)

    def _frames(
        self, columns: Sequence[str] | None, where: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """Return the whole version's rows, file by file, as the principal may see them."""
        names = self.columns if columns is None else list(columns)
        self._check(names)
        masked = access.view(self.workspace, self.dataset, names, self._principal)
        return self._read(names, where, masked)

    def _read(
        self, names: Sequence[str], where: str | None, masked: frozenset[str]
    ) -> Iterator[pl.DataFrame]:
        """Yield rows: the one way by which any are read."""
        scan = tables.Scan(self.workspace, self.dataset)
        # Which files are left out would tell of values that are masked.
        hint = None if masked else where
        empty = True
        for frame in scan.frames(names, hint):
            empty = False
            yield access.mask(frame, masked)
        if empty:
            yield pl.DataFrame(schema={name: scan.schema[name] for name in names})

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

    def append(self, data: Any) -> Self:
        """Add rows, and return the version that has them.

        Like every change, it is made on the newest version, whichever this object is.

        Args:
            data: a frame, a mapping of columns, a list of records, or an iterator of frames.

        Raises:
            InvalidInput: this is a selection, or the rows do not fit the columns.
        """
        return self._changed(tables.append(*self._whole(), _frames_of(data)))

    def upsert(self, data: Any, on: str | Sequence[str]) -> Self:
        """Replace the rows whose key comes again, add the others, and return the new version.

        Args:
            data: as in `append`.
            on: the column or columns that form the key.

        Raises:
            InvalidInput: as `append`, and when a key is empty or comes twice.
        """
        keys = [on] if isinstance(on, str) else list(on)
        return self._changed(tables.upsert(*self._whole(), _frames_of(data), keys))

    def overwrite(self, data: Any, where: str | None = None) -> Self:
        """Put rows in the place of all, or of those that meet a condition.

        Args:
            data: as in `append`; without ``where`` it may have other columns.
            where: as in `scan`.
        """
        frames = _frames_of(data)
        if where is not None:
            return self._changed(tables.overwrite(*self._whole(), frames, where))
        parents = [(self.dataset.id, "previous")]
        return self._changed(
            tables.store_table(*self._whole(), frames, parents=parents, operation="overwrite")
        )

    def delete(self, where: str) -> Self:
        """Remove the rows that meet a condition, and return the version without them."""
        return self._changed(tables.delete(*self._whole(), where))

    def evolve(
        self,
        *,
        add: Mapping[str, Any] | None = None,
        drop: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        types: Mapping[str, Any] | None = None,
    ) -> Self:
        """Change columns without writing rows anew, and return the version that has them so.

        Args:
            add: Polars types by name; empty in the rows that are there.
            drop: names.
            rename: new names by old ones.
            types: wider types, such as Int64 for Int32.

        Raises:
            InvalidInput: a column is missing or there already, or a type is not wider.
        """
        drop = [drop] if isinstance(drop, str) else drop
        return self._changed(
            tables.evolve(*self._whole(), add or {}, drop, rename or {}, types or {})
        )

    def tag(self, name: str) -> None:
        """Let ``NAME@tag`` mean this version; it is then not expired."""
        workspace, _ = self._whole()
        tables.tag(workspace, self.dataset, name)

    def branch(self, name: str) -> Self:
        """Start a line of versions of its own here, opened again as ``NAME#branch``."""
        workspace, _ = self._whole()
        return self._changed(tables.branch(workspace, self.dataset, name))

    def merge(self) -> Self:
        """Make this branch's newest version the newest of its table.

        Raises:
            Conflict: the table went on meanwhile.
        """
        return self._changed(tables.merge(*self._whole()))

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
            return type(self)(self.workspace, made[-1])
        version, alias = (when, None) if isinstance(when, int) else (None, when)
        return type(self)(self.workspace, lineage.find("dataset", self.name, version, alias))

    def history(self) -> pl.DataFrame:
        """Return the versions, oldest first: what made each, its rows, bytes and tags."""
        versions: pl.DataFrame = tables.history(self.workspace, self.name)
        return versions

    def compact(self) -> Self:
        """Write small files together; the rows and their order stay."""
        return self._changed(tables.compact(*self._whole()))

    def expire(
        self, *, keep: int = 1, older_than: datetime | None = None, force: bool = False
    ) -> Any:
        """Remove the rows of old versions; see `lepton_ai.data.tables.maintenance.expire`."""
        options = {"keep": keep, "older_than": older_than, "force": force}
        return tables.expire(*self._whole(), **options)

    def _whole(self) -> tuple[Workspace, str]:
        if self.rows is not None or self.columns != list(self.dataset.facts["columns"]):
            raise InvalidInput(
                f"this is a selection of {self.ref}; change the table itself: "
                f"open_dataset({self.name!r})"
            )
        return self.workspace, self.name

    def _changed(self, dataset: Node) -> Self:
        return type(self)(self.workspace, dataset)

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


def aware(moment: datetime) -> datetime:
    """Return a moment with its time zone: the reader's own unless it says another."""
    return moment if moment.tzinfo else moment.astimezone()


def _frames_of(data: Any) -> list[pl.DataFrame]:
    return [frame_of(part) for part in data] if isinstance(data, Iterator) else [frame_of(data)]
