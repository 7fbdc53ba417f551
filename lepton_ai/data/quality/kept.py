"""Checks that are kept: the quality of a table, version by version, and of what came.

No value of a row is kept with them: a check outlives the rows, and others may see it.
"""

from collections.abc import Sequence

import msgspec

from lepton_ai.data.quality.check import QualityReport, report_on, rows_of
from lepton_ai.data.quality.context import version_context
from lepton_ai.data.quality.rules import AnyRule, sound
from lepton_ai.data.table import Table
from lepton_ai.storage import Transaction

__all__ = ["check_table", "keep"]


def check_table(table: Table, rules: Sequence[AnyRule]) -> QualityReport:
    """Measure a version of a table against rules and keep what was found in the lineage.

    A distribution is compared with that of the version before.

    Raises:
        InvalidInput: a rule cannot be measured on these columns.
        AccessDenied: a rule reads a column that the principal sees masked, here or elsewhere.
    """
    kept = [*map(sound, rules)]
    read = {column for rule in kept for column in rule.columns()}
    names = [name for name in table.columns if name in read]
    table.require(names, "check rules")
    # A table of which rules read nothing still has rows to count.
    frame = rows_of(table.to_polars(names or table.columns[:1]))
    context = version_context(table, kept)
    report = report_on(frame, kept, table.columns, subject=table.ref, context=context)
    with table.workspace.transaction() as transaction:
        keep(transaction, table.name, report, parents=[(table.record().id, "data")])
    return report


def keep(
    transaction: Transaction,
    name: str,
    report: QualityReport,
    parents: Sequence[tuple[str, str]] = (),
) -> None:
    """Write a check of a table or a branch into the lineage, without the values that it shows."""
    facts = msgspec.to_builtins(report.without_values())
    transaction.node("check", name.partition("#")[0], facts=facts, parents=parents)
