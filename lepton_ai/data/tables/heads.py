"""Heads: the newest version of a table, and changes that are made on it again when overtaken."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from lepton_ai.core.errors import Conflict
from lepton_ai.data.tables.commit import Outdated, TableCommit
from lepton_ai.data.tables.types import schema_of
from lepton_ai.storage import Node, Workspace

__all__ = ["Parents", "after", "head_of", "repeated"]

_ATTEMPTS = 20

P = ParamSpec("P")
R = TypeVar("R")
Parents = Sequence[tuple[str, str]]


def repeated(
    change: Callable[Concatenate[Workspace, str, P], R],
) -> Callable[Concatenate[Workspace, str, P], R]:
    """Make a change again when another process was faster."""

    @wraps(change)
    def attempts(workspace: Workspace, name: str, /, *rest: P.args, **options: P.kwargs) -> R:
        for attempt in range(_ATTEMPTS):
            try:
                return change(workspace, name, *rest, **options)
            except Outdated as error:
                if attempt == _ATTEMPTS - 1:
                    raise Conflict(
                        f"{error}; {_ATTEMPTS} attempts were overtaken, so nothing was changed. "
                        "Let fewer processes change this table at once"
                    ) from error
        raise AssertionError

    return attempts


def head_of(commit: TableCommit) -> tuple[Node, dict[str, Any]]:
    """Return the newest version, and the types that the table's columns have now.

    Raises:
        NotFound: there is no such table, or it was dropped.
    """
    lineage = commit.workspace.lineage
    head = lineage.find("dataset", commit.name)
    commit.catalog.get(commit.name)
    main = commit.name.partition("#")[0]
    newest = head if commit.branch == "main" else lineage.find("dataset", main)
    return head, dict(schema_of(newest.facts["types"]))


def after(head: Node, parents: Parents) -> tuple[tuple[str, str], ...]:
    """Return the parents of the version that follows another."""
    return ((head.id, "previous"), *parents)
