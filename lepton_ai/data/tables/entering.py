"""Entering: rows pass the rules of their table, or go to its quarantine, in the same commit."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import chain
from typing import Any

import polars as pl
from msgspec import Struct
from pyiceberg.manifest import DataFile

from lepton_ai.core.errors import NotFound
from lepton_ai.core.ids import new_id
from lepton_ai.data.entry import get_entry
from lepton_ai.data.spool import Spool
from lepton_ai.data.tables.columns import adapt, iceberg_schema
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.data.tables.types import schema_of

__all__ = ["ALL", "QUARANTINE", "Staying", "admitted", "ruled"]

QUARANTINE = ".quarantine"


class Staying(Struct, frozen=True):
    """Which of the rows that are there stay when others come.

    Attributes:
        of: returns of rows that are there those that stay whatever comes.
        columns: that tell it.
        on: the key by which each row that enters replaces those that are there.
    """

    of: Callable[[pl.DataFrame], pl.DataFrame]
    columns: Sequence[str] = ()
    on: Sequence[str] = ()


ALL = Staying(lambda rows: rows)


def admitted(
    commit: TableCommit,
    frames: Iterable[pl.DataFrame],
    *,
    stays: Staying | None = ALL,
    leaving: Collection[str] = (),
) -> Iterable[pl.DataFrame]:
    """Return the rows that may enter; the others are kept aside when the commit ends well.

    Args:
        stays: which of the rows that are there stay; None: none of them.
        leaving: ids of rows of the quarantine that these rows are, mended.

    Raises:
        Refused: a rule about the whole does not hold.
        NotFound: the quarantine does not have all that leave it.
    """
    name = commit.name.partition("#")[0]
    if not (ruled(commit) or leaving):
        return frames
    from lepton_ai.data.quality.gate import gate
    from lepton_ai.data.quality.kept import keep
    from lepton_ai.data.quality.shown import kept_rules

    # The rows are measured before the first of them is written.
    coming = Spool(frames, commit.workspace.home)
    rules = kept_rules(commit.workspace, name)
    if leaving:
        # Rows that come back were part of a whole that was measured when they first came.
        rules = [rule for rule in rules if rule.of_rows]
    gated = gate(commit.workspace, commit.name, coming, rules, stays=stays)
    if rules:
        keep(commit.transaction, commit.name, gated.report)
    commit.kept_out = gated.kept_out
    if gated.kept_out:
        commit.aside = commit.workspace.keys.token(f"aside {_content(gated.failed(coming))}")
    if gated.kept_out or leaving:
        _keep_aside(commit, name, gated.failed(coming), leaving)
    return gated.passed(coming)


def ruled(commit: TableCommit) -> bool:
    """Say whether rows that enter must pass rules."""
    name = commit.name.partition("#")[0]
    return not name.endswith(QUARANTINE) and bool(get_entry(commit.workspace, name).rules)


def _keep_aside(
    commit: TableCommit, name: str, failed: Iterator[pl.DataFrame], leaving: Collection[str]
) -> None:
    """Change the rows of the quarantine, in the transaction of the table's own commit."""
    now = datetime.now(UTC)
    marked = (_marked(frame, now) for frame in failed)
    first = next(marked, None)
    rows = iter(()) if first is None else chain([first], marked)
    where = name + QUARANTINE
    with TableCommit(commit.workspace, where, transaction=commit.transaction) as aside:
        removed: list[DataFile] = []
        if aside.table is None:
            if first is None:
                raise NotFound(f"nothing of {name!r} was ever kept aside")
            schema = first.schema
            aside.begin(iceberg_schema(schema), encrypted=commit.encrypted)
        else:
            head = commit.workspace.lineage.find("dataset", where)
            before = dict(schema_of(head.facts["types"]))
            schema = pl.Schema(before) if first is None else first.schema
            changed = before != dict(schema)
            if changed or leaving:
                there, removed = _left(aside, before, leaving, every=changed)
                # The table's columns changed since: what lies here is written anew with both.
                schema = _both(before, schema)
                rows = (_in_columns(frame, schema) for frame in chain(there, rows))
            if changed:
                adapt(aside, iceberg_schema(schema))
        change = Change("quarantine", schema, added=aside.write(rows), removed=removed)
        # Of two that mend the same row only one lets it in.
        aside.publish(change, based_on="rows" if leaving else "columns")


def _left(
    aside: TableCommit, schema: Mapping[str, Any], leaving: Collection[str], *, every: bool
) -> tuple[list[pl.DataFrame], list[DataFile]]:
    """Return what is left of the files that rows leave, or of every file, and those files."""
    assert aside.table is not None
    there, removed, gone = [], [], 0
    for file in data_files(aside.table):
        frame = read_file(aside.table, file, schema)
        rest = frame.filter(~pl.col("_id").is_in([*leaving]))
        gone += frame.height - rest.height
        if every or rest.height < frame.height:
            there.append(rest)
            removed.append(file)
    if gone < len(leaving):
        raise NotFound(f"{len(leaving) - gone:,} of these rows left {aside.name} meanwhile")
    return there, removed


def _content(frames: Iterator[pl.DataFrame]) -> str:
    """Return a hash of rows, which says whether the same ones came before."""
    digest = blake2b()
    for frame in frames:
        digest.update(frame.write_ipc(None).getbuffer())
    return digest.hexdigest()


def _marked(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return rows with what tells them apart in the quarantine, and since when they lie there."""
    return rows.with_columns(
        pl.Series("_id", [new_id("row") for _ in range(rows.height)], dtype=pl.String),
        pl.lit(now).dt.cast_time_unit("us").alias("_time"),
    )


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> pl.Schema:
    """Return the columns of both, in types that hold what either has."""
    empty = [pl.DataFrame(schema=schema) for schema in (first, second)]
    return pl.concat(empty, how="diagonal_relaxed").schema


def _in_columns(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), frame], how="diagonal_relaxed")
