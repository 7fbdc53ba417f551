"""Versions: what made each version of a dataset, and whether its content is still there."""

from collections.abc import Callable
from typing import Any

import polars as pl

from lepton_ai.data import tables
from lepton_ai.data.listing import count_of, size_of
from lepton_ai.storage import Node, Workspace

__all__ = ["history"]

_HISTORY: dict[str, Any] = {
    "version": pl.Int64,
    "created": pl.Datetime("us", "UTC"),
    "operation": pl.String,
    "rows": pl.Int64,
    "bytes": pl.Int64,
    "tags": pl.List(pl.String),
    "kept": pl.Boolean,
}


def history(workspace: Workspace, name: str) -> pl.DataFrame:
    """Return the versions of a dataset, oldest first.

    Columns: version, created, operation, rows (or images, or documents), bytes, tags, and whether
    the content is still there.
    """
    tags: dict[int | None, list[str]] = {}
    for word, version in workspace.lineage.aliases("dataset", name).items():
        tags.setdefault(version, []).append(word)
    nodes = workspace.lineage.list("dataset", name)
    kept = _KEPT[nodes[-1].facts["format"]](workspace, name) if nodes else bool
    rows = [
        {
            "version": node.version,
            "created": node.created_at,
            "operation": node.facts.get("operation", "import"),
            "rows": count_of(node),
            "bytes": size_of(workspace, node),
            "tags": tags.get(node.version, []),
            "kept": kept(node),
        }
        for node in nodes
    ]
    return pl.DataFrame(rows, schema=_HISTORY)


def _rows_kept(workspace: Workspace, name: str) -> Callable[[Node], bool]:
    table, snapshots = tables.kept_snapshots(workspace, name)
    return lambda node: node.facts.get("table") == table and node.facts.get("snapshot") in snapshots


def _images_kept(workspace: Workspace, name: str) -> Callable[[Node], bool]:
    return lambda node: node.digest is not None and node.digest in workspace.objects


_KEPT = {"table": _rows_kept, "documents": _rows_kept, "images": _images_kept}
