"""The gate: what enters a table passes its rules, or is kept aside with its reasons."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.entry import change_entry, get_entry
from lepton_ai.data.quality.check import QualityReport, failures, findings, refuse_missing
from lepton_ai.data.quality.context import entering_context
from lepton_ai.data.quality.rules import AnyRule, refuse_wrong
from lepton_ai.security.policy import OWNER
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

__all__ = ["Gated", "Refused", "clear_rules", "gate", "kept_rules", "set_rules"]

REASONS = "_reasons"


class Refused(InvalidInput):
    """Rows as a whole break a rule of the table; nothing was stored."""


class Gated(Struct, frozen=True):
    """What rules say of rows that want to enter a table.

    Attributes:
        reasons: of each row, the rules that keep it out; null where there is none.
        report: what each rule found in all of them.
    """

    reasons: pl.Series
    report: QualityReport

    @property
    def kept_out(self) -> int:
        """How many rows may not enter."""
        return len(self.reasons) - self.reasons.null_count()

    def passed(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield of the frames, which are those that were measured, the rows that may enter."""
        for frame, reasons in self._along(frames):
            yield frame.filter(reasons.is_null()) if reasons.null_count() < len(reasons) else frame

    def failed(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield of the frames the rows that may not, with a column ``_reasons``."""
        for frame, reasons in self._along(frames):
            wrong = frame.with_columns(reasons.alias(REASONS)).filter(reasons.is_not_null())
            if wrong.height:
                yield wrong

    def _along(self, frames: Iterable[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
        start = 0
        for frame in frames:
            yield frame, self.reasons.slice(start, frame.height)
            start += frame.height


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


def kept_rules(workspace: Workspace, name: str) -> list[AnyRule]:
    """Return the rules of a table, whoever acts: for the gate itself."""
    return msgspec.convert(list(get_entry(workspace, name).rules), list[AnyRule])


def gate(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    rules: Sequence[AnyRule],
    *,
    replaced: bool = False,
) -> Gated:
    """Measure rows that want to enter a table; in memory are the columns that rules read.

    Args:
        frames: of the same columns; one at least.
        replaced: the rows take the place of all that are there, which then do not count.

    Raises:
        Refused: a rule about the whole does not hold.
        InvalidInput: a rule cannot be measured on these rows.
    """
    columns = next(iter(frames)).columns
    # A warning keeps nothing out, not even by a column that these rows do not have.
    rules = [r for r in rules if r.severity == "error" or {*r.columns()} <= {*columns}]
    refuse_missing(rules, columns)
    read = {column for rule in rules for column in rule.columns()}
    # Where rules read none, one column tells how many rows there are.
    frame = pl.concat([frame.select([*read] or columns[:1]) for frame in frames])
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
    said = [
        pl.when(pl.col(place)).then(pl.lit(rules[int(place)].sentence()))
        for place in wrong.columns
        if rules[int(place)].severity == "error"
    ]
    if not said:
        return Gated(pl.Series(REASONS, [None] * frame.height, dtype=pl.String), report)
    reasons = wrong.select(pl.concat_str(said, separator="; ", ignore_nulls=True).alias(REASONS))
    kept_out = reasons[REASONS].str.len_chars() > 0
    return Gated(reasons.select(pl.when(kept_out).then(REASONS))[REASONS], report)
