"""Access: what a principal sees of a dataset's columns; the one place where it is decided."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from lepton_ai.core.errors import AccessDenied
from lepton_ai.data.entry import get_entry
from lepton_ai.security.grants import sees
from lepton_ai.security.policy import Permission, Principal, allows
from lepton_ai.storage import Node, Workspace

__all__ = ["REFUSED", "mask", "tags_of", "view"]

# Columns with this tag are refused, not masked, to whoever lacks the grant.
REFUSED = "secret"
# Tags that only say what a column is for; they hide nothing.
_OPEN = {"subject", "target", "id"}


def view(
    workspace: Workspace, dataset: Node, columns: Sequence[str], principal: Principal
) -> frozenset[str]:
    """Return which columns a principal sees masked; the others are seen in clear.

    Raises:
        AccessDenied: a column is tagged ``secret`` and the principal has no grant for that.
    """
    if allows(principal, Permission.ADMIN):
        return frozenset()
    masked: set[str] = set()
    seen: dict[str, bool] = {}
    for name, tags in tags_of(workspace, dataset).items():
        if name not in columns:
            continue
        for tag in tags - _OPEN:
            if tag not in seen:
                seen[tag] = sees(workspace, principal, tag, dataset.name)
            if not seen[tag] and tag == REFUSED:
                raise AccessDenied(
                    f"{principal.name} may not read column {name!r} of {dataset.ref}: it is "
                    f"tagged {tag!r}; read other columns, or ask the owner for: lepton access "
                    f"grant {principal.name} {tag}"
                )
            if not seen[tag]:
                masked.add(name)
    return frozenset(masked)


def tags_of(workspace: Workspace, dataset: Node) -> dict[str, set[str]]:
    """Return the tags of each column: its own, and those of the same name it was made from."""
    links = workspace.lineage.ancestors(dataset.id)
    ancestors = workspace.lineage.nodes({link.parent for link in links}).values()
    names = {dataset.name, *(node.name for node in ancestors if node.kind == "dataset")}
    tags: dict[str, set[str]] = {}
    for name in {word.partition("#")[0] for word in names}:
        for column, said in get_entry(workspace, name).columns.items():
            tags.setdefault(column, set()).update(said.tags)
    return tags


def mask(frame: pl.DataFrame, columns: frozenset[str]) -> pl.DataFrame:
    """Return a frame with columns masked: text becomes ***, anything else empty."""
    changed: list[Any] = [
        pl.when(pl.col(name).is_not_null()).then(pl.lit("***")).alias(name)
        if kind == pl.String
        else pl.lit(None, dtype=kind).alias(name)
        for name, kind in frame.schema.items()
        if name in columns
    ]
    return frame.with_columns(changed) if changed else frame
