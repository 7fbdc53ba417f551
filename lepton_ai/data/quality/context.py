"""Contexts: what rules look at besides the rows, read from the workspace."""

from collections.abc import Sequence

import msgspec
import polars as pl

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.quality.rules import AnyRule, Context, References, Stable, Unique
from lepton_ai.data.table import Table
from lepton_ai.data.tables.entering import Staying
from lepton_ai.data.tables.scan import Scan
from lepton_ai.data.tags import main_name
from lepton_ai.storage import Workspace

__all__ = ["entering_context", "other_datasets", "version_context"]


def entering_context(
    workspace: Workspace, name: str, rules: Sequence[AnyRule], stays: Staying | None
) -> Context:
    """Return what rules need of the table that rows come to: those that are there.

    Args:
        name: of the table, or of a branch of it.
        stays: which of the rows that are there stay, whose keys count; None: none of them.
    """
    keys = {column for rule in rules if isinstance(rule, Unique) for column in rule.columns()}
    compared = _compared(rules)
    present = None
    if stays and keys:
        present = _there(workspace, name, keys.union(stays.columns, stays.on))
    return Context(
        present=None if present is None or stays is None else stays.of(present),
        before=_there(workspace, name, compared) if compared else None,
    )


def version_context(table: Table, rules: Sequence[AnyRule]) -> Context:
    """Return what rules need of a version: the one before it, and other datasets.

    Raises:
        AccessDenied: the principal sees what they need masked.
    """
    compared = _compared(rules)
    version = table.dataset.version
    before = None
    if compared and version is not None and version > 1:
        before = _opened(table.workspace, f"{table.name}:{version - 1}")
    return Context(
        datasets=other_datasets(table.workspace, rules),
        before=_part(before, compared) if isinstance(before, Table) else None,
    )


def _compared(rules: Sequence[AnyRule]) -> set[str]:
    return {rule.column for rule in rules if isinstance(rule, Stable) and rule.dataset is None}


def other_datasets(workspace: Workspace, rules: Sequence[AnyRule]) -> dict[str, pl.DataFrame]:
    """Return of each dataset that rules name the columns that they name.

    Raises:
        InvalidInput: a dataset or a column is not there.
    """
    wanted: dict[str, set[str]] = {}
    for rule in rules:
        if isinstance(rule, References):
            wanted.setdefault(rule.dataset, set()).add(rule.other)
        elif isinstance(rule, Stable) and rule.dataset is not None:
            wanted.setdefault(rule.dataset, set()).add(rule.column)
    found = {}
    for name, columns in wanted.items():
        other = _opened(workspace, name)
        if other is None:
            raise InvalidInput(f"rules refer to the table {name!r}, which is not there")
        if not isinstance(other, Table):
            raise InvalidInput(f"rules refer to {name!r}, which is no table; they need one")
        missing = sorted(columns.difference(other.columns))
        if missing:
            raise InvalidInput(
                f"rules refer to columns {missing} of {name}, which are not there; there are "
                f"{other.columns}"
            )
        other.require(sorted(columns), "check rules")
        found[name] = other.to_polars(sorted(columns))
    return found


def _there(workspace: Workspace, name: str, wanted: set[str]) -> pl.DataFrame | None:
    """Return columns of a table or a branch as those that come name them; None: no table."""
    try:
        head = workspace.lineage.find("dataset", name)
        newest = workspace.lineage.find("dataset", main_name(name))
        # Columns belong to all branches, whatever they were when the branch was last changed.
        now = {key: newest.facts[key] for key in ("types", "schema")}
        scan = Scan(workspace, msgspec.structs.replace(head, facts=head.facts | now))
    except (NotFound, KeyError):
        return None
    names = [column for column in scan.schema if column in wanted]
    return scan.frame(names) if names else None


def _opened(workspace: Workspace, name: str) -> ImageSet | Table | None:
    try:
        return open_dataset(name, workspace)
    except NotFound:
        return None


def _part(table: Table, wanted: set[str]) -> pl.DataFrame | None:
    names = [name for name in table.columns if name in wanted]
    try:
        return table.to_polars(names) if names else None
    except NotFound:  # rows of an older version may have been expired
        return None
