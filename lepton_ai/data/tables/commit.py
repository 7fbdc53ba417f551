"""Commit: the one place where a version of a table comes to be.

Data files are written first, outside any lock. Then the database's write lock is taken, Iceberg's
commit and the version's lineage node are written, and all becomes durable together or not at all.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import polars as pl
import pyarrow as pa
from pyiceberg.io.pyarrow import bin_pack_record_batches, pyarrow_to_schema, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table import Transaction as IcebergTransaction
from pyiceberg.table import WriteTask
from pyiceberg.table.metadata import TableMetadata

from lepton_ai.compute.local import shared_threads
from lepton_ai.core.errors import Conflict
from lepton_ai.core.ids import new_id
from lepton_ai.data.tables.catalog import WorkspaceCatalog
from lepton_ai.data.tables.fileio import SCHEME
from lepton_ai.data.tables.locations import place_of
from lepton_ai.data.tables.scan import data_files
from lepton_ai.data.tables.types import arrow_of, schema_text
from lepton_ai.storage import Node, Transaction, Workspace
from lepton_ai.storage.files import disk_errors

__all__ = ["Change", "Outdated", "TableCommit"]

# Of rows in memory; a file of Parquet is several times smaller.
_FILE_BYTES = 128 * 2**20
# The table's property that says what its rows stand for; a plain table has none.
_FORMAT = "lepton.format"


class Outdated(Conflict):
    """Another process changed the table while this change was being prepared."""


class Change(msgspec.Struct, frozen=True):
    """What a commit does to a table.

    Attributes:
        operation: ``create``, ``append``, ``overwrite``, ``upsert``, ``delete``, ``evolve`` ...
        added: data files that join the table.
        removed: data files that leave it.
        replaces: all data files leave it that are there when the change is committed.
        schema: the Polars types of the version that comes out.
        parents: lineage, as pairs of node id and role.
        facts: what else the version's node says.
        digest: of the content; a version that has it already is returned in place of a new one.
        holds: addresses of objects that the version's rows name, and that stay as long as it.
    """

    operation: str
    schema: Mapping[str, Any]
    added: Sequence[DataFile] = ()
    removed: Sequence[DataFile] = ()
    parents: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, Any] = {}
    digest: str | None = None
    holds: Sequence[str] = ()
    replaces: bool = False


class TableCommit:
    """One change of one table, for a ``with`` block; it is undone unless `publish` was called.

    Args:
        name: of the dataset; ``name#branch`` for a branch of it.
        transaction: of another table's commit, which this one joins.

    Attributes:
        table: as it was when the block began; None where there is none yet.
        aside: a name for the rows that its rules keep aside; equal ones have the same.
        kept_out: how many those are.
    """

    def __init__(
        self, workspace: Workspace, name: str, *, transaction: Transaction | None = None
    ) -> None:
        self.workspace = workspace
        self.name = name
        self.branch = name.partition("#")[2] or "main"
        self.transaction = transaction or workspace.transaction()
        self._own = transaction is None
        self.catalog = WorkspaceCatalog(workspace, self.transaction)
        self.table: IcebergTable | None = None
        self.aside = ""
        self.kept_out = 0
        self._draft: TableMetadata | None = None
        self._staged: IcebergTransaction | None = None

    def __enter__(self) -> Self:
        if self._own:
            self.transaction.__enter__()
        try:
            self.table = self.catalog.find(self.name)
        except BaseException as error:
            if self._own:
                self.transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.catalog.plain.undo()
        if self._own:
            self.transaction.__exit__(kind, error, trace)
        if isinstance(error, OSError):
            with disk_errors(f"the table {self.name!r}"):
                raise error

    @property
    def metadata(self) -> TableMetadata:
        """The metadata that data files are written for."""
        if self._staged is not None:
            return self._staged.table_metadata
        if self.table is not None:
            return self.table.metadata
        assert self._draft is not None
        return self._draft

    @property
    def encrypted(self) -> bool:
        """Whether the table's files are objects."""
        return self.metadata.location.startswith(SCHEME)

    @property
    def format(self) -> str:
        """What the table's rows stand for: ``table``, or ``documents``."""
        return str(self.metadata.properties.get(_FORMAT, "table"))

    def begin(self, schema: Schema, *, encrypted: bool, format: str = "table") -> None:  # noqa: A002
        """Prepare a table that does not exist yet."""
        draft = self.catalog.draft(self.name, schema, encrypted=encrypted)
        if format != "table":
            properties = {**draft.properties, _FORMAT: format}
            draft = draft.model_copy(update={"properties": properties})
        self._draft = draft

    def remove_later(self, path: Path) -> None:
        """Remove a plain file once the commit is durable: until then it is needed."""
        self.transaction.afterwards(partial(path.unlink, missing_ok=True))

    def staged(self) -> IcebergTransaction:
        """Return PyIceberg's transaction, for changes of the schema before files are written."""
        assert self.table is not None
        if self._staged is None:
            self._staged = self.table.transaction()
        return self._staged

    def write(
        self, frames: Iterable[pl.DataFrame], *, instead_of: DataFile | None = None
    ) -> list[DataFile]:
        """Write frames as data files of the table, in bounded memory, and return those.

        Args:
            instead_of: the file whose place in the order of the rows the new ones take.
        """
        first, arrow = _peek(arrow_of(frame) for frame in frames)
        if first is None:
            return []
        # A name that sorts by time gives rows a lasting order; see `scan`.
        stamp, begin = (new_id("part"), 0) if instead_of is None else place_of(instead_of)
        metadata = self.metadata
        properties = {
            **metadata.properties,
            "write.py-location-provider.impl": "lepton_ai.data.tables.locations.Ordered",
            "lepton.stamp": stamp,
        }
        target = metadata.model_copy(update={"properties": properties})
        task_schema = pyarrow_to_schema(first.schema, name_mapping=metadata.schema().name_mapping)
        batches = (batch for table in arrow for batch in table.to_batches())
        write_id = uuid.uuid4()
        tasks = (
            WriteTask(write_id, number, task_schema, group)
            for number, group in enumerate(bin_pack_record_batches(batches, _FILE_BYTES), begin)
        )
        io = self.catalog.io(metadata.location)

        def written(task: WriteTask) -> list[DataFile]:
            files = list(write_file(io, target, iter([task])))
            # A finished task lives until the next garbage collection; its rows need not.
            task.record_batches.clear()
            return files

        # PyIceberg would take all tasks, and so all rows, into memory before the first is done.
        two = [*islice(tasks, 2)]
        if len(two) == 1:
            # Most changes are of one file, which a thread would only take longer for.
            return written(two[0])
        made = shared_threads().map(written, chain(two, tasks), in_flight=2)
        return [file for files in made for file in files]

    def publish(
        self, change: Change, *, based_on: Literal["columns", "removed", "rows"] = "columns"
    ) -> Node:
        """Commit the change to Iceberg and the version to the lineage; durable after the block.

        Args:
            based_on: what the change follows from, and no other may have altered meanwhile: the
                table's columns, the files that it removes and their order too, or all rows.

        Raises:
            Outdated: the table is no longer what the change was made for.
        """
        database = self.workspace.database
        database.serialise(self.transaction.connection, f"table:{self.name}")
        fresh = self.catalog.find(self.name)
        if self.table is None:
            if fresh is not None or self._draft is None:
                raise Outdated(f"another process made the table {self.name!r} meanwhile")
            fresh = self.catalog.insert(self.name, self._draft)
        elif fresh is None or fresh.metadata.table_uuid != self.table.metadata.table_uuid:
            raise Outdated(f"the table {self.name!r} was dropped meanwhile; nothing was changed")
        elif fresh.metadata_location == self.table.metadata_location:
            pass
        elif based_on == "rows" or self._staged is not None:
            raise Outdated(f"another process changed the table {self.name!r} meanwhile")
        elif based_on == "removed" and not _in_a_row(change.removed, fresh, self.branch):
            raise Outdated(f"another process changed the rows of {self.name!r} meanwhile")
        elif fresh.metadata.current_schema_id != self.table.metadata.current_schema_id:
            raise Outdated(f"another process changed the columns of {self.name!r} meanwhile")
        if change.replaces:
            present = data_files(fresh, self.branch)
            change = msgspec.structs.replace(change, removed=present)
        staged = self._staged or fresh.transaction()
        _apply(staged, change, self.branch)
        done = staged.commit_transaction()
        snapshot = done.snapshot_by_name(self.branch)
        assert snapshot is not None
        self.catalog.keep_written()
        summary = snapshot.summary
        facts = {
            "format": done.metadata.properties.get(_FORMAT, "table"),
            "rows": int((summary["total-records"] if summary else None) or 0),
            "bytes": int((summary["total-files-size"] if summary else None) or 0),
            "columns": {name: str(kind) for name, kind in change.schema.items()},
            "types": schema_text(change.schema),
            "table": str(done.metadata.table_uuid),
            "snapshot": snapshot.snapshot_id,
            "schema": done.metadata.current_schema_id,
            "operation": change.operation,
            "encrypted": self.encrypted,
            "kept_out": self.kept_out,
            **change.facts,
        }
        return self.transaction.node(
            "dataset",
            self.name,
            version=True,
            digest=change.digest or self.workspace.keys.token(_moment(facts, change.parents)),
            facts=facts,
            parents=change.parents,
            holds=change.holds,
        )


