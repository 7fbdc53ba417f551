"""Changes: append, upsert, overwrite, delete, evolve; each makes the next version of a table.

Rows are changed by writing their data files anew without them (copy on write), so a version never
costs more to read than its rows. A change that another process overtook is made again on what
that left, up to twenty times.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    LessThanOrEqual,
)
from pyiceberg.manifest import DataFile

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.tables.columns import change_columns
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.conditions import check_condition, condition, row_filter, unfit
from lepton_ai.data.tables.entering import Staying, admitted, ruled
from lepton_ai.data.tables.fitting import fitted
from lepton_ai.data.tables.heads import Parents, after, head_of, repeated
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.storage import Node, Workspace

__all__ = ["append", "delete", "evolve", "overwrite", "upsert"]

# PyIceberg takes them as a person writes them, which its types do not tell.
_at_least: Any = GreaterThanOrEqual
_at_most: Any = LessThanOrEqual


@repeated
def append(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    parents: Parents = (),
    leaving: Collection[str] = (),
) -> Node:
    """Add rows at the end.

    Args:
        frames: here and below, taken again when another process was faster.
        leaving: ids of rows of the quarantine that these rows are, mended.

    Raises:
        InvalidInput: the rows have columns that the table lacks, or of other types.
    """
    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        fitting = (fitted(frame, schema) for frame in frames)
        added = commit.write(admitted(commit, fitting, leaving=leaving))
        change = Change("append", schema, added=added, parents=after(head, parents))
        # What a rule was measured on must still be there, or two equal keys could enter at once.
        return commit.publish(change, based_on="rows" if ruled(commit) else "columns")


@repeated
def upsert(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    on: Sequence[str],
    parents: Parents = (),
) -> Node:
    """Replace the rows that have the same key as one that comes, and add the others.

    Args:
        on: the columns that form the key.

    Raises:
        InvalidInput: a key is missing or comes twice, or the columns do not fit.
    """
    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        fitting = [fitted(frame, schema) for frame in frames]
        if not on or any(name not in schema for name in on):
            raise InvalidInput(f"the key must be some of {list(schema)}; got {list(on)}")
        stays = Staying(lambda rows: rows, on=on)
        coming = pl.concat([*admitted(commit, fitting, stays=stays)])
        keys = _keys(coming, list(on))
        there = keys.head(0)

        def rest(frame: pl.DataFrame) -> pl.DataFrame:
            nonlocal there
            there = pl.concat([there, keys.join(frame, on=list(on), how="semi")]).unique()
            return frame.join(keys, on=list(on), how="anti", maintain_order="left")

        removed: list[DataFile] = []
        kept = _rewritten(commit, schema, rest, _range(keys), removed)
        added = commit.write(frame for part in (kept, [coming]) for frame in part)
        # A key that was there several times is there once now.
        facts = {"updated": there.height, "inserted": coming.height - there.height}
        change = Change("upsert", schema, added, removed, after(head, parents), facts)
        return commit.publish(change, based_on="rows")


@repeated
def delete(workspace: Workspace, name: str, where: str, parents: Parents = ()) -> Node:
    """Remove the rows for which a condition is true.

    Args:
        where: as in SQL, such as ``age >= 18 and city = 'Kyiv'``.

    Raises:
        InvalidInput: the condition is no SQL, or names columns that are not there.
    """
    return _replace(workspace, name, [], where, parents, "delete")


@repeated
def overwrite(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    where: str,
    parents: Parents = (),
) -> Node:
    """Put rows in the place of those for which a condition is true.

    Raises:
        InvalidInput: as `delete` and `append`.
    """
    return _replace(workspace, name, frames, where, parents, "overwrite")


def _replace(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    where: str,
    parents: Parents,
    operation: str,
) -> Node:
    goes = condition(where).fill_null(value=False)

    def rest(frame: pl.DataFrame) -> pl.DataFrame:
        try:
            return frame.filter(~goes)
        except pl.exceptions.PolarsError as error:
            raise unfit(where, error) from error

    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        assert commit.table is not None
        check_condition(where, schema)  # a wrong one is refused whatever the rows are
        removed: list[DataFile] = []
        hint = row_filter(where, commit.table.schema())
        kept = _rewritten(commit, schema, rest, hint, removed)
        coming = [fitted(frame, schema) for frame in frames]
        stays = Staying(rest, goes.meta.root_names())
        coming = [*admitted(commit, coming, stays=stays)] if coming else []
        added = commit.write(frame for part in (kept, coming) for frame in part)
        if not removed and not added:
            return head
        change = Change(operation, schema, added, removed, after(head, parents))
        return commit.publish(change, based_on="rows")


@repeated
def evolve(
    workspace: Workspace,
    name: str,
    add: Mapping[str, Any],
    drop: Sequence[str],
    rename: Mapping[str, str],
    types: Mapping[str, Any],
) -> Node:
    """Change columns without touching rows; see `change_columns`."""
    if "#" in name:
        raise InvalidInput("columns belong to all branches; change them on the table itself")
    with TableCommit(workspace, name) as commit:
        head, schema = head_of(commit)
        result = change_columns(commit, schema, add=add, drop=drop, rename=rename, types=types)
        if result == schema and commit.metadata.current_schema_id == head.facts["schema"]:
            return head
        facts: dict[str, Any] = {"rows": head.facts["rows"], "bytes": head.facts["bytes"]}
        if rename:
            facts["renamed"] = dict(rename)
        change = Change("evolve", result, parents=after(head, ()), facts=facts)
        return commit.publish(change)


def _keys(frame: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    keys = frame.select(on)
    if any(keys[name].null_count() for name in on):
        raise InvalidInput(f"the key {on} is empty in some of the new rows; fill or drop them")
    if keys.is_duplicated().any():
        twice = keys.filter(keys.is_duplicated()).row(0)
        raise InvalidInput(
            f"the key {on} must be different in each new row; {twice} comes more than once"
        )
    return keys


def _range(keys: pl.DataFrame) -> BooleanExpression:
    """Return a condition that leaves out files which cannot hold a key."""
    bounds: list[BooleanExpression] = []
    for name, kind in keys.schema.items():
        if kind.is_integer() or kind == pl.String:
            low, high = keys[name].min(), keys[name].max()
            if low is not None and high is not None:
                bounds += [_at_least(name, low), _at_most(name, high)]
    if not bounds:
        return AlwaysTrue()
    return And(*bounds) if len(bounds) > 1 else bounds[0]


def _rewritten(
    commit: TableCommit,
    schema: Mapping[str, Any],
    rest: Callable[[pl.DataFrame], pl.DataFrame],
    hint: BooleanExpression,
    removed: list[DataFile],
) -> Iterator[pl.DataFrame]:
    """Yield what is left of the files that lose rows, and name those files in ``removed``."""
    assert commit.table is not None
    for file in data_files(commit.table, commit.branch, hint):
        frame = read_file(commit.table, file, schema)
        kept = rest(frame)
        if kept.height < frame.height:
            removed.append(file)
            yield kept
