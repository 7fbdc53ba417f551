"""Scan: the rows of one version, always in the same order.

The order is that in which they came: data files sort by the time they were written. What deletes
or updates rows writes their file anew, so what was in it moves to the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table import Table as IcebergTable

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.errors import NotFound
from lepton_ai.data.tables.catalog import WorkspaceCatalog
from lepton_ai.data.tables.conditions import row_filter
from lepton_ai.data.tables.types import restored, schema_of
from lepton_ai.storage import Node, Workspace

__all__ = ["Scan", "data_files", "read_file"]


class Scan:
    """What reads one version of a table.

    Args:
        dataset: the version's node.

    Raises:
        NotFound: the version was expired or erased, or the table was dropped.
    """

    def __init__(self, workspace: Workspace, dataset: Node) -> None:
        if "snapshot" not in dataset.facts:
            raise NotFound(f"{dataset.ref} has no rows any more; `lepton data history` says why")
        self._table = _table_of(WorkspaceCatalog(workspace), dataset)
        self._snapshot: int = dataset.facts["snapshot"]
        self.schema = schema_of(dataset.facts["types"])
        self._iceberg: Schema = self._table.schemas()[dataset.facts["schema"]]

    def frames(self, columns: Sequence[str], where: str | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows file by file, a few files ahead.

        Args:
            where: rows for which it is false may be left out; the caller filters the rest.
        """
        wanted = self._iceberg.select(*columns)

        def read(task: FileScanTask) -> pl.DataFrame:
            scan = ArrowScan(self._table.metadata, self._table.io, wanted, AlwaysTrue())
            table = scan.to_table([task]).select(list(columns))
            return restored(table, self.schema)

        yield from shared_threads().map(read, self._tasks(where), in_flight=2)

    def frame(self, columns: Sequence[str], where: str | None = None) -> pl.DataFrame:
        """Return the rows as one frame."""
        frames = [*self.frames(columns, where)]
        if not frames:
            return pl.DataFrame(schema={name: self.schema[name] for name in columns})
        return pl.concat(frames) if len(frames) > 1 else frames[0]

    def _tasks(self, where: str | None) -> list[FileScanTask]:
        return _tasks(self._table, self._snapshot, row_filter(where, self._iceberg))


def _table_of(catalog: WorkspaceCatalog, dataset: Node) -> IcebergTable:
    table = catalog.find(dataset.name)
    facts = dataset.facts
    if table is None or str(table.metadata.table_uuid) != facts["table"]:
        raise NotFound(f"the table of {dataset.ref} was dropped; its rows are gone")
    if table.snapshot_by_id(facts["snapshot"]) is None:
        raise NotFound(
            f"the rows of {dataset.ref} were expired; `lepton data history {dataset.name}` shows "
            "which versions still have theirs"
        )
    return table


def _tasks(table: IcebergTable, snapshot: int, where: BooleanExpression) -> list[FileScanTask]:
    scan: DataScan = table.scan(row_filter=where, snapshot_id=snapshot)
    return sorted(scan.plan_files(), key=lambda task: _order(task.file))


def _order(file: DataFile) -> str:
    return file.file_path.rpartition("/")[2]


def data_files(
    table: IcebergTable, branch: str = "main", where: BooleanExpression | None = None
) -> list[DataFile]:
    """Return the data files of a branch's newest version, in their order."""
    snapshot = table.snapshot_by_name(branch)
    if snapshot is None:
        return []
    tasks = _tasks(table, snapshot.snapshot_id, where or AlwaysTrue())
    return [task.file for task in tasks]


def read_file(table: IcebergTable, file: DataFile, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return the rows of one data file, in the table's present columns."""
    scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    return restored(scan.to_table([FileScanTask(data_file=file)]), schema)
