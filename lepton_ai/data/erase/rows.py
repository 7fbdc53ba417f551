"""Rows: finding a person in every file of a table, and taking their rows out of all of them."""

from collections.abc import Collection, Iterator

import polars as pl
import sqlalchemy as sa
from msgspec import Struct
from pyarrow import parquet
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.refs import SnapshotRefType

from lepton_ai.data.erase.subject import Subject
from lepton_ai.data.tables.catalog import CATALOG, WorkspaceCatalog
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.heads import after, head_of, repeated
from lepton_ai.data.tables.maintenance import remove_snapshots
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.schema import aliases, iceberg_tables

__all__ = [
    "TableTraces",
    "delete_rows",
    "documents_at",
    "empty_version",
    "forget_snapshots",
    "snapshots_naming",
    "table_names",
    "traces_in",
    "versions_of",
]

# What a set of documents says beside its rows.
_CARRIED = ("folder", "classes", "rejected", "ignored")


class TableTraces(Struct, frozen=True):
    """What of a person lies in a table.

    Attributes:
        name: of the table, without a branch.
        files: location of each data file that holds rows of theirs, or names them -> how many.
        snapshots: that need, or name, one of those files.
        objects: addresses of the documents that their rows list.
        rows: of theirs in the newest version of the table and of each branch that has such
            files, by its name.
        uuid: Iceberg's id of the table.
    """

    name: str
    uuid: str
    files: dict[str, int]
    snapshots: tuple[int, ...]
    rows: dict[str, int]
    objects: frozenset[str] = frozenset()


def table_names(workspace: Workspace) -> list[str]:
    """Return the names of all tables that there are, quarantines among them."""
    query = sa.select(iceberg_tables.c.table_namespace, iceberg_tables.c.table_name)
    with workspace.database.read() as connection:
        found = connection.execute(query.where(iceberg_tables.c.catalog_name == CATALOG)).all()
    return sorted(
        name if namespace == "default" else f"{namespace}.{name}" for namespace, name in found
    )


def traces_in(
    workspace: Workspace,
    name: str,
    subject: Subject,
    keys: Collection[str],
    objects: Collection[str] = (),
) -> TableTraces:
    """Look for a person in every data file of a table, whichever version needs it.

    Args:
        keys: names of columns that hold identifiers, now or in an older version.
        objects: addresses of documents that are theirs, whichever path lists them.
    """
    listed: set[str] = set()
    table = WorkspaceCatalog(workspace).get(name)
    files: dict[str, int] = {}
    needed = _named_files(table)
    for location in sorted(set().union(*needed.values())):
        if table.io.new_input(location).exists():
            theirs, named = 0, False
            for frame in _stored(table, location):
                about = _about(table, frame, subject, keys, objects)
                theirs += int(about.sum())
                if _lists_documents(table):
                    listed |= set(frame["object"].filter(about).drop_nulls())
                named |= subject.mentions(frame).any()
            if theirs or named:
                files[location] = theirs
    snapshots = [number for number, locations in needed.items() if locations & set(files)]
    rows = {}
    for branch in _branches(table):
        touched = [f.file_path for f in data_files(table, branch) if f.file_path in files]
        if touched:
            rows[_line(name, branch)] = sum(files[path] for path in touched)
    uuid = str(table.metadata.table_uuid)
    return TableTraces(name, uuid, files, tuple(sorted(snapshots)), rows, frozenset(listed))


@repeated
def delete_rows(
    workspace: Workspace,
    name: str,
    subject: Subject,
    keys: Collection[str],
    traces: TableTraces,
) -> Node:
    """Take a person's rows out of the newest version of a table or branch, and their name out of
    the texts of others.

    Args:
        traces: of the person in the table.

    Returns:
        The new version, or the newest where there was nothing to do.
    """
    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        table = commit.table
        assert table is not None
        removed = [f for f in data_files(table, commit.branch) if f.file_path in traces.files]
        if not removed:
            return head

        def kept() -> Iterator[pl.DataFrame]:
            for file in removed:
                stored = pl.concat([*_stored(table, file.file_path)])
                about = _about(table, stored, subject, keys, traces.objects)
                yield subject.blackened(read_file(table, file, schema).filter(~about))

        facts = {key: head.facts[key] for key in _CARRIED if key in head.facts}
        change = Change(
            "erase",
            schema,
            commit.write(kept()),
            removed,
            after(head, ()),
            subject.redacted(facts),
        )
        return commit.publish(change, based_on="rows")


