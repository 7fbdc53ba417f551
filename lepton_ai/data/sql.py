"""sql: one SELECT over the workspace's datasets, by DuckDB, which sees nothing else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import polars as pl
from msgspec import to_builtins

from lepton_ai.core.errors import NotFound
from lepton_ai.data import tables
from lepton_ai.data.access import IMAGE_COLUMNS, SAME
from lepton_ai.data.catalog import datasets, open_dataset
from lepton_ai.data.images.image import ImageEntry
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.origins import origins
from lepton_ai.data.query import Query
from lepton_ai.data.statement import Name, names_of
from lepton_ai.data.table import Table
from lepton_ai.data.tags import main_name
from lepton_ai.storage import Workspace

__all__ = ["Answer", "sql"]


class Answer:
    """The rows of a query, and what they were read from.

    Rows come as they are asked for: `batches` and `save` never hold all of them.

    Attributes:
        query: the SQL.
        sources: the datasets that were read, by reference.
    """

    def __init__(
        self, workspace: Workspace, query: Query, sources: Mapping[Name, ImageSet | Table]
    ) -> None:
        self._workspace = workspace
        self._sources = sources
        self._query = query
        self._rows: pl.DataFrame | None = None
        # An error shows here already, and not when rows are asked for.
        begun = query.frames()
        head = next(begun)
        self._columns = head.columns
        self._begun: Iterator[pl.DataFrame] | None = chain([head, *_first(begun)], begun)
        self.query = query.text
        self.sources = [source.ref for source in sources.values()]

    @property
    def rows(self) -> pl.DataFrame:
        """All rows, as a Polars frame."""
        if self._rows is None:
            self._rows = pl.concat([*self._frames()])
        return self._rows

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Return the rows, in the first frame none; a second time the query runs again."""
        if self._rows is not None:
            return iter([self._rows])
        begun, self._begun = self._begun, None
        return begun or self._query.frames()

    def batches(self) -> Iterator[Any]:
        """Yield the rows as Arrow record batches, in bounded memory."""
        for frame in self._frames():
            yield from frame.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a Polars frame."""
        return self.rows

    def to_pandas(self) -> Any:
        """Return the rows as a pandas frame."""
        return self.rows.to_pandas()

    def save(self, name: str, *, encrypted: bool | None = None) -> Table:
        """Store the rows as a dataset whose lineage names what they were read from.

        Tags follow each column from those it was computed from, under other names too.

        Args:
            encrypted: False for a table that other Iceberg tools are to open; a new table is
                encrypted unless said, one that is there stays as it is.
        """
        nodes = {called: source.record().id for called, source in self._sources.items()}
        node = tables.store_table(
            self._workspace,
            name,
            self._frames(),
            parents=[(node_id, "data") for node_id in nodes.values()],
            operation="sql",
            encrypted=encrypted,
            facts={"query": self.query, "derived": self._derived(nodes)},
        )
        return Table(self._workspace, node)

    def _derived(self, nodes: Mapping[Name, str]) -> dict[str, dict[str, list[str]]]:
        """Return, for each column, the columns of each source that it was computed from."""
        known = {
            called: source.columns if isinstance(source, Table) else IMAGE_COLUMNS
            for called, source in self._sources.items()
        }
        derived: dict[str, dict[str, list[str]]] = {}
        for column, found in origins(self.query, self._columns, known).items():
            of: dict[str, set[str]] = {}
            for called, names in found.items():
                also = (other for name in names for other in SAME.get(name, ()))
                images = isinstance(self._sources[called], ImageSet)
                of.setdefault(nodes[called], set()).update(names, also if images else ())
            derived[column] = {node_id: sorted(names) for node_id, names in of.items()}
        return derived

    def __len__(self) -> int:
        return self.rows.height

    def __repr__(self) -> str:
        return repr(self.rows)

    def _repr_html_(self) -> str:
        return str(self.rows._repr_html_())


def _first(frames: Iterator[pl.DataFrame]) -> list[pl.DataFrame]:
    return [frame for frame in [next(frames, None)] if frame is not None]


def sql(
    query: str,
    parameters: Sequence[Any] = (),
    *,
    workspace: Workspace | None = None,
    timeout: float = 600.0,
) -> Answer:
    """Answer one SELECT over the datasets of the workspace.

    A dataset is named as anywhere else: ``german_credit``, ``hospital.patients``, and, between
    double quotes, ``"patients:3"``, ``"patients@gold"`` or ``"patients#cleaning"``. Only the
    columns that the query needs are read. Image and document sets are tables of what is known of
    each item. Nothing is written to the disk: a query may use half of the machine's memory.

    Args:
        query: in DuckDB's SQL; ``?`` stands for a parameter.
        parameters: one for each ``?``.
        timeout: seconds.

    Raises:
        InvalidInput: it is no SELECT, or has an error; the message shows where.
        NotFound: there is no such dataset.
        AccessDenied: the principal may not read a column.
        Unavailable: it took longer than ``timeout``.
    """
    place = workspace or Workspace.open()
    opened = {name: _open(place, name) for name in names_of(query)}
    sources = {
        name: source.scan() if isinstance(source, Table) else _of_images(source).lazy()
        for name, source in opened.items()
    }
    return Answer(place, Query(query, parameters, sources, timeout), opened)


def _open(place: Workspace, name: Name) -> ImageSet | Table:
    whole = ".".join(name)
    try:
        return open_dataset(whole, place)
    except NotFound as error:
        known = sorted({info.name for info in datasets(place)})
        if main_name(re.split("[:@]", whole)[0]) in known:
            raise  # its message tells which versions there are
        raise NotFound(
            f"there is no dataset {whole!r} to select from; there are "
            f"{', '.join(known[:20]) or 'none yet'}"
        ) from error


def _of_images(images: ImageSet) -> pl.DataFrame:
    frame = pl.DataFrame([_record(entry) for entry in images.entries], infer_schema_length=None)
    # Fingerprints are whole numbers of 128 bits, which Arrow does not know.
    return frame.with_columns(pl.col(pl.Int128).cast(pl.String))


def _record(entry: ImageEntry) -> dict[str, Any]:
    """Return what is known of an image, a value for each of the columns that may be tagged."""
    whole = {**msgspec.structs.asdict(entry), **msgspec.structs.asdict(entry.meta)}
    return {name: _flat(to_builtins(whole[name])) for name in IMAGE_COLUMNS}


def _flat(value: Any) -> Any:
    return str(value) if isinstance(value, dict | list | tuple) else value
