"""Find: everything in a workspace that holds a person, and what was made from it."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec
import sqlalchemy as sa
from msgspec import Struct, field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.entry import get_entry
from lepton_ai.data.erase.content import Sight, holds, look
from lepton_ai.data.erase.named import categories_name, named_tables
from lepton_ai.data.erase.rows import (
    TableTraces,
    documents_at,
    table_names,
    traces_in,
    versions_of,
)
from lepton_ai.data.erase.subject import Subject
from lepton_ai.data.images.manifest import Manifest
from lepton_ai.data.tags import tags_of
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.forget import held_objects
from lepton_ai.storage.nodes import read_node
from lepton_ai.storage.schema import entries, holdings, nodes, predictions

__all__ = ["SUBJECT", "Found", "find", "known_columns", "look_at_rows"]

# The tag of columns that hold identifiers of people.
SUBJECT = "subject"

# Models of these kinds keep rows that they were trained on, whatever their columns.
_KEEP_ROWS = {"k-nearest", "svm"}
# Versions made so hold nothing of the version before.
_FRESH = {"create", "erase"}
# Where the workspace keeps what is looked through in other ways.
_OWN = {"objects", "tables", "metadata.db", "metadata.db-wal", "metadata.db-shm", "keys.json"}


class Found(Struct):
    """What holds a person.

    Attributes:
        tables: those with rows of theirs, in any version.
        versions: nodes of the table versions that held such rows.
        images: node of each image set version -> places of the images that are theirs.
        objects: addresses of other content that names them: sources, manifests, models ...
        holders: nodes that hold one of those.
        naming: nodes whose facts name them.
        named: tables that are called after them, or have columns, tags or branches that are.
        predictions: ids of receipts that name them.
        described: names of datasets whose entry in the catalog names them.
        files: other files in the workspace's directory that name them.
        unread: contents and other files that could not be looked into, and why.
        bare: how many contents have pages without text, such as scans, by what holds them.
        derived: nodes of tables made from such versions, without a column to find them by.
        models: nodes of models that learned from any of this.
        withdrawn: ids of the models among them that hold rows of theirs themselves.
        sights: address of each stored content that does not name them -> what was seen of it.
    """

    tables: list[TableTraces] = []
    versions: list[Node] = []
    images: dict[str, list[int]] = {}
    objects: set[str] = field(default_factory=set)
    holders: list[Node] = []
    naming: list[Node] = []
    named: list[str] = []
    predictions: list[str] = []
    described: list[str] = []
    files: list[Path] = []
    unread: list[str] = []
    bare: dict[str, int] = {}
    derived: list[Node] = []
    models: list[Node] = []
    withdrawn: set[str] = field(default_factory=set)
    sights: dict[str, Sight] = {}

    def __bool__(self) -> bool:
        left = self.tables, self.images, self.objects, self.naming, self.predictions
        return any(left) or any((self.described, self.files, self.named))


def find(
    workspace: Workspace,
    subject: Subject,
    *,
    columns: Collection[str] = (),
    keep: Collection[str] = (),
    sights: Mapping[str, Sight] = MappingProxyType({}),
) -> Found:
    """Look through everything that a workspace keeps.

    Args:
        columns: that hold identifiers, beside those tagged ``subject``.
        keep: datasets that hold no person's rows though made from such, as sums do, and what
            holds contents that cannot be looked into and are not theirs, as ``unread`` names it.
        sights: what an earlier look for the same person saw, by address; no content changes
            under its address.

    Raises:
        Corrupt: stored bytes were altered.
        InvalidInput: no table ever had one of these columns.
    """
    known = known_columns(workspace)
    if odd := sorted({*columns} - known):
        there = ", ".join(sorted(known)) or "none"
        raise InvalidInput(f"no table has columns {odd}; the columns of all tables are: {there}")
    found = Found()
    judged: set[str] = set()
    _look_at_objects(workspace, subject, found, sights)
    for name in table_names(workspace):
        keys = key_columns(workspace, name, columns)
        traces = traces_in(workspace, name, subject, keys, found.objects)
        if traces.files:
            found.tables.append(traces)
            found.versions += versions_of(workspace, name, traces.uuid, traces.snapshots)
            found.objects |= traces.objects
        if traces.files or keys:
            judged.add(name)
    found.named = named_tables(workspace, subject)
    _look_at_sources(workspace, subject, found)
    _tell_unread(workspace, found, keep)
    look_at_rows(workspace, subject, found)
    _look_at_files(workspace, subject, found)
    learned = _follow(workspace, found, judged | set(keep))
    _look_at_vocabularies(workspace, subject, found, learned)
    return found


def known_columns(workspace: Workspace) -> set[str]:
    """Return the names of all columns that any version of any table has."""
    versions = workspace.lineage.list("dataset")
    return {column for node in versions for column in node.facts.get("columns", ())}


def key_columns(workspace: Workspace, name: str, columns: Collection[str] = ()) -> set[str]:
    """Return the columns of a table that hold identifiers of people."""
    keys = set()
    lineage = workspace.lineage.list("dataset")
    versions = [node for node in lineage if node.name.partition("#")[0] == name]
    for node in versions[-1:]:
        keys = {column for column, tags in tags_of(workspace, node).items() if SUBJECT in tags}
    known = {column for node in versions for column in node.facts.get("columns", ())}
    return (keys | set(columns)) & known


def _look_at_objects(
    workspace: Workspace, subject: Subject, found: Found, sights: Mapping[str, Sight]
) -> None:
    hits: set[str] = set()
    for address, content in held_objects(workspace, tables=False):
        sight = sights.get(address) or look(subject, content)
        if sight.holds:
            hits.add(address)
        else:
            found.sights[address] = sight
    for node in workspace.lineage.list("dataset"):
        if node.facts.get("format") != "images" or not node.digest:
            continue
        if node.digest not in workspace.objects:
            continue
        entries = Manifest.from_json(workspace.objects.get(node.digest)).entries
        theirs = {
            place
            for place, entry in enumerate(entries)
            if subject.named_in(msgspec.json.encode(entry).decode())
            or any(part.address in hits for part in entry.parts)
        }
        # A file that holds several images goes as a whole.
        hits |= {part.address for place in theirs for part in entries[place].parts}
        theirs |= {
            place
            for place, entry in enumerate(entries)
            if any(part.address in hits for part in entry.parts)
        }
        if theirs or node.digest in hits:
            found.images[node.id] = sorted(theirs)
            hits.add(node.digest)
    found.objects = hits


def _look_at_sources(workspace: Workspace, subject: Subject, found: Found) -> None:
    """Look closer at the files that tables with a person's rows were read from.

    An identifier that is too short to be looked for in text, or a format that cannot be looked
    into, leaves no choice but to take all such files for theirs.
    """
    blind = len(subject.distinct) < len(subject.identifiers)
    uuids = {table.uuid for table in found.tables}
    seen: set[str] = set()
    for version in workspace.lineage.list("dataset"):
        if version.facts.get("table") not in uuids:
            continue
        for _, source in workspace.lineage.parents(version.id):
            address = source.digest
            if source.kind != "source" or address is None or address in seen | found.objects:
                continue
            seen.add(address)
            if address in workspace.objects:
                content = workspace.objects.get(address)
                sight = look(subject, content, whole=True)
                if blind or sight.holds or sight.unread:
                    found.objects.add(address)


def look_at_rows(workspace: Workspace, subject: Subject, found: Found) -> None:
    """Look at the rows of the database that can name anyone."""
    keys = workspace.keys
    with workspace.database.read() as connection:
        ids = set()
        for row in connection.execute(sa.select(holdings.c.node_id, holdings.c.address)):
            if row.address in found.objects:
                ids.add(row.node_id)
        for record in connection.execute(sa.select(nodes)):
            node = read_node(keys, record)
            said = f"{node.name} {msgspec.json.encode(node.facts).decode()}"
            if subject.named_in(said) or categories_name(subject, node):
                found.naming.append(node)
            if node.id in ids or (node.kind == "source" and node.digest in found.objects):
                found.holders.append(node)
        for row in connection.execute(sa.select(predictions.c.id, predictions.c.body)):
            if subject.named_in_bytes(keys.unseal(row.body, row.id.encode())):
                found.predictions.append(row.id)
        names = [*connection.scalars(sa.select(entries.c.name).order_by(entries.c.name))]
    for name in names:
        said = f"{name} {msgspec.json.encode(get_entry(workspace, name)).decode()}"
        if subject.named_in(said):
            found.described.append(name)


def _look_at_files(workspace: Workspace, subject: Subject, found: Found) -> None:
    for path in _other_files(workspace):
        sight = look(subject, path.read_bytes())
        if sight.holds:
            found.files.append(path)
        else:
            found.unread += [f"file {path}: {why}; move or delete it" for why in sight.unread]


def _tell_unread(workspace: Workspace, found: Found, keep: Collection[str]) -> None:
    """Name the contents that were not looked into as a whole, unless they go anyway."""
    left = {
        address: sight
        for address, sight in found.sights.items()
        if (sight.unread or sight.bare) and address not in found.objects
    }
    if not left:
        return
    held = _held(workspace, left)  # before what is listed, since documents may come meanwhile
    places = {
        (name, address): path
        for name in table_names(workspace)
        for address, path in documents_at(workspace, name)
        if address in left
    }
    for address in held.keys() - {address for _, address in places}:
        documents = all(node.facts.get("format") == "documents" for node in held[address])
        if documents and left[address].unread:
            # No version lists it any more: nobody can look at it, and nobody misses it.
            found.objects.add(address)
        else:
            sources = [node for node in held[address] if node.kind == "source"]
            path = min((node.facts["path"] for node in sources), default="")
            names = {n.name.partition("#")[0] for n in held[address] if n.kind != "source"}
            places |= {(name, address): path for name in names or {path}}
    for (name, address), path in sorted(places.items(), key=lambda item: (item[0][0], item[1])):
        if left[address].bare:
            found.bare[name] = found.bare.get(name, 0) + 1
        if name not in keep:
            where = name if path in ("", name) else f"{name}: {path}"
            found.unread += [f"{where}: {why}" for why in left[address].unread]


def _held(workspace: Workspace, addresses: Collection[str]) -> dict[str, list[Node]]:
    """Return the nodes that hold each of some contents."""
    query = sa.select(holdings.c.node_id, holdings.c.address)
    with workspace.database.read() as connection:
        rows = [row for row in connection.execute(query) if row.address in addresses]
    known = workspace.lineage.nodes({row.node_id for row in rows})
    held: dict[str, list[Node]] = {}
    for row in rows:
        held.setdefault(row.address, []).append(known[row.node_id])
    return held


def _other_files(workspace: Workspace) -> Iterable[Path]:
    for top in sorted(workspace.home.iterdir()):
        if top.name in _OWN:
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def _follow(workspace: Workspace, found: Found, judged: Collection[str]) -> list[Node]:
    """Go down the lineage to derived tables and models; return the recipes on the way."""
    recipes: list[Node] = []
    own = {node.id for node in found.versions} | set(found.images)
    seen = set(own)
    ahead = [*own]
    while ahead:
        for role, child in workspace.lineage.children(ahead.pop()):
            if child.id in seen or child.kind == "erasure":
                continue
            table = child.kind == "dataset"
            name = child.name.partition("#")[0]
            if table and (
                name in judged
                or child.facts.get("format") != "table"
                or (role == "previous" and child.facts.get("operation") in _FRESH)
            ):
                continue
            seen.add(child.id)
            ahead.append(child.id)
            if table:
                found.derived.append(child)
            elif child.kind == "model":
                found.models.append(child)
            elif child.kind == "recipe":
                recipes.append(child)
    held = {node.id for node in found.holders}
    found.models += [n for n in found.holders if n.kind == "model" and n.id not in seen]
    for node in found.models:
        if node.id in held or node.facts.get("model_type") in _KEEP_ROWS:
            found.withdrawn.add(node.id)
    return recipes


def _look_at_vocabularies(
    workspace: Workspace, subject: Subject, found: Found, recipes: Iterable[Node]
) -> None:
    """Look for the words of the person's names in what learned from their texts word by word."""
    words = subject.words()
    if words is None:
        return
    # Nobody knows what a recipe without lineage was fitted on.
    alone = [n for n in workspace.lineage.list("recipe") if not workspace.lineage.parents(n.id)]
    for node in [*recipes, *alone, *found.models]:
        contents = [a for a in workspace.lineage.holds(node.id) if a in workspace.objects]
        if not any(holds(words, workspace.objects.get(address)) for address in contents):
            continue
        if node.kind == "model":
            found.withdrawn.add(node.id)
        else:
            found.objects.update(contents)
            found.holders.append(node)
