"""The registry: models by name, version and alias."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.bundle.bundle import DESCRIPTION, seal, store
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.model import Model
from lepton_ai.storage import Node, Workspace

__all__ = [
    "CHAMPION",
    "check_name",
    "get",
    "models",
    "register",
    "set_alias",
    "touched_by_erasure",
]

CHAMPION = "champion"
# A name becomes part of URLs, of references (name:3, name@champion) and of folders.
_NAME = re.compile(r"[^\W_][\w .+-]{0,99}")


def check_name(name: str) -> str:
    """Return the name if a model may have it.

    Raises:
        InvalidInput: it may not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        raise InvalidInput(
            f"{name!r} cannot be the name of a model: it takes up to 100 letters, digits, spaces "
            "and any of . + - _, and begins with a letter or digit, such as lung-ct"
        )
    return name


def register(
    workspace: Workspace,
    description: Description,
    files: Mapping[str, bytes],
    parents: Sequence[tuple[str, str]],
    machine: Mapping[str, Any] | None = None,
) -> Node:
    """Store a bundle with its run as the next version of its model, all or nothing.

    A bundle that is registered already keeps its version. The first version of a name becomes
    its champion; later ones do when someone says so, by :func:`set_alias`.

    Args:
        workspace: where to.
        description: of the model.
        files: of the bundle, without description and signature.
        parents: what the run used, as pairs of node id and role.
        machine: what it ran on; see `lepton_ai.ml.bundle.machine`.
    """
    name = check_name(description.name)
    complete = seal(workspace, description, files)
    with workspace.transaction() as transaction:
        addresses = store(transaction, complete)
        digest = addresses[DESCRIPTION]
        # Its id follows from what went in and came out, so a rerun finds it.
        told = " ".join([name, digest, *(f"{parent} {role}" for parent, role in sorted(parents))])
        run = transaction.node(
            "run",
            name,
            facts={
                "task": description.task,
                "model_type": description.model_type,
                "parameters": description.parameters,
                "seed": description.seed,
                "environment": description.environment,
                "machine": dict(machine or {}),
            },
            parents=parents,
            id=f"run_{workspace.keys.token(f'run {told}')}",
        )
        node = transaction.node(
            "model",
            name,
            version=True,
            digest=digest,
            facts={
                "files": addresses,
                "model_type": description.model_type,
                "format": description.format,
                "reason": description.reason,
                "task": description.task,
                "classes": list(description.classes),
                "kind": description.signature.kind,
                "rows": description.trained_on.rows,
                "dataset": description.trained_on.dataset,
            },
            parents=[(run.id, "run")],
            holds=list(addresses.values()),
        )
        if node.version == 1 and CHAMPION not in workspace.lineage.aliases("model", name):
            transaction.alias(node, CHAMPION)
    return node


def get(reference: str, workspace: Workspace | None = None) -> Model:
    """Return a registered model.

    Args:
        reference: a name (its newest version), ``name:3``, ``name@champion``, or a node's id.
        workspace: where to look; the default one unless given.

    Raises:
        NotFound: there is no such model; the message says what was tried.
    """
    place = workspace or Workspace.open()
    return Model(place, place.lineage.resolve(reference, kinds=["model"]))


def models(name: str | None = None, workspace: Workspace | None = None) -> list[Model]:
    """Return every registered model version, or those of one name, oldest first."""
    place = workspace or Workspace.open()
    return [Model(place, node) for node in place.lineage.list("model", name)]


def set_alias(model: Model | str, alias: str, workspace: Workspace | None = None) -> Model:
    """Let an alias such as ``champion`` mean this version from now on; return the model.

    Raises:
        NotFound: there is no such model.
        InvalidInput: the alias cannot be referred to.
    """
    chosen = get(model, workspace) if isinstance(model, str) else model
    with chosen.workspace.transaction() as transaction:
        transaction.alias(chosen.node, alias)
    return chosen


def touched_by_erasure(workspace: Workspace) -> dict[str, str]:
    """Return what erasures made of models, by id.

    ``stale``: it learned from what was erased since, and still serves. ``withdrawn``: it held
    rows of a person itself, and its files are gone.
    """
    return {
        node.id: role
        for erasure in workspace.lineage.list("erasure")
        for role, node in workspace.lineage.parents(erasure.id)
        if role in ("stale", "withdrawn")
    }
