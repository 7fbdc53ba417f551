"""Maintenance: many small files become few, old versions give their room back, tables go."""

import time
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from msgspec import Struct
from pyiceberg.table import Table as IcebergTable

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.tables.catalog import CATALOG, identifier
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.entering import QUARANTINE
from lepton_ai.data.tables.fileio import SCHEME
from lepton_ai.data.tables.heads import after, head_of, repeated
from lepton_ai.data.tables.plain import path_of, table_folder
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.collect import GRACE
from lepton_ai.storage.database import BATCH
from lepton_ai.storage.schema import aliases, files, iceberg_tables, objects

__all__ = ["Expired", "compact", "drop", "expire"]

_SMALL = 16 * 2**20


class Expired(Struct, frozen=True):
    """What an expiry did.

    Attributes:
        versions: whose rows are gone; their nodes stay in the lineage.
        kept: versions that would have gone, and what needs them.
        files: how many files were removed.
        bytes: how much room they took.
    """

    versions: tuple[str, ...]
    kept: dict[str, str]
    files: int
    bytes: int


@repeated
def compact(workspace: Workspace, name: str) -> Node:
    """Write small data files together into large ones; the rows and their order stay.

    Returns:
        The new version, or the newest where there was nothing to do.
    """
    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        table = commit.table
        assert table is not None
        present = data_files(table, commit.branch)
        small = [place for place, file in enumerate(present) if file.file_size_in_bytes < _SMALL]
        if len(small) < 2:
            return head
        # From the first small file on, all are written anew: rows keep their order. What others
        # append meanwhile comes after them.
        moved = present[small[0] :]
        rows = (read_file(table, file, schema) for file in moved)
        added = commit.write(rows, instead_of=moved[0])
        change = Change("compact", schema, added, moved, after(head, ()))
        return commit.publish(change, based_on="removed")


def expire(
    workspace: Workspace,
    name: str,
    *,
    keep: int = 1,
    older_than: datetime | None = None,
    force: bool = False,
) -> Expired:
    """Remove the rows of old versions, and every file that no remaining version needs.

    The newest version of the table and of each branch stays always. Tagged versions stay, and
    those that a split, a model or another dataset was made from, unless ``force``.

    Args:
        keep: how many of the newest versions stay.
        older_than: only versions made before this moment go.
        force: remove versions that something was made from as well.

    Raises:
        InvalidInput: ``keep`` is less than 1.
    """
    if keep < 1:
        raise InvalidInput(f"keep must be at least 1, so that the table stays; got {keep}")
    main = name.partition("#")[0]
    with TableCommit(workspace, main) as commit:
        database = workspace.database
        database.serialise(commit.transaction.connection, f"table:{main}")
        table = commit.catalog.get(main)
        goes, stays = _choose(workspace, table, main, keep, older_than, force)
        wanted = {node.facts["snapshot"] for node, _ in stays.values()}
        wanted |= {ref.snapshot_id for ref in table.refs().values()}
        ids = [s.snapshot_id for s in table.snapshots() if s.snapshot_id not in wanted]
        # Versions of equal rows share a snapshot: they go together or not at all.
        gone = [node.ref for node in goes if node.facts["snapshot"] not in wanted]
        kept = {ref: reason for ref, (_, reason) in stays.items() if reason}
        count, size = remove_snapshots(commit, table, ids)
        return Expired(tuple(gone), kept, count, size)


def _choose(
    workspace: Workspace,
    table: IcebergTable,
    name: str,
    keep: int,
    older_than: datetime | None,
    force: bool,
) -> tuple[list[Node], dict[str, tuple[Node, str]]]:
    """Part the versions that have rows into those that go and those that stay."""
    uuid = str(table.metadata.table_uuid)
    lines: dict[str, list[Node]] = {}
    for node in versions(workspace, name):
        if node.facts.get("table") == uuid and table.snapshot_by_id(node.facts["snapshot"]):
            lines.setdefault(node.name, []).append(node)
    goes: list[Node] = []
    stays: dict[str, tuple[Node, str]] = {}
    for line in lines.values():
        _, _, branch = line[0].name.partition("#")
        gone = bool(branch) and branch not in table.refs()
        for place, node in enumerate(reversed(line)):
            young = older_than is not None and node.created_at >= older_than
            reason = needs(workspace, node, force=force)
            kept = place < keep and not gone
            if kept or young or reason:
                stays[node.ref] = (node, "" if kept or young else reason)
            else:
                goes.append(node)
    return goes, stays


def versions(workspace: Workspace, name: str) -> list[Node]:
    """Return all versions of a table and its branches, oldest first."""
    nodes = workspace.lineage.list("dataset")
    return [node for node in nodes if node.name == name or node.name.startswith(f"{name}#")]


