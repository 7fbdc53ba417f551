"""Scan: the rows of one version, always in the same order.

The order is that in which they came: data files sort by the time they were written. What deletes
or updates rows writes their file anew, so what was in it moves to the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import sqlglot
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.expressions.visitors import bind
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table import Table as IcebergTable
from pyiceberg.types import (
    BooleanType,
    DateType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
)
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.tables.catalog import WorkspaceCatalog
from lepton_ai.data.tables.types import restored, schema_of
from lepton_ai.storage import Node, Workspace

__all__ = [
    "Scan",
    "check_condition",
    "condition",
    "data_files",
    "read_file",
    "row_filter",
    "unfit",
]

# Of these, files are left out by their bounds. Not so of floats, where nothing bounds NaN and NaN
# is greater than all numbers here, nor of types whose literals Iceberg reads otherwise.
_COMPARABLE = (BooleanType, DateType, IntegerType, LongType, StringType, TimestampType)
# What looks at other rows than its own, and how Polars calls what SQLGlot does not know.
_AROUND = (exp.AggFunc, exp.Window, exp.Query, exp.UDTF, exp.Explode)
_UNKNOWN = frozenset({"covar", "var"})


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


def row_filter(where: str | None, schema: Schema) -> BooleanExpression:
    """Return what Iceberg understands of a condition, to leave out files; else everything.

    Raises:
        InvalidInput: the condition is no SQL.
    """
    if where is None:
        return AlwaysTrue()
    condition(where)
    comparable = {f.name for f in schema.fields if isinstance(f.field_type, _COMPARABLE)}
    try:
        expression = parse(where)
        # Its LIKE knows % at the end and nothing else.
        if not _names(expression) <= comparable or "like" in where.lower():
            return AlwaysTrue()
        bind(schema, expression, case_sensitive=True)
    except Exception:  # its grammar is a part of SQL's, and its parser has many errors
        return AlwaysTrue()
    return expression


def _names(expression: Any) -> set[str]:
    if hasattr(expression, "left"):
        return _names(expression.left) | _names(expression.right)
    if hasattr(expression, "child"):
        return _names(expression.child)
    return {expression.term.name} if hasattr(expression, "term") else set()


def condition(where: str) -> pl.Expr:
    """Return a condition such as ``age >= 18 and city = 'Kyiv'`` as an expression.

    Raises:
        InvalidInput: it is no SQL, or looks at more than one row.
    """
    try:
        expression = pl.sql_expr(where)
    except (pl.exceptions.PolarsError, UnicodeError) as error:
        raise InvalidInput(
            f"{where!r} is no condition: {error}; write it as in SQL, such as "
            "age >= 18 and city = 'Kyiv'"
        ) from error
    if _looks_around(where):
        # Rows are read file by file, so it would mean something else in each.
        raise InvalidInput(
            f"{where!r} looks at more than one row; compute the value first, by SQL, and write it "
            "into the condition, such as age >= 18"
        )
    return expression


def _looks_around(where: str) -> bool:
    try:
        tree = sqlglot.parse_one(where, dialect="duckdb")
    except SqlglotError:
        return False
    found = [*tree.find_all(exp.Anonymous)]
    return tree.find(*_AROUND) is not None or any(f.name.lower() in _UNKNOWN for f in found)


def check_condition(where: str, schema: Mapping[str, Any]) -> None:
    """Make sure that a condition can be asked of columns of these types.

    Raises:
        InvalidInput: it is no condition, or compares what cannot be compared.
    """
    wanted = condition(where)
    try:
        pl.DataFrame(schema=schema).filter(wanted)
    except pl.exceptions.PolarsError as error:
        raise unfit(where, error) from error


def unfit(where: str, error: pl.exceptions.PolarsError) -> InvalidInput:
    """Return what to say of a condition that rows cannot be asked for."""
    said = str(error).partition("\n")[0]
    return InvalidInput(
        f"the condition {where!r} does not fit the rows: {said}; between quotes stands text, and "
        "a date is written date '2024-05-31'"
    )
