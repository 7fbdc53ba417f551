"""`lepton trace`: what a thing came from, down to source files, and what came of it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click
from rich.markup import escape
from rich.tree import Tree

from lepton_ai.apps.cli.output import as_json, console, print_json, when
from lepton_ai.serving.receipts import Receipt, receipt
from lepton_ai.storage import Lineage, Link, Node, Workspace

__all__ = ["trace"]

# Which facts of a node say most to a reader, in this order.
_SHOWN = {
    "source": ("path", "sha256", "size"),
    "dataset": ("count", "images", "rows", "rejected"),
    "split": ("side", "count", "test_size", "seed", "group"),
    "run": ("model_type", "seed", "parameters"),
    "model": ("model_type", "format", "classes"),
    "evaluation": ("accuracy", "auc", "f1", "count"),
    "deployment": ("endpoint", "state"),
}


@click.command()
@click.argument("thing")
@click.option("--all", "everything", is_flag=True, help="Show every source file, not the first 3.")
@as_json
def trace(thing: str, everything: bool, as_json: bool) -> None:
    """Show what THING was made from, down to source files and hashes, and what it went into.

    THING is a prediction id, a model or dataset (name, name:3, name@champion), the path or
    SHA-256 of a source file, or the id of any node.
    """
    workspace = Workspace.open()
    lineage = workspace.lineage
    answer = receipt(workspace, thing) if thing.startswith("prd_") else None
    node = lineage.get(answer.deployment_id) if answer else lineage.resolve(thing)
    # A prediction came of one model; the deployment's other children are not its own.
    up = lineage.ancestors(node.id)
    down = [] if answer else lineage.descendants(node.id)
    nodes = lineage.nodes({node.id, *_ends(up), *_ends(down)})
    if as_json:
        print_json(
            {
                "prediction": answer,
                "node": node,
                "nodes": list(nodes.values()),
                "links": [*up, *down],
            }
        )
        return
    limit = len(nodes) if everything else 3
    output = console()
    title = f"[bold]prediction {answer.id}[/bold]" if answer else _line(node)
    made_from = Tree(title)
    if answer:
        _describe(made_from, answer)
    start = made_from.add(_line(node)) if answer else made_from
    _grow(start, node, _index((link.child, link) for link in up), nodes, lineage, limit)
    output.print("made from", style="dim")
    output.print(made_from, soft_wrap=True)
    if down:
        went_into = Tree(_line(node))
        _grow(went_into, node, _index((link.parent, link) for link in down), nodes, lineage, limit)
        output.print("\nwent into", style="dim")
        output.print(went_into, soft_wrap=True)


def _describe(tree: Tree, answer: Receipt) -> None:
    tree.add(f"answered {when(answer.created_at)} to {escape(answer.principal)}")
    tree.add(f"output {escape(str(answer.output))}")
    tree.add(f"input digest {answer.input_digest}")


def _grow(
    branch: Tree,
    node: Node,
    links: dict[str, list[Link]],
    nodes: dict[str, Node],
    lineage: Lineage,
    limit: int,
) -> None:
    """Add what lies beyond a node; many sources of one dataset are cut to the first few."""
    beyond = [
        (link, nodes[link.parent if link.child == node.id else link.child])
        for link in links.get(node.id, ())
    ]
    sources = sum(other.kind == "source" for _, other in beyond)
    shown = 0
    for link, other in beyond:
        if other.kind == "source":
            shown += 1
            if shown > limit:
                continue
        child = branch.add(f"[dim]{escape(link.role)}[/dim] {_line(other)}")
        _grow(child, other, links, nodes, lineage, limit)
    if sources > limit:
        branch.add(f"[dim]and {sources - limit:,} more source files (--all shows them)[/dim]")


def _line(node: Node) -> str:
    label = node.name if node.version is None else node.ref
    if node.kind == "source":
        label = ""
    facts = ", ".join(
        f"{key} {_short(node.facts[key])}"
        for key in _SHOWN.get(node.kind, ())
        if node.facts.get(key) not in (None, {}, [])
    )
    parts = [f"[bold]{node.kind}[/bold]", escape(label), f"[dim]{escape(facts)}[/dim]"]
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
