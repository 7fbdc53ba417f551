"""Shown: rules and kept checks, without what they tell of columns that are not seen in clear."""

import re

import msgspec

from lepton_ai.core.errors import NotFound
from lepton_ai.data.access import Sight, sight
from lepton_ai.data.quality.check import Finding, QualityReport
from lepton_ai.data.quality.gate import kept_rules
from lepton_ai.data.quality.rules import AnyRule
from lepton_ai.security.principal import current_principal
from lepton_ai.storage import Workspace

__all__ = ["check_history", "rules_of"]


def rules_of(workspace: Workspace, name: str) -> list[AnyRule]:
    """Return the rules of a table.

    Raises:
        AccessDenied: a rule is about a column that the principal sees masked: it may say values.
    """
    rules = kept_rules(workspace, name)
    _sight(workspace, name).require({c for r in rules for c in r.columns()}, "read the rules")
    return rules


def check_history(name: str, workspace: Workspace | None = None) -> list[QualityReport]:
    """Return the checks of a table that were kept, oldest first: of versions, and of what came.

    What a rule says about a column that the principal sees masked, it says without values.
    """
    place = workspace or Workspace.open()
    nodes = place.lineage.list("check", name)
    reports = [msgspec.convert(node.facts, QualityReport) for node in nodes]
    view = _sight(place, name)
    hidden = sorted({*view.masked, *view.refused})
    return [
        msgspec.structs.replace(
            report, findings=tuple(_without_values(finding, hidden) for finding in report.findings)
        )
        for report in reports
    ]


def _sight(workspace: Workspace, name: str) -> Sight:
    """Return what whoever acts sees of a table; rules may be there before it is."""
    who = current_principal()
    try:
        return sight(workspace, workspace.lineage.find("dataset", name), who)
    except NotFound:
        return Sight(who.name, name)


def _without_values(finding: Finding, hidden: list[str]) -> Finding:
    # What is kept names no columns; a name that occurs by chance hides a little more.
    about = [n for n in hidden if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", finding.sentence)]
    if not about:
        return finding
    said = f"{finding.rule} of {', '.join(about)}, which you see masked"
    return msgspec.structs.replace(finding, sentence=said, detail="")
