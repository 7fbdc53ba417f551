"""Entering: rows pass the rules of their table, or go to its quarantine, in the same commit."""

from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl

from lepton_ai.core.ids import new_id
from lepton_ai.data.entry import get_entry
from lepton_ai.data.tables.columns import adapt, iceberg_schema
from lepton_ai.data.tables.commit import Change, TableCommit
from lepton_ai.data.tables.scan import data_files, read_file
from lepton_ai.data.tables.types import schema_of

__all__ = ["QUARANTINE", "admitted", "ruled"]

QUARANTINE = ".quarantine"


def admitted(
    commit: TableCommit, frames: Iterable[pl.DataFrame], *, replaced: bool = False
) -> Iterable[pl.DataFrame]:
    """Return the rows that may enter; the others are kept aside when the commit ends well.

    Args:
        replaced: the rows take the place of all that are there.

    Raises:
        Refused: a rule about the whole does not hold.
    """
    name = commit.name.partition("#")[0]
    if not ruled(commit):
        return frames
    from lepton_ai.data.quality.gate import gate, rules_of
    from lepton_ai.data.quality.kept import keep

    rules = rules_of(commit.workspace, name)
    whole = pl.concat([*frames])
    gated = gate(commit.workspace, name, whole, rules, replaced=replaced)
    keep(commit.transaction, name, gated.report)
    if gated.failed.height:
        _keep_aside(commit, name, gated.failed)
    return [gated.passed]


def ruled(commit: TableCommit) -> bool:
    """Say whether rows that enter must pass rules."""
    name = commit.name.partition("#")[0]
    return not name.endswith(QUARANTINE) and bool(get_entry(commit.workspace, name).rules)


def _keep_aside(commit: TableCommit, name: str, failed: pl.DataFrame) -> None:
    """Append rows to the quarantine, in the transaction of the table's own commit."""
    now = datetime.now(UTC)
    rows = failed.with_columns(
        pl.Series("_id", [new_id("row") for _ in range(failed.height)]),
        pl.lit(now).dt.cast_time_unit("us").alias("_time"),
    )
    where = name + QUARANTINE
    with TableCommit(commit.workspace, where, transaction=commit.transaction) as aside:
        removed = []
        if aside.table is None:
            aside.begin(iceberg_schema(rows.schema), encrypted=commit.encrypted)
        else:
            head = commit.workspace.lineage.find("dataset", where)
            schema = dict(schema_of(head.facts["types"]))
            if schema != dict(rows.schema):
                # The table's columns changed since: what lies here is written anew with both.
                removed = data_files(aside.table)
                before = [read_file(aside.table, file, schema) for file in removed]
                rows = pl.concat([*before, rows], how="diagonal_relaxed")
                adapt(aside, iceberg_schema(rows.schema))
        change = Change("quarantine", rows.schema, added=aside.write([rows]), removed=removed)
        aside.publish(change)