def _moment(facts: Mapping[str, Any], parents: Sequence[tuple[str, str]]) -> str:
    """Return what no other version of a table says: columns may become what they were before."""
    before = [node_id for node_id, _ in parents]
    return f"snapshot {facts['table']} {facts['snapshot']} {facts['schema']} after {before}"


def _in_a_row(files: Sequence[DataFile], table: IcebergTable, branch: str) -> bool:
    """Say whether files are still there, one after the other, with none between them."""
    wanted = [file.file_path for file in files]
    present = [file.file_path for file in data_files(table, branch)]
    if wanted[0] not in present:
        return False
    start = present.index(wanted[0])
    return present[start : start + len(wanted)] == wanted


def _apply(staged: IcebergTransaction, change: Change, branch: str) -> None:
    if change.removed:
        with staged.update_snapshot(branch=branch).overwrite() as overwrite:
            for file in change.removed:
                overwrite.delete_data_file(file)
            for file in change.added:
                overwrite.append_data_file(file)
        if change.operation == "erase":
            # The snapshot above names the files that left, with their smallest and greatest
            # values; this one follows it without them, so that the other can go too.
            with staged.update_snapshot(branch=branch).fast_append():
                pass
    elif change.added or branch not in staged.table_metadata.refs:
        with staged.update_snapshot(branch=branch).merge_append() as append:
            for file in change.added:
                append.append_data_file(file)


def _peek(tables: Iterator[pa.Table]) -> tuple[pa.Table | None, Iterator[pa.Table]]:
    """Return the first table that has rows, and an iterator over it and the rest."""
    for table in tables:
        if table.num_rows:

            def chained(first: pa.Table = table) -> Iterator[pa.Table]:
                yield first
                yield from tables

            return table, chained()
    return None, iter(())
