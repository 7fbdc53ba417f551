"""Checks that are kept: the quality of a table, version by version."""

from collections.abc import Sequence

import msgspec
import polars as pl

from lepton_ai.data.quality.check import QualityReport, check
from lepton_ai.data.quality.rules import AnyRule, References
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["check_history", "check_table"]


def check_table(table: Table, rules: Sequence[AnyRule]) -> QualityReport:
    """Measure a table against rules and keep what was found in the lineage.

    Raises:
        InvalidInput: a rule cannot be measured on these columns.
    """
    from lepton_ai.data.catalog import open_dataset

    context: dict[str, pl.DataFrame] = {}
    for rule in rules:
        if isinstance(rule, References):
            other = open_dataset(rule.dataset, table.workspace)
            assert isinstance(other, Table)
            context[rule.dataset] = other.to_polars([rule.other])
    report = check(table, rules, subject=table.ref, context=context)
    with table.workspace.transaction() as transaction:
        transaction.node(
            "check",
            table.name,
            facts=msgspec.to_builtins(report),
            parents=[(table.record().id, "data")],
        )
    return report


def check_history(name: str, workspace: Workspace | None = None) -> list[QualityReport]:
    """Return the checks of a table that were kept, oldest first."""
    nodes = (workspace or Workspace.open()).lineage.list("check", name)
    return [msgspec.convert(node.facts, QualityReport) for node in nodes]
