"""The gate: what enters a table passes its rules, or is kept aside with its reasons."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.entry import change_entry, get_entry
from lepton_ai.data.quality.check import QualityReport, failures, findings
from lepton_ai.data.quality.context import entering_context
from lepton_ai.data.quality.rules import AnyRule, refuse_wrong
from lepton_ai.security.policy import OWNER
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

__all__ = ["Gated", "Refused", "clear_rules", "gate", "rules_of", "set_rules"]

REASONS = "_reasons"


class Refused(InvalidInput):
    """Rows as a whole break a rule of the table; nothing was stored."""


class Gated(Struct, frozen=True):
    """Rows that pass, and rows that do not, these with a column ``_reasons``.

    Attributes:
        report: what each rule found in all of them.
    """

    passed: pl.DataFrame
    failed: pl.DataFrame
    report: QualityReport


def set_rules(workspace: Workspace, name: str, rules: Sequence[AnyRule]) -> None:
    """Let only rows enter a table that satisfy these rules; rows that are there stay.

    Raises:
        InvalidInput: a rule is wrong in itself.
    """
    for rule in rules:
        refuse_wrong(rule)
    kept = tuple(msgspec.to_builtins(rule) for rule in rules)
    change_entry(workspace, name, lambda entry: msgspec.structs.replace(entry, rules=kept))


def clear_rules(workspace: Workspace, name: str) -> None:
    """Let anything enter again."""
    set_rules(workspace, name, [])


def rules_of(workspace: Workspace, name: str) -> list[AnyRule]:
    """Return the rules of a table."""
    return msgspec.convert(list(get_entry(workspace, name).rules), list[AnyRule])


def gate(
    workspace: Workspace,
    name: str,
    frame: pl.DataFrame,
    rules: Sequence[AnyRule],
    *,
    replaced: bool = False,
) -> Gated:
    """Part rows that want to enter a table.

    Args:
        replaced: the rows take the place of all that are there, which then do not count.

    Raises:
        Refused: a rule about the whole does not hold.
        InvalidInput: a rule cannot be measured on these rows.
    """
    # A warning keeps nothing out, not even by a column that these rows do not have.
    rules = [r for r in rules if r.severity == "error" or {*r.columns()} <= {*frame.columns}]
    # Rules are about what is there, not about what whoever acts may see of it.
    with acting_as(OWNER):
        context = entering_context(workspace, name, rules, replaced=replaced)
    wrong = failures(frame, rules, context)
    found = findings(frame, rules, context, wrong)
    report = QualityReport(f"{name}, rows that came", frame.height, datetime.now(UTC), found)
    for rule, finding in zip(rules, found, strict=True):
        if not (rule.of_rows or finding.passed) and rule.severity == "error":
            raise Refused(
                f"these rows may not enter {name}: {finding.sentence}, but {finding.detail}. "
                "Nothing was stored; mend the rows, or change the rules: lepton quality set"
            )
    kept_out = [place for place in wrong.columns if rules[int(place)].severity == "error"]
    if not kept_out:
        return Gated(frame, frame.head(0).with_columns(pl.lit("").alias(REASONS)), report)
    wrong = wrong.select(kept_out)
    reasons = [
        pl.when(pl.col(place)).then(pl.lit(rules[int(place)].sentence())) for place in kept_out
    ]
    said = wrong.select(pl.concat_str(reasons, separator="; ", ignore_nulls=True))
    bad = wrong.select(pl.any_horizontal(pl.all()).alias("bad"))["bad"]
    failed = frame.filter(bad).with_columns(said.to_series().filter(bad).alias(REASONS))
    return Gated(frame.filter(~bad), failed, report)
