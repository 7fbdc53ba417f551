"""Quality: rules that data must satisfy, checks against them, and the gate in front of a table.

`rules` are data; `check` measures a frame against them; `gate` parts what enters a table into what
passes and what is kept aside; `quarantine` is where that lies, until it is repaired.
"""

from lepton_ai.data.quality.check import Finding, QualityReport, check
from lepton_ai.data.quality.gate import Gated, clear_rules, gate, set_rules
from lepton_ai.data.quality.kept import check_table
from lepton_ai.data.quality.quarantine import quarantine, readmit
from lepton_ai.data.quality.rules import (
    Complete,
    Context,
    Expression,
    Fresh,
    Length,
    NotNull,
    OneOf,
    Pattern,
    Range,
    References,
    RowCount,
    Rule,
    Stable,
    Statistic,
    Type,
    Unique,
)
from lepton_ai.data.quality.shown import check_history, rules_of
from lepton_ai.data.quality.written import read_rules, write_rules

__all__ = [
    "Complete",
    "Context",
    "Expression",
    "Finding",
    "Fresh",
    "Gated",
    "Length",
    "NotNull",
    "OneOf",
    "Pattern",
    "QualityReport",
    "Range",
    "References",
    "RowCount",
    "Rule",
    "Stable",
    "Statistic",
    "Type",
    "Unique",
    "check",
    "check_history",
    "check_table",
    "clear_rules",
    "gate",
    "quarantine",
    "read_rules",
    "readmit",
    "rules_of",
    "set_rules",
    "write_rules",
]
