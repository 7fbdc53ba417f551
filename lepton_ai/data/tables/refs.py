"""Tags and branches: names for versions, in Iceberg as in the lineage."""

from pyiceberg.table import Transaction as IcebergTransaction
from pyiceberg.table.refs import SnapshotRefType

from lepton_ai.core.errors import Conflict, InvalidInput, NotFound
from lepton_ai.data.tables.catalog import WorkspaceCatalog
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.types import schema_of
from lepton_ai.storage import Node, Workspace

__all__ = ["branch", "kept_snapshots", "merge", "tag"]


def tag(workspace: Workspace, version: Node, name: str) -> None:
    """Let ``NAME@tag`` mean a version from now on; a tagged version is not expired.

    Raises:
        NotFound: the version's rows are gone.
        InvalidInput: the tag is no word.
    """
    with TableCommit(workspace, version.name) as commit:
        commit.transaction.alias(version, name)
        table = commit.catalog.get(version.name)
        known = table.refs().get(name)
        if known is not None and known.snapshot_ref_type == SnapshotRefType.BRANCH:
            raise InvalidInput(f"{name!r} is a branch of {version.name}; choose another tag")
        if table.snapshot_by_id(version.facts["snapshot"]) is None:
            raise NotFound(f"the rows of {version.ref} were expired; tag another version")
        staged = table.transaction()
        point(staged, name, version.facts["snapshot"], SnapshotRefType.TAG)
        staged.commit_transaction()
        commit.catalog.keep_written()


def point(staged: IcebergTransaction, name: str, snapshot: int, kind: str) -> None:
    """Let a tag or a branch mean a snapshot."""
    staged._stage(*staged._set_ref_snapshot(snapshot, name, kind))


def kept_snapshots(workspace: Workspace, name: str) -> tuple[str, frozenset[int]]:
    """Return the id of a table, and the snapshots whose rows it still has; none once dropped."""
    table = WorkspaceCatalog(workspace).find(name)
    if table is None:
        return "", frozenset()
    return str(table.metadata.table_uuid), frozenset(s.snapshot_id for s in table.snapshots())


def branch(workspace: Workspace, version: Node, name: str) -> Node:
    """Start a line of versions of its own, ``NAME#branch``, from a version; no row is copied.

    Raises:
        InvalidInput: the version is one of a branch itself, or the branch is there already.
    """
    if "#" in version.name:
        raise InvalidInput(f"{version.ref} is one of a branch; branch from the table itself")
    if not name.isidentifier() or name == "main":
        raise InvalidInput(f"{name!r} cannot be a branch; use a word such as cleaning")
    whole = f"{version.name}#{name}"
    with TableCommit(workspace, whole) as commit:
        table = commit.catalog.get(whole)
        if name in table.refs():
            raise InvalidInput(f"there is a branch or a tag {name!r} of {version.name} already")
        point(commit.staged(), name, version.facts["snapshot"], SnapshotRefType.BRANCH)
        schema = schema_of(version.facts["types"])
        facts = {name: version.facts[name] for name in ("rows", "bytes", "schema")}
        parents = ((version.id, "previous"),)
        return commit.publish(Change("branch", schema, parents=parents, facts=facts))


def merge(workspace: Workspace, name: str) -> Node:
    """Make a branch's newest version the newest of its table (a fast-forward).

    Raises:
        Conflict: the table has versions that the branch was not made from.
    """
    main, _, word = name.partition("#")
    if not word:
        raise InvalidInput(f"{name!r} is no branch; merge one, such as {name}#cleaning")
    head = workspace.lineage.find("dataset", name)
    with TableCommit(workspace, main) as commit:
        newest = workspace.lineage.find("dataset", main)
        table = commit.catalog.get(main)
        now = table.current_snapshot()
        step = table.snapshot_by_id(head.facts["snapshot"])
        while step is not None and now is not None and step.snapshot_id != now.snapshot_id:
            parent = step.parent_snapshot_id
            step = None if parent is None else table.snapshot_by_id(parent)
        if step is None:
            raise Conflict(
                f"{main} went on since {name} was made from it; bring the branch's rows over "
                "with upsert or append"
            )
        point(commit.staged(), "main", head.facts["snapshot"], SnapshotRefType.BRANCH)
        facts = {"rows": head.facts["rows"], "bytes": head.facts["bytes"]}
        parents = ((newest.id, "previous"), (head.id, "branch"))
        return commit.publish(
            Change("merge", schema_of(newest.facts["types"]), parents=parents, facts=facts)
        )
