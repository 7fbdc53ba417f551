"""Named: what is called after a person, or has columns, tags or branches that are.

Iceberg's metadata remembers every name that a table's columns ever had. So such a table is made
anew from its newest rows, without those columns; one that is called after the person goes.
"""

import base64
from collections.abc import Iterator

import polars as pl
import sqlalchemy as sa
from msgspec import structs
from pyiceberg.table import Table as IcebergTable

from lepton_ai.data.erase.rows import table_names
from lepton_ai.data.erase.subject import Subject
from lepton_ai.data.tables.catalog import WorkspaceCatalog
from lepton_ai.data.tables.create import store_table
from lepton_ai.data.tables.maintenance import drop, versions
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.data.tables.types import schema_of, schema_text
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.forget import change_nodes
from lepton_ai.storage.schema import (
    aliases,
    budgets,
    entries,
    grants,
    holdings,
    iceberg_namespace_properties,
)

__all__ = [
    "categories_name",
    "named_tables",
    "remake",
    "rename",
    "strike_names",
    "without_categories",
]

# What may be called after a person, beside nodes and tables.
_NAMES = (
    aliases.c.alias, aliases.c.name, budgets.c.dataset, entries.c.name, grants.c.principal,
    grants.c.scope, iceberg_namespace_properties.c.namespace,
)  # fmt: skip


def named_tables(workspace: Workspace, subject: Subject) -> list[str]:
    """Return the tables that are called after a person, or have columns or refs that are."""
    catalog = WorkspaceCatalog(workspace)
    return [
        name
        for name in table_names(workspace)
        if subject.named_in(name)
        or any(map(subject.named_in, catalog.get(name).refs()))
        or any(_told(subject, column) for column in _columns(catalog.get(name)))
    ]


def remake(workspace: Workspace, subject: Subject, name: str) -> list[str]:
    """Drop a table and all that it remembers, and store its newest rows again.

    Columns that are called after the person are not; nor is a table that is.

    Returns:
        The versions whose rows are gone.
    """
    gone = versions(workspace, name)
    table = WorkspaceCatalog(workspace).get(name)
    head = workspace.lineage.find("dataset", name)
    schema = schema_of(head.facts["types"])
    columns = [column for column in schema if not _told(subject, column)]
    frames = [read_file(table, file, schema).select(columns) for file in data_files(table, "main")]
    kept = bool(columns) and not subject.named_in(name) and head.facts.get("format") == "table"
    encrypted = head.facts.get("encrypted", True)
    drop(workspace, name)
    with workspace.database.write() as connection:
        for node in gone:
            connection.execute(sa.delete(holdings).where(holdings.c.node_id == node.id))
            connection.execute(sa.delete(aliases).where(aliases.c.node_id == node.id))
    change_nodes(workspace, (_without_columns(subject, node) for node in gone))
    if kept:
        store_table(
            workspace, name, frames, schema={column: schema[column] for column in columns},
            parents=[(head.id, "previous")], encrypted=encrypted, operation="erase",
        )  # fmt: skip
    return [node.ref for node in gone]


def categories_name(subject: Subject, node: Node) -> bool:
    """Say whether a category that a version's columns may hold names the person."""
    text = node.facts.get("types")
    # It is Arrow's schema in base64, which no search for text sees through.
    return isinstance(text, str) and subject.named_in_bytes(base64.b64decode(text))


def without_categories(subject: Subject, node: Node) -> Node:
    """Return a version whose columns have no category any more that names the person."""
    if not categories_name(subject, node):
        return node
    schema = {
        column: pl.Enum([c for c in kind.categories if not subject.named_in(c)])
        if isinstance(kind, pl.Enum)
        else kind
        for column, kind in schema_of(node.facts["types"]).items()
    }
    return structs.replace(node, facts={**node.facts, "types": schema_text(schema)})


def rename(workspace: Workspace, subject: Subject, node: Node) -> Node:
    """Return a node under another name, if it is called after the person.

    All versions of a name get the same, which only this workspace could make.
    """
    if not subject.named_in(node.name):
        return node
    token = workspace.keys.token(f"erased {node.kind} {node.name.partition('#')[0]}")
    return structs.replace(node, name=f"erased-{token[:16]}")


def strike_names(workspace: Workspace, subject: Subject) -> int:
    """Remove tags, grants, entries and budgets that are called after the person; say how many."""
    count = 0
    with workspace.database.write() as connection:
        for column in _NAMES:
            named = [w for w in connection.scalars(sa.select(column)) if subject.named_in(w)]
            if named:
                connection.execute(sa.delete(column.table).where(column.in_(named)))
            count += len(named)
    return count


def _without_columns(subject: Subject, node: Node) -> Node:
    """Return a version that is gone, without the columns that it should not have had."""
    facts = dict(node.facts)
    for key in ("columns", "derived"):
        if isinstance(facts.get(key), dict):
            facts[key] = {c: said for c, said in facts[key].items() if not _told(subject, c)}
    if "types" in facts:
        types = schema_of(facts["types"]).items()
        facts["types"] = schema_text({c: kind for c, kind in types if not _told(subject, c)})
    return structs.replace(node, facts=facts)


def _columns(table: IcebergTable) -> Iterator[str]:
    for schema in table.schemas().values():
        yield from schema.column_names


def _told(subject: Subject, column: str) -> bool:
    """Say whether a column is called after the person, or after a word of their name.

    Of those that recipes make, ``town=Ada`` and ``note:ada``, what follows the mark is a value.
    """
    if subject.named_in(column):
        return True
    words = subject.words()
    value = column.replace("=", ":").partition(":")[2]
    return words is not None and words.named_in(value)