@repeated
def forget_snapshots(workspace: Workspace, name: str, snapshots: Collection[int]) -> list[str]:
    """Remove snapshots, the tags that mean them, and all files that no other needs.

    Returns:
        The versions whose rows are gone.
    """
    gone = set(snapshots)
    with TableCommit(workspace, name) as commit:
        connection = commit.transaction.connection
        workspace.database.serialise(connection, f"table:{name}")
        table = commit.catalog.get(name)
        gone &= {snapshot.snapshot_id for snapshot in table.snapshots()}
        versions = versions_of(workspace, name, str(table.metadata.table_uuid), gone)
        for node in versions:
            connection.execute(sa.delete(aliases).where(aliases.c.node_id == node.id))
        for word, ref in table.refs().items():
            if ref.snapshot_id in gone and ref.snapshot_ref_type == SnapshotRefType.TAG:
                table.manage_snapshots().remove_tag(word).commit()
        remove_snapshots(commit, commit.catalog.get(name), gone)
        return [node.ref for node in versions]


def versions_of(
    workspace: Workspace, name: str, uuid: str, snapshots: Collection[int]
) -> list[Node]:
    """Return the versions of a table and its branches that lie in some snapshots."""
    return [
        node
        for node in workspace.lineage.list("dataset")
        if node.name.partition("#")[0] == name
        and node.facts.get("table") == uuid
        and node.facts.get("snapshot") in snapshots
    ]


def _line(name: str, branch: str) -> str:
    return name if branch == "main" else f"{name}#{branch}"


def _branches(table: IcebergTable) -> list[str]:
    return [
        word
        for word, ref in table.refs().items()
        if ref.snapshot_ref_type == SnapshotRefType.BRANCH
    ]


def _stored(table: IcebergTable, location: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file as they lie there: columns that were dropped since included."""
    with table.io.new_input(location).open() as source:
        file = parquet.ParquetFile(source)
        for group in range(file.num_row_groups):
            frame = pl.from_arrow(file.read_row_group(group))
            assert isinstance(frame, pl.DataFrame)
            yield frame


def _about(
    table: IcebergTable,
    frame: pl.DataFrame,
    subject: Subject,
    keys: Collection[str],
    objects: Collection[str],
) -> pl.Series:
    """Return for each row of a file whether it is the person's."""
    about = subject.about(frame, _named(table, frame, keys))
    if _lists_documents(table):
        about |= frame["object"].is_in([*objects]).fill_null(value=False)
    return about


def documents_at(workspace: Workspace, name: str) -> Iterator[tuple[str, str]]:
    """Yield address and path of every document that any version of a set lists."""
    table = WorkspaceCatalog(workspace).get(name)
    if _lists_documents(table):
        for location in sorted(set().union(*_named_files(table).values())):
            if table.io.new_input(location).exists():
                for frame in _stored(table, location):
                    yield from frame.select("object", "path").drop_nulls().rows()


def _lists_documents(table: IcebergTable) -> bool:
    return table.metadata.properties.get("lepton.format") == "documents"


def _named(table: IcebergTable, frame: pl.DataFrame, keys: Collection[str]) -> set[str]:
    """Return the key columns of a file, under whichever name they had when it was written."""
    names: dict[int, set[str]] = {}
    for schema in table.schemas().values():
        for field in schema.fields:
            names.setdefault(field.field_id, set()).add(field.name)
    known = {name for words in names.values() if words & set(keys) for name in words}
    return known & set(frame.columns)


def snapshots_naming(workspace: Workspace, name: str, files: Collection[str]) -> set[int]:
    """Return the snapshots that need some data files, or say that they removed them."""
    table = WorkspaceCatalog(workspace).get(name)
    wanted = set(files)
    return {number for number, needed in _named_files(table).items() if needed & wanted}


@repeated
def empty_version(workspace: Workspace, name: str, uuid: str, snapshot: int) -> list[str]:
    """Remove a version's rows, in later versions too, where they may be anywhere.

    Returns:
        The versions whose rows are gone; the newest one, where it was among them, is empty now.
    """
    main = name.partition("#")[0]
    table = WorkspaceCatalog(workspace).find(main)
    if table is None or str(table.metadata.table_uuid) != uuid:
        return []
    if table.snapshot_by_id(snapshot) is None:
        return []
    head = table.snapshot_by_name(name.partition("#")[2] or "main")
    files = _named_files(table)[snapshot]
    if head is not None and head.snapshot_id == snapshot:
        with TableCommit(workspace, name) as commit:
            node, schema = head_of(commit)
            assert commit.table is not None
            removed = data_files(commit.table, commit.branch)
            change = Change("erase", schema, [], removed, after(node, ()))
            commit.publish(change, based_on="rows")
    return forget_snapshots(workspace, main, snapshots_naming(workspace, main, files) | {snapshot})


def _named_files(table: IcebergTable) -> dict[int, set[str]]:
    """Return the locations of the data files that each snapshot's manifests name."""
    return {
        snapshot.snapshot_id: {
            entry.data_file.file_path
            for manifest in snapshot.manifests(table.io)
            # What a snapshot removed is named too, with its smallest and greatest values.
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        }
        for snapshot in table.snapshots()
    }
