"""`lepton trace`: what a thing came from, down to source files, and what came of it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click
from msgspec import Struct
from rich.tree import Tree

from lepton_ai.apps.cli.answers import outlined
from lepton_ai.apps.cli.output import as_json, console, plain, print_json, when
from lepton_ai.core.errors import NotFound
from lepton_ai.serving.receipts import Receipt, receipt
from lepton_ai.storage import Lineage, Link, Node, Workspace

__all__ = ["show_trace", "trace"]

# Which facts of a node say most to a reader, in this order.
_SHOWN = {
    "source": ("path", "sha256", "size"),
    "dataset": ("images", "rows", "rejected"),
    "split": ("count", "seed"),
    "run": ("model_type", "seed", "parameters"),
    "model": ("model_type", "format", "classes"),
    "evaluation": ("data", "accuracy", "auc", "f1"),
    "deployment": ("endpoint", "state"),
}


# What a name means first, where things of several kinds share it.
_KINDS = ("model", "dataset", "deployment", "run", "split", "evaluation", "source")


@click.command()
@click.argument("thing")
@click.option("--kind", type=click.Choice(_KINDS), help="What kind of thing THING names.")
@click.option("--all", "everything", is_flag=True, help="Show every source file, not the first 3.")
@as_json
def trace(thing: str, kind: str | None, everything: bool, as_json: bool) -> None:
    """Show what THING was made from, down to source files and hashes, and what it went into.

    THING is a prediction id, a model or dataset (name, name:3, name@champion), the path or
    SHA-256 of a source file, or the id of any node. A name that several share means the
    model; --kind says otherwise.
    """
    workspace = Workspace.open()
    if as_json:
        trail = _follow(workspace, thing, kind)
        print_json(
            {
                "prediction": trail.answer,
                "node": trail.node,
                "nodes": list(trail.nodes.values()),
                "links": [*trail.up, *trail.down],
            }
        )
        return
    show_trace(workspace, thing, kind=kind, limit=None if everything else 3)


class _Trail(Struct):
    answer: Receipt | None
    node: Node
    up: list[Link]
    down: list[Link]
    nodes: dict[str, Node]


def _follow(workspace: Workspace, thing: str, kind: str | None) -> _Trail:
    lineage = workspace.lineage
    answer = receipt(workspace, thing) if thing.startswith("prd_") else None
    node = lineage.get(answer.deployment_id) if answer else _resolve(lineage, thing, kind)
    up = lineage.ancestors(node.id)
    # A prediction came of one deployment; what else came of that is not its own.
    down = [] if answer else lineage.descendants(node.id)
    return _Trail(answer, node, up, down, lineage.nodes({node.id, *_ends(up), *_ends(down)}))


def _resolve(lineage: Lineage, thing: str, kind: str | None) -> Node:
    if kind is not None:
        return lineage.resolve(thing, kinds=[kind])
    for preferred in ("model", "dataset", "deployment"):
        try:
            return lineage.resolve(thing, kinds=[preferred])
        except NotFound:
            continue
    return lineage.resolve(thing)


def show_trace(
    workspace: Workspace, thing: str, *, kind: str | None = None, limit: int | None = 3
) -> None:
    """Print what a thing was made from and what it went into, as two trees.

    Args:
        workspace: where to look.
        thing: as for `lepton trace`.
        kind: the kind of node that a shared name means.
        limit: how many source files of a dataset to show; all for None.
    """
    trail = _follow(workspace, thing, kind)
    node, answer = trail.node, trail.answer
    limit = len(trail.nodes) if limit is None else limit
    output = console()
    if answer:
        made_from = Tree(f"[bold]prediction[/bold] {answer.id}")
        _describe(made_from, answer)
        start = made_from.add(_line(node))
    else:
        made_from = start = Tree(_line(node))
    _grow(start, trail, _index((link.child, link) for link in trail.up), limit)
    output.print("made from", style="dim")
    output.print(made_from, soft_wrap=True)
    if trail.down:
        went_into = Tree(_line(node))
        _grow(went_into, trail, _index((link.parent, link) for link in trail.down), limit)
        output.print("\nwent into", style="dim")
        output.print(went_into, soft_wrap=True)


def _describe(tree: Tree, answer: Receipt) -> None:
    tree.add(f"answered {when(answer.created_at)} to {plain(answer.principal)}, who may predict")
    for row in answer.output[:3]:
        said = outlined(row)
        tree.add(f"output {plain(said.answer)} [dim]{plain(said.details)}[/dim]")
    if len(answer.output) > 3:
        tree.add(f"[dim]and {len(answer.output) - 3:,} more rows (--json shows them)[/dim]")
    tree.add(f"input digest [dim]{answer.input_digest}[/dim]")


def _grow(branch: Tree, trail: _Trail, links: dict[str, list[Link]], limit: int) -> None:
    """Add what lies beyond a node; what was shown before, and many sources, are cut short."""
    seen: set[str] = set()

    def add(branch: Tree, node: Node) -> None:
        beyond = [
            (link.role, trail.nodes[link.parent if link.child == node.id else link.child])
            for link in links.get(node.id, ())
        ]
        sources = [other for _, other in beyond if other.kind == "source"]
        cut = {other.id for other in sorted(sources, key=_path)[limit:]}
        for role, other in sorted(beyond, key=_order):
            if other.id in cut:
                continue
            as_role = "" if role in (other.kind, node.kind) else f" [dim]({plain(role)})[/dim]"
            if other.id in seen and other.id in links:
                branch.add(f"{_line(other, brief=True)}{as_role} [dim]as above[/dim]")
                continue
            seen.add(other.id)
            add(branch.add(_line(other) + as_role), other)
        if cut:
            branch.add(f"[dim]and {len(cut):,} more source files (--all shows them)[/dim]")

    add(branch, trail.node)


def _path(node: Node) -> str:
    return str(node.facts.get("path", ""))


def _order(pair: tuple[str, Node]) -> tuple[bool, bool, str]:
    """Sources last, and what a run was trained on before what was held out."""
    role, node = pair
    return node.kind == "source", role != "training", _path(node)


def _line(node: Node, *, brief: bool = False) -> str:
    label = node.name if node.version is None else node.ref
    if node.kind == "source":
        label = ""
    known = node.facts | node.facts.get("evaluation", {})
    facts = ", ".join(
        f"{key} {_short(known[key])}"
        for key in _SHOWN.get(node.kind, ())
        if not brief and known.get(key) not in (None, {}, [])
    )
    parts = [f"[bold]{node.kind}[/bold]", plain(label), facts and f"[dim]{plain(facts)}[/dim]"]
    return " ".join(part for part in parts if part)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return " ".join(f"{key}={_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_short(inner) for inner in value)
    return str(value)


def _index(pairs: Iterable[tuple[str, Link]]) -> dict[str, list[Link]]:
    index: dict[str, list[Link]] = defaultdict(list)
    for key, link in pairs:
        index[key].append(link)
    return index


def _ends(links: Iterable[Link]) -> set[str]:
    return {end for link in links for end in (link.child, link.parent)}
