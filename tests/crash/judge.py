"""The judge: says what is lost, half there or twice there in a workspace."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import sqlalchemy as sa

from lepton_ai.core.errors import LeptonError
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.ml.bundle.bundle import Bundle
from lepton_ai.ml.predictor import Predictor
from lepton_ai.serving.receipts import receipt
from lepton_ai.storage import Node, Workspace
from lepton_ai.storage.schema import metadata
from tests.crash.journey import Promise, promise

__all__ = ["complaints", "leftovers"]


def complaints(
    workspace: Workspace, promises: Iterable[Promise] = (), answers: Iterable[str] = ()
) -> list[str]:
    """Return what is wrong with a workspace, which is nothing after a crash at any moment.

    Args:
        promises: what processes said they had stored.
        answers: ids of predictions that a client received.
    """
    found = [f"stored: {fault}" for fault in workspace.verify() if not fault.harmless]
    found += [f"reference: {text}" for text in _references(workspace)]
    for check in (_versions, _sources, _datasets, _splits, _runs, _models, _deployments):
        found += [f"{check.__name__[1:]}: {text}" for text in _caught(check, workspace)]
    for one in promises:
        found += [f"lost: {text}" for text in _lost(workspace, one)]
    for answer in answers:
        try:
            receipt(workspace, answer)
        except LeptonError as error:
            found.append(f"lost: receipt: {error}")
    return found


def leftovers(home: Path) -> list[str]:
    """Return the files of a workspace that crashes left and nothing has cleared away."""
    lasting = {"keys.json", "keys.lock", "metadata.db", "metadata.db-shm", "metadata.db-wal"}
    lasting |= {"setup.lock", "objects", "serving"}
    lasting |= {
        f"serving/{name}"
        for name in ("generation", "journal", "replicas", "server.log", "server.pid", "up.lock")
    }
    paths = {path.relative_to(home).as_posix() for path in home.rglob("*")}
    return sorted(
        path
        for path in paths - lasting
        if not path.startswith(("objects/pack_", "serving/replicas/"))
    )


def _caught(check: Callable[[Workspace], Iterator[str]], workspace: Workspace) -> Iterator[str]:
    try:
        yield from check(workspace)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def _references(workspace: Workspace) -> Iterator[str]:
    """Look at every reference of the schema, whether the database enforces it or not."""
    with workspace.database.read() as connection:
        for table in metadata.sorted_tables:
            for key in table.foreign_keys:
                target = key.column.table.alias()
                there = sa.exists().where(target.c[key.column.name] == key.parent)
                for value in connection.scalars(sa.select(key.parent).where(~there)):
                    yield f"{key.parent} names {value}, which does not exist"


def _versions(workspace: Workspace) -> Iterator[str]:
    """A rerun adds no version: equal content has one, and numbers have no gaps."""
    by_name: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for kind in ("dataset", "model", "deployment"):
        for node in workspace.lineage.list(kind):
            by_name[kind, node.name].append(node)
    for (kind, name), nodes in by_name.items():
        numbers = sorted(node.version or 0 for node in nodes)
        if numbers != [*range(1, len(nodes) + 1)]:
            yield f"{kind} {name} has the versions {numbers}"
        digests = [node.digest for node in nodes if node.digest is not None]
        if len(set(digests)) < len(digests):
            yield f"{kind} {name} has two versions of the same content"


def _sources(workspace: Workspace) -> Iterator[str]:
    for node in workspace.lineage.list("source"):
        if workspace.lineage.holds(node.id) != [node.digest]:
            yield f"{node.id} does not hold its bytes"


def _datasets(workspace: Workspace) -> Iterator[str]:
    for node in workspace.lineage.list("dataset"):
        data = open_dataset(node.id, workspace)
        holds = set(workspace.lineage.holds(node.id))
        sources = {
            parent.digest for role, parent in workspace.lineage.parents(node.id) if role == "source"
        }
        if isinstance(data, ImageSet):
            parts = {part.address for entry in data.entries for part in entry.parts}
            if holds != parts | {node.digest} or sources != parts:
                yield (
                    f"{node.ref} has {len(parts)} files, {len(sources)} sources and holds "
                    f"{len(holds)} objects"
                )
            if len(data) != node.facts["images"]:
                yield f"{node.ref} has {len(data)} of {node.facts['images']} images"
        else:
            # The rows of a table are files of Iceberg, which its catalog holds.
            if holds or len(sources) != 1:
                yield f"{node.ref} has {len(sources)} sources and {len(holds)} objects"
            if data.to_polars().height != node.facts["rows"]:
                yield f"{node.ref} has not {node.facts['rows']} rows"


def _splits(workspace: Workspace) -> Iterator[str]:
    """Both sides are there, and part the whole between them."""
    nodes = {node.id: node for node in workspace.lineage.list("split")}
    for node in nodes.values():
        siblings = [nodes[other] for other in node.facts["siblings"] if other in nodes]
        if len(siblings) != len(node.facts["siblings"]):
            yield f"{node.name} ({node.id}) has lost its sibling"
            continue
        sides = [open_dataset(side.id, workspace) for side in (node, *siblings)]
        rows = sorted(row for side in sides for row in (side.rows if side.rows is not None else ()))
        whole = open_dataset(node.facts["dataset"], workspace)
        if rows != [*range(len(whole))]:
            yield f"the sides of {node.name} ({node.id}) do not make up the whole"


def _runs(workspace: Workspace) -> Iterator[str]:
    for node in workspace.lineage.list("run"):
        made = [child for role, child in workspace.lineage.children(node.id) if role == "run"]
        used = {role for role, _ in workspace.lineage.parents(node.id)}
        if len(made) != 1 or "training" not in used:
            yield f"{node.id} made {len(made)} models of {sorted(used)}"


def _models(workspace: Workspace) -> Iterator[str]:
    """Each model has its run, its alias, and files that are signed; the newest one loads."""
    models = workspace.lineage.list("model")
    for node in models:
        bundle = Bundle(workspace, node)
        for name in bundle.names:
            bundle.read(name)
        if set(workspace.lineage.holds(node.id)) != set(node.facts["files"].values()):
            yield f"{node.ref} does not hold its files"
        if [role for role, _ in workspace.lineage.parents(node.id)].count("run") != 1:
            yield f"{node.ref} has no run"
        if workspace.lineage.aliases("model", node.name).get("champion") != 1:
            yield f"{node.name} has no champion"
    for node in models[-1:]:
        Predictor.load(workspace, node)


def _deployments(workspace: Workspace) -> Iterator[str]:
    """Nothing was deployed twice because its first attempt was interrupted."""
    for model in workspace.lineage.list("model"):
        made = [n for _, n in workspace.lineage.children(model.id) if n.kind == "deployment"]
        if len(made) > 1:
            yield f"{model.ref} was deployed {len(made)} times"
    for node in workspace.lineage.list("deployment"):
        if len(workspace.lineage.parents(node.id)) != 1:
            yield f"{node.ref} is of no model"


def _lost(workspace: Workspace, one: Promise) -> Iterator[str]:
    try:
        node = workspace.lineage.get(one.id)
        if (node.ref, node.digest) != (one.ref, one.digest):
            yield f"{one.kind} {one.ref} has become {node.ref} {node.digest}"
        if node.version is not None:
            workspace.lineage.find(one.kind, node.name, node.version)
        now = promise(workspace, node).content
        if now != one.content:
            yield f"{one.kind} {one.ref} has other facts or objects than it had"
        rows = now["facts"].get("format") == "table"
        for address in [*now["holds"], *filter(None, [None if rows else one.digest])]:
            workspace.objects.get(address)
    except LeptonError as error:
        yield f"{one.kind} {one.ref}: {error}"
