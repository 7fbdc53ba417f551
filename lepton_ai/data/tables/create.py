"""create_table: rows become a named table, or replace what a name held."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import polars as pl
from pyiceberg.manifest import DataFile

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.tables.columns import adapt, iceberg_schema
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.entering import admitted
from lepton_ai.data.tables.heads import repeated
from lepton_ai.data.tables.types import schema_text
from lepton_ai.storage import Node, Workspace

__all__ = ["store_table"]


def store_table(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    *,
    schema: Mapping[str, Any] | None = None,
    parents: Sequence[tuple[str, str]] = (),
    facts: Mapping[str, Any] | None = None,
    encrypted: bool | None = None,
    operation: str = "create",
) -> Node:
    """Store rows as the next version of a table, in the place of what it held before.

    Content that the newest version has already makes no new one and stores nothing. Whatever other
    processes store meanwhile is a version too, before this one or after it.

    Args:
        frames: the rows, in frames of the same columns; taken one by one.
        schema: of the rows; that of the first frame unless given.
        parents: what the rows were made from.
        facts: what else the version's node says.
        encrypted: whether the files are encrypted; for a name that exists already, as it was.

    Raises:
        InvalidInput: there are no columns, or one cannot be kept.
        Conflict: another process changed the table's columns meanwhile, and the frames, an
            iterator, cannot be taken again.
    """
    store = _stored if isinstance(frames, Iterator) else repeated(_stored)
    return store(workspace, name, frames, schema, parents, facts, encrypted, operation)


def _stored(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    schema: Mapping[str, Any] | None,
    parents: Sequence[tuple[str, str]],
    facts: Mapping[str, Any] | None,
    encrypted: bool | None,
    operation: str,
) -> Node:
    source = iter(frames)
    if schema is None:
        first = next(source, None)
        if first is None:
            raise InvalidInput("a table needs columns; there is not even an empty frame")
        source, schema = chain([first], source), first.schema
    if not schema:
        raise InvalidInput("a table needs at least one column; the data has none")
    wanted = iceberg_schema(schema)
    try:
        with TableCommit(workspace, name) as commit:
            if commit.table is None:
                commit.begin(wanted, encrypted=encrypted is not False)
            else:
                if commit.format != "table":
                    raise InvalidInput(
                        f"{name!r} holds {commit.format}, not a table; choose another name"
                    )
                if encrypted is not None and encrypted != commit.encrypted:
                    raise InvalidInput(
                        f"the table {name!r} is {'' if commit.encrypted else 'not '}encrypted, "
                        "and stays so; drop it first, or choose another name"
                    )
                if "#" in name and commit.branch not in commit.table.refs():
                    raise InvalidInput(f"there is no branch {name!r}; make it: table.branch(...)")
                adapt(commit, wanted)
            added = commit.write(admitted(commit, _same(source, schema), stays=None))
            digest = _digest(commit, added, schema)
            versions = workspace.lineage.list("dataset", name)
            newest = versions[-1] if commit.table and versions else None
            if newest is not None and _came_before(newest, digest, commit.aside):
                derived = _derivation(facts or {})
                if derived in (None, _derivation(newest.facts)):
                    raise _Unchanged(newest)
            again = any(node.digest == digest for node in versions)
            facts = {**(facts or {}), **({"kept_aside": commit.aside} if commit.aside else {})}
            change = Change(
                operation,
                schema,
                added=added,
                replaces=True,
                parents=parents,
                # An older version of equal rows is not the newest one.
                facts={**facts, "content": digest} if again else facts,
                digest=None if again else digest,
            )
            return commit.publish(change)
    except _Unchanged as unchanged:
        return unchanged.node


def _came_before(newest: Node, digest: str, aside: str) -> bool:
    """Say whether a version holds these rows, and was made beside the same ones kept aside."""
    same = digest in (newest.digest, newest.facts.get("content"))
    return same and newest.facts.get("kept_aside", "") == aside


def _derivation(facts: Mapping[str, Any]) -> dict[str, set[str]] | None:
    """Return the columns that each column was computed from, whose tags it has.

    Rows that are equal by chance, but come from other columns, are another version.
    """
    derived: Mapping[str, Mapping[str, list[str]]] | None = facts.get("derived")
    if derived is None:
        return None
    return {column: set().union(*of.values()) for column, of in derived.items()}


class _Unchanged(Exception):
    """The content is there already: undo what was written, and return the version that has it."""

    def __init__(self, node: Node) -> None:
        self.node = node


def _same(frames: Iterator[pl.DataFrame], schema: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        if dict(frame.schema) != dict(schema):
            raise InvalidInput(
                f"all rows need the same columns; expected {dict(schema)}, then came "
                f"{dict(frame.schema)}"
            )
        yield frame


def _digest(commit: TableCommit, files: Sequence[DataFile], schema: Mapping[str, Any]) -> str:
    """Return a name for the content: equal rows in equal types have the same."""
    keys = commit.workspace.keys
    if not commit.encrypted:
        return keys.token(f"files {[file.file_path for file in files]}")
    written = commit.catalog.objects.written
    addresses = [written[file.file_path].address for file in files]
    return keys.token(f"rows {commit.metadata.table_uuid} {schema_text(schema)} {addresses}")
