"""The gate: what enters a table passes its rules, or is kept aside with its reasons."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.entry import change_entry
from lepton_ai.data.quality.check import Finding, QualityReport, measured, rows_of
from lepton_ai.data.quality.context import entering_context
from lepton_ai.data.quality.rules import AnyRule, sound
from lepton_ai.data.quality.shown import discreet, hidden_columns
from lepton_ai.data.tables.entering import ALL, Staying
from lepton_ai.data.tags import main_name
from lepton_ai.security.policy import OWNER
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace
from lepton_ai.storage.transaction import is_name

__all__ = ["Gated", "Refused", "clear_rules", "gate", "set_rules"]

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

    Args:
        name: of a table, which need not be there yet; rules hold for all its branches.

    Raises:
        InvalidInput: a rule is wrong in itself, or the name is not that of a table.
    """
    if name != main_name(name) or not is_name(name):
        raise InvalidInput(
            f"{name!r} is no name of a table; rules hold for all its versions and branches: give "
            "its name alone, such as patients"
        )
    kept = tuple(msgspec.to_builtins(sound(rule)) for rule in rules)
    change_entry(workspace, name, lambda entry: msgspec.structs.replace(entry, rules=kept))


def clear_rules(workspace: Workspace, name: str) -> None:
    """Let anything enter again."""
    set_rules(workspace, name, [])


def gate(
    workspace: Workspace,
    name: str,
    frames: Iterable[pl.DataFrame],
    rules: Sequence[AnyRule],
    *,
    stays: Staying | None = ALL,
) -> Gated:
    """Measure rows that want to enter a table; in memory are the columns that rules read.

    Args:
        name: of the table, or of a branch of it.
        frames: of the same columns; one at least.
        stays: which of the rows that are there stay; None: none of them.

    Raises:
        Refused: a rule about the whole does not hold.
        InvalidInput: a rule cannot be measured on these rows.
    """
    columns = next(iter(frames)).columns
    read = {column for rule in rules for column in rule.columns() if column in columns}
    # Where rules read none, one column tells how many rows there are.
    frame = rows_of(pl.concat([frame.select([*read] or columns[:1]) for frame in frames]))
    hidden = hidden_columns(workspace, name)
    found = []
    reasons = []
    for rule in rules:
        finding, fails = _measured(workspace, name, frame, rule, stays, hidden)
        found.append(finding)
        if rule.severity == "warning":
            continue
        if fails is not None:
            reasons.append(pl.when(pl.lit(fails)).then(pl.lit(finding.sentence)))
        elif not finding.passed:
            said = discreet(finding, hidden)
            but = f", but {said.detail}" if said.detail else " does not hold"
            raise Refused(
                f"these rows may not enter {name}: {said.sentence}{but}. "
                "Nothing was stored; mend the rows, or change the rules: lepton quality set"
            )
    report = QualityReport(f"{name}, rows that came", frame.height, datetime.now(UTC), tuple(found))
    if not reasons:
        return Gated(pl.Series(REASONS, [None] * frame.height, dtype=pl.String), report)
    whole = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
    said_of_rows = frame.select(pl.when(whole != "").then(whole).alias(REASONS))
    return Gated(said_of_rows[REASONS], report)


def _measured(
    workspace: Workspace,
    name: str,
    frame: pl.DataFrame,
    rule: AnyRule,
    stays: Staying | None,
    hidden: frozenset[str],
) -> tuple[Finding, pl.Series | None]:
    """Return what a rule finds; a warning keeps nothing out, not even if it cannot be measured."""
    try:
        # Rules are about what is there, not about what whoever acts may see of it.
        with acting_as(OWNER):
            context = entering_context(workspace, name, [rule], stays)
        return measured(frame, rule, context)
    except (InvalidInput, NotFound):
        names = tuple(rule.columns())
        unknown = Finding(
            rule.tag(), rule.sentence(), rule.severity, passed=False, columns=names,
            detail="it cannot be measured on these rows",
        )  # fmt: skip
        if rule.severity == "warning":
            return unknown, None
        if hidden.isdisjoint(names):
            raise
    raise InvalidInput(
        f"these rows may not enter {name}: {discreet(unknown, hidden).sentence}, cannot be "
        "measured on them; ask whoever set the rules"
    )
