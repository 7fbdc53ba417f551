"""Shown: rules and kept checks, without what they tell of columns that are not seen in clear."""

import re
from collections.abc import Collection

import msgspec

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.access import Sight, sight
from lepton_ai.data.entry import get_entry
from lepton_ai.data.quality.check import Finding, QualityReport
from lepton_ai.data.quality.rules import AnyRule
from lepton_ai.data.tables.types import schema_of
from lepton_ai.data.tags import main_name
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Workspace
from lepton_ai.storage.transaction import is_name

__all__ = ["check_history", "discreet", "hidden_columns", "kept_rules", "rules_of"]


def kept_rules(workspace: Workspace, name: str) -> list[AnyRule]:
    """Return the rules of a table, whoever acts: for the gate itself."""
    return msgspec.convert(list(get_entry(workspace, name).rules), list[AnyRule])


def rules_of(workspace: Workspace, name: str) -> list[AnyRule]:
    """Return the rules of a table.

    Raises:
        AccessDenied: a rule is about a column that the principal sees masked: it may say values.
        InvalidInput: the name says a version too, of which there are none.
    """
    rules = kept_rules(workspace, main_name(_named(name)))
    named = {column for rule in rules for column in rule.columns()}
    _sight(workspace, name, named).require(named, "read the rules")
    return rules


def check_history(name: str, workspace: Workspace | None = None) -> list[QualityReport]:
    """Return the checks of a table that were kept, oldest first: of versions, and of what came.

    What a rule says about a column that the principal sees masked, it says without values.

    Raises:
        InvalidInput: the name says a version too; the history is that of all of them.
    """
    place = workspace or Workspace.open()
    nodes = place.lineage.list("check", _named(name).partition("#")[0])
    reports = [msgspec.convert(node.facts, QualityReport) for node in nodes]
    named = {c for report in reports for f in report.findings for c in f.columns or ()}
    # Checks of branches are among them, where more may be masked: t#trial:3, t#trial, rows ...
    about = {name, *(re.split("[:,]", report.subject)[0] for report in reports)}
    hidden = frozenset[str]().union(*(hidden_columns(place, one, named) for one in about))
    return [
        msgspec.structs.replace(
            report, findings=tuple(discreet(finding, hidden) for finding in report.findings)
        )
        for report in reports
    ]


def hidden_columns(workspace: Workspace, name: str, named: Collection[str]) -> frozenset[str]:
    """Return the columns of a table, and of these, that whoever acts does not see in clear."""
    view = _sight(workspace, name, named)
    return view.masked.union(view.refused)


def discreet(finding: Finding, hidden: frozenset[str]) -> Finding:
    """Return a finding without the values that a rule names where its columns are not seen."""
    about = hidden if finding.columns is None else hidden.intersection(finding.columns)
    if not about:
        return finding
    said = f"{finding.rule} of {', '.join(sorted(about))}, which you see masked"
    return msgspec.structs.replace(finding, sentence=said, detail="")


def _named(name: str) -> str:
    if not is_name(name):
        raise InvalidInput(f"{name!r} is no name of a table; give its name alone, such as patients")
    return name


def _sight(workspace: Workspace, name: str, named: Collection[str]) -> Sight:
    """Return what whoever acts sees of a table, and of what is named as its columns.

    Rules may be there before it is.
    """
    who = current_principal()
    try:
        node = workspace.lineage.find("dataset", name)
    except NotFound:
        return Sight(who.name, name)
    view = sight(workspace, node, who)
    if not (view.masked or view.refused):
        return view
    # What is no column of today may be one that is hidden, as it was called another day.
    types = node.facts.get("types")
    odd = {*named}.difference(schema_of(types) if types else (), view.refused)
    return msgspec.structs.replace(view, masked=view.masked | odd)