def needs(workspace: Workspace, node: Node, *, force: bool) -> str:
    """Return what keeps a version from being expired; nothing when nothing does."""
    with workspace.database.read() as connection:
        tagged = connection.scalar(
            sa.select(aliases.c.alias).where(aliases.c.node_id == node.id).limit(1)
        )
    if tagged is not None:
        return f"the tag {tagged!r}"
    if force:
        return ""
    for role, child in workspace.lineage.children(node.id):
        if role != "previous":
            return f"the {child.kind} {child.ref}"
    return ""


def remove_snapshots(
    commit: TableCommit, table: IcebergTable, ids: Iterable[int]
) -> tuple[int, int]:
    """Remove snapshots and all files that no other needs; return how many, and their bytes."""
    gone = [*ids]
    known = used_files(table)
    if gone:
        table.maintenance.expire_snapshots().by_ids(gone).commit()
        table = commit.catalog.get(commit.name)
    commit.catalog.keep_written()
    orphans = present_files(commit, table) - used_files(table)
    if not commit.encrypted:
        orphans = {file for file in orphans if file in known or _is_left(commit, file)}
    return len(orphans), remove_files(commit, orphans)


def _is_left(commit: TableCommit, location: str) -> bool:
    """Say whether a file that no version named was left behind, and is not just being written."""
    age = time.time() - path_of(commit.workspace.home, location).stat().st_mtime
    return age > GRACE.total_seconds()


def used_files(table: IcebergTable) -> set[str]:
    """Return the locations of all files that a table's snapshots need, metadata included."""
    used = {table.metadata_location, *(log.metadata_file for log in table.metadata.metadata_log)}
    for snapshot in table.snapshots():
        used.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in used:
                used.add(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                used |= {entry.data_file.file_path for entry in entries}
    return used


def present_files(commit: TableCommit, table: IcebergTable) -> set[str]:
    """Return the locations of all files that lie in a table's place, needed or not."""
    location = table.metadata.location
    if location.startswith(SCHEME):
        query = sa.select(files.c.location).where(files.c.location.startswith(f"{location}/"))
        return set(commit.transaction.connection.scalars(query))
    folder = table_folder(commit.workspace.home, location)
    return {f"{location}/{p.relative_to(folder)}" for p in folder.rglob("*") if p.is_file()}


def remove_files(commit: TableCommit, locations: Iterable[str]) -> int:
    """Forget files, or remove plain ones once the commit is durable; return the bytes."""
    size = 0
    names = sorted(locations)
    if commit.encrypted:
        for start in range(0, len(names), BATCH):
            here = files.c.location.in_(names[start : start + BATCH])
            query = sa.select(sa.func.sum(objects.c.sealed_size)).join(
                files, files.c.address == objects.c.address
            )
            size += commit.transaction.connection.scalar(query.where(here)) or 0
            commit.transaction.execute(sa.delete(files).where(here))
        return size
    for name in names:
        path = path_of(commit.workspace.home, name)
        size += path.stat().st_size
        commit.remove_later(path)
    return size


def drop(workspace: Workspace, name: str) -> int:
    """Remove a table with all its versions' rows, and those that its rules kept aside.

    The versions' nodes stay in the lineage. Of ``name#branch`` only the branch goes; `expire` then
    removes the rows that it alone had.

    Returns:
        How many files were removed.

    Raises:
        NotFound: there is no such table or branch.
    """
    with TableCommit(workspace, name) as commit:
        # In the order in which rows enter, or the two would wait for each other.
        for subject in (name + QUARANTINE, name):
            workspace.database.serialise(commit.transaction.connection, f"table:{subject}")
        table = commit.catalog.get(name)
        if commit.branch != "main":
            if commit.branch not in table.refs():
                raise NotFound(f"there is no branch {name!r}")
            table.manage_snapshots().remove_branch(commit.branch).commit()
            commit.catalog.keep_written()
            return 0
        count = _removed(commit, table)
        with TableCommit(workspace, name + QUARANTINE, transaction=commit.transaction) as aside:
            return count + (0 if aside.table is None else _removed(aside, aside.table))


def _removed(commit: TableCommit, table: IcebergTable) -> int:
    namespace, word = identifier(commit.name)
    commit.transaction.execute(
        sa.delete(iceberg_tables).where(
            iceberg_tables.c.catalog_name == CATALOG,
            iceberg_tables.c.table_namespace == namespace,
            iceberg_tables.c.table_name == word,
        )
    )
    present = present_files(commit, table)
    remove_files(commit, present)
    return len(present)
