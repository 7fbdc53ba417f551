"""Listing: which datasets the workspace holds, and all that is known of each, without its rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.access import sight
from lepton_ai.data.entry import ColumnEntry, Entry, get_entries
from lepton_ai.data.tags import tags_of
from lepton_ai.security.policy import Permission, allows
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Link, Node, Workspace
from lepton_ai.storage.schema import holdings, objects

__all__ = ["Column", "DatasetInfo", "Listed", "catalog", "count_of", "datasets", "size_of"]

# What the items of a dataset are called in its node, by format.
_COUNTS = {"images": "images", "table": "rows", "documents": "rows"}
# What a listing names as made from a dataset, or as what a dataset was made from; other nodes
# lie between.
_ENDS = frozenset({"dataset", "model", "source"})
# An image set has a source for each of its files.
_SOURCES = 3


class DatasetInfo(Struct, frozen=True):
    """One version of a dataset, without its content.

    ``format`` is ``images``, ``table`` or ``documents``; ``count`` is the number of images, rows
    or documents.
    """

    name: str
    version: int
    format: str
    count: int
    created_at: datetime

    @property
    def ref(self) -> str:
        """``name:version``, which `open_dataset` takes."""
        return f"{self.name}:{self.version}"


class Column(Struct, frozen=True):
    """A column of a dataset: its Polars type as text, and what people say of it.

    Attributes:
        tags: its own, and those of the columns that it was made from.
    """

    name: str
    type: str
    unit: str
    description: str
    tags: tuple[str, ...]


class Listed(Struct, frozen=True):
    """A dataset, whatever it holds: its newest version, and what is known of all.

    Attributes:
        name: with its namespace, which stands before the last dot.
        version: the newest.
        versions: how many there are.
        count: images, rows or documents of the newest version.
        size: bytes of the newest version, before encryption.
        owner, description, tags: what people say; see `change_entry`.
        columns: the schema; of an image set, the columns that have tags.
        branches: opened as ``name#branch``.
        named: the version that each tag means, opened as ``name@tag``.
        made_from: datasets and files, by reference or path; of many files, the first.
        used_by: datasets and models that were made from any version.
    """

    name: str
    format: str
    version: int
    versions: int
    count: int
    size: int
    created_at: datetime
    changed_at: datetime
    owner: str
    description: str
    tags: tuple[str, ...]
    columns: tuple[Column, ...]
    branches: tuple[str, ...]
    named: dict[str, int]
    made_from: tuple[str, ...]
    used_by: tuple[str, ...]

    @property
    def namespace(self) -> str:
        """What stands before the last dot of the name; empty where there is none."""
        return self.name.rpartition(".")[0]


def datasets(workspace: Workspace | None = None, name: str | None = None) -> list[DatasetInfo]:
    """Return all versions of all datasets, the newest last; with ``name``, its versions.

    Args:
        workspace: the default one unless given.
        name: of one dataset.
    """
    nodes = (workspace or Workspace.open()).lineage.list("dataset", name)
    return [
        DatasetInfo(
            node.name, node.version or 1, node.facts["format"], count_of(node), node.created_at
        )
        for node in nodes
    ]


def catalog(
    workspace: Workspace | None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    tag: str | None = None,
    search: str | None = None,
) -> list[Listed]:
    """Return the datasets of the workspace, one item each, by name.

    Args:
        workspace: the default one unless given.
        name: only this one.
        namespace: only those in it, or in one below.
        tag: only those that people gave this tag, or that have a column with it.
        search: only those with this text in name, description, owner, tags or columns.

    Raises:
        NotFound: there is no dataset ``name``.
        InvalidInput: ``search`` is empty.
    """
    if search is not None and not search.strip():
        raise InvalidInput("search needs a text to look for; leave it out to see all datasets")
    place = workspace or Workspace.open()
    lines: dict[str, list[Node]] = defaultdict(list)
    branches: dict[str, dict[str, None]] = defaultdict(dict)
    for node in place.lineage.list("dataset"):
        main, _, branch = node.name.partition("#")
        if name is not None and main != name:
            continue
        if branch:
            branches[main][branch] = None
        else:
            lines[main].append(node)
    if name is not None and not lines:
        raise NotFound(f"there is no dataset {name!r}; `lepton data ls` lists what there is")
    entries = get_entries(place, lines)
    found = []
    for main in sorted(lines):
        if namespace is None or main.startswith(f"{namespace}."):
            one = _listed(place, main, lines[main], branches[main], entries[main])
            if _matches(one, tag, search):
                found.append(one)
    return found


def count_of(node: Node) -> int:
    """Return how many images, rows or documents a version has."""
    return int(node.facts[_COUNTS[node.facts["format"]]])


def size_of(workspace: Workspace, node: Node) -> int:
    """Return the bytes of a version, before encryption: its rows, or the files that it keeps."""
    if node.facts["format"] == "table":
        return int(node.facts["bytes"])
    held = sa.select(sa.func.sum(objects.c.size)).join(
        holdings, holdings.c.address == objects.c.address
    )
    with workspace.database.read() as connection:
        return int(connection.scalar(held.where(holdings.c.node_id == node.id)) or 0)


def _listed(
    place: Workspace, name: str, nodes: list[Node], branches: Iterable[str], entry: Entry
) -> Listed:
    newest = nodes[-1]
    schema = newest.facts.get("columns")
    if schema is not None:
        schema = sight(place, newest, current_principal()).types(schema)
    aliases = place.lineage.aliases("dataset", name)
    return Listed(
        name=name,
        format=newest.facts["format"],
        version=newest.version or 1,
        versions=len(nodes),
        count=count_of(newest),
        size=size_of(place, newest),
        created_at=nodes[0].created_at,
        changed_at=newest.created_at,
        owner=entry.owner,
        description=entry.description,
        tags=entry.tags,
        columns=_columns(schema, entry, tags_of(place, newest)),
        branches=tuple(branches),
        named={word: version for word, version in aliases.items() if version is not None},
        made_from=_made_from(place, name, newest),
        used_by=_used_by(place, name, nodes),
    )


def _columns(
    schema: Mapping[str, str] | None, entry: Entry, tags: Mapping[str, set[str]]
) -> tuple[Column, ...]:
    known = dict.fromkeys(tags, "") if schema is None else schema
    said = {name: entry.columns.get(name, ColumnEntry()) for name in known}
    return tuple(
        Column(
            name, kind, said[name].unit, said[name].description, tuple(sorted(tags.get(name, ())))
        )
        for name, kind in known.items()
    )


def _made_from(place: Workspace, name: str, newest: Node) -> tuple[str, ...]:
    links = place.lineage.ancestors(newest.id)
    ends = _reached(place, name, [newest], links, up=True)
    told = [node.ref for node in ends if node.kind != "source"]
    # A path may tell what a column hides.
    if allows(current_principal(), Permission.ADMIN):
        paths = sorted(
            str(node.facts.get("path", node.id)) for node in ends if node.kind == "source"
        )
        told += paths[:_SOURCES]
        if len(paths) > _SOURCES:
            told.append(f"and {len(paths) - _SOURCES:,} more files")
    return tuple(told)


def _used_by(place: Workspace, name: str, nodes: list[Node]) -> tuple[str, ...]:
    links: dict[Link, None] = {}
    known: set[str] = set()
    for node in nodes:
        if node.id not in known:
            below = place.lineage.descendants(node.id)
            links |= dict.fromkeys(below)
            known |= {link.child for link in below}
    ends = _reached(place, name, nodes, links, up=False)
    return tuple(dict.fromkeys(node.ref for node in ends))


def _reached(
    place: Workspace, name: str, nodes: list[Node], links: Iterable[Link], *, up: bool
) -> list[Node]:
    """Return the datasets, models and files that come first on the ways from a dataset."""
    beside: dict[str, list[str]] = defaultdict(list)
    for link in links:
        here, there = (link.child, link.parent) if up else (link.parent, link.child)
        beside[here].append(there)
    known = place.lineage.nodes({other for others in beside.values() for other in others})
    ahead = [node.id for node in nodes]
    seen = set(ahead)
    ends = []
    while ahead:
        for other in beside[ahead.pop(0)]:
            if other in seen:
                continue
            seen.add(other)
            node = known[other]
            own = node.kind == "dataset" and node.name.partition("#")[0] == name
            if node.kind in _ENDS and not own:
                ends.append(node)
            else:
                ahead.append(other)
    return ends


def _matches(one: Listed, tag: str | None, search: str | None) -> bool:
    tags = {*one.tags, *(tag for column in one.columns for tag in column.tags)}
    if tag is not None and tag not in tags:
        return False
    if search is None:
        return True
    words: list[Any] = [one.name, one.description, one.owner, *tags]
    words += [text for column in one.columns for text in (column.name, column.description)]
    return any(search.casefold() in word.casefold() for word in words)
