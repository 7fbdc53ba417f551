"""The gate: what enters a table passes its rules, or is kept aside with its reasons."""

from collections.abc import Sequence

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.entry import change_entry, get_entry
from lepton_ai.data.quality.check import failures
from lepton_ai.data.quality.rules import AnyRule, References, Stable, Unique, refuse_wrong
from lepton_ai.security.policy import OWNER
from lepton_ai.security.principal import acting_as
from lepton_ai.storage import Workspace

__all__ = ["Gated", "Refused", "clear_rules", "gate", "rules_of", "set_rules"]

REASONS = "_reasons"


class Refused(InvalidInput):
    """Rows as a whole break a rule of the table; nothing was stored."""


class Gated(Struct, frozen=True):
    """Rows that pass, and rows that do not, these with a column ``_reasons``."""

    passed: pl.DataFrame
    failed: pl.DataFrame


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
    errors = [rule for rule in rules if rule.severity == "error"]
    # Rules are about what is there, not about what whoever acts may see of it.
    with acting_as(OWNER):
        context = _context(workspace, name, errors, replaced=replaced)
    wrong = failures(frame, errors, context)
    for rule in errors:
        if not rule.of_rows:
            held, detail = rule.measure(frame, context)
            if not held:
                raise Refused(
                    f"these rows may not enter {name}: {rule.sentence()}, but {detail}. Nothing "
                    "was stored; mend the rows, or change the rules: lepton quality set"
                )
    if not wrong.width:
        return Gated(frame, frame.head(0).with_columns(pl.lit("").alias(REASONS)))
    reasons = [
        pl.when(pl.col(place)).then(pl.lit(errors[int(place)].sentence()))
        for place in wrong.columns
    ]
    said = wrong.select(pl.concat_str(reasons, separator="; ", ignore_nulls=True))
    bad = wrong.select(pl.any_horizontal(pl.all()).alias("bad"))["bad"]
    failed = frame.filter(bad).with_columns(said.to_series().filter(bad).alias(REASONS))
    return Gated(frame.filter(~bad), failed)


def _context(
    workspace: Workspace, name: str, rules: Sequence[AnyRule], *, replaced: bool
) -> dict[str, pl.DataFrame]:
    from lepton_ai.core.errors import NotFound
    from lepton_ai.data.catalog import open_dataset
    from lepton_ai.data.table import Table

    context: dict[str, pl.DataFrame] = {}
    for rule in rules:
        if isinstance(rule, References):
            other = open_dataset(rule.dataset, workspace)
            assert isinstance(other, Table)
            context[rule.dataset] = other.to_polars([rule.other])
    wanted = {
        column
        for rule in rules
        if isinstance(rule, Stable) or (isinstance(rule, Unique) and not replaced)
        for column in rule.columns()
    }
    if wanted:
        try:
            table = open_dataset(name, workspace)
        except NotFound:
            return context
        if isinstance(table, Table):
            context["present"] = table.to_polars([c for c in table.columns if c in wanted])
    return context
