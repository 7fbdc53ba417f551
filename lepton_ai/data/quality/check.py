"""check: rows against rules, and the report of what was found."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.quality.rules import AnyRule, Context

__all__ = ["Finding", "QualityReport", "check", "failures"]

_EXAMPLES = 5


class Finding(Struct, frozen=True):
    """What one rule found.

    Attributes:
        failed: rows that fail, for a rule about rows.
        detail: what was measured, or examples of values that fail.
        places: row numbers of some that fail.
    """

    rule: str
    sentence: str
    severity: str
    passed: bool
    failed: int
    share: float
    detail: str
    places: tuple[int, ...] = ()


class QualityReport(Struct, frozen=True):
    """What all rules found in some rows."""

    subject: str
    rows: int
    checked_at: datetime
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule of severity error failed."""
        return all(f.passed or f.severity == "warning" for f in self.findings)

    @property
    def score(self) -> float:
        """The share of rules that hold, 0 to 1."""
        held = sum(finding.passed for finding in self.findings)
        return held / len(self.findings) if self.findings else 1.0

    def to_json(self) -> bytes:
        """Return the report as JSON."""
        return msgspec.json.encode(self)

    def to_html(self) -> str:
        """Return the report as one page that needs nothing else."""
        from lepton_ai.data.quality.page import page

        return page(self)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.rows:,} rows, {self.score:.0%} of the rules hold"]
        for finding in self.findings:
            mark = "ok     " if finding.passed else f"{finding.severity:7}"
            failed = (
                f", {finding.failed:,} rows fail ({finding.share:.1%})" if finding.failed else ""
            )
            detail = f": {finding.detail}" if finding.detail else ""
            lines.append(f"  {mark} {finding.sentence}{failed}{detail}")
        return "\n".join(lines)


def failures(frame: pl.DataFrame, rules: Sequence[AnyRule], context: Context) -> pl.DataFrame:
    """Return, for each rule about rows, a column that is true where a row fails.

    Raises:
        InvalidInput: a rule names columns that are not there, or that it cannot measure.
    """
    columns = []
    for place, rule in enumerate(rules):
        missing = [name for name in rule.columns() if name not in frame.columns]
        if missing:
            raise InvalidInput(
                f"the rule {rule.sentence()!r} names columns {missing} that are not there; there "
                f"are {frame.columns}"
            )
        if not rule.of_rows:
            continue
        try:
            wrong = rule.failing(frame, context).fill_null(value=False)
            columns.append(frame.select(wrong.alias(str(place)))[str(place)])
        except (pl.exceptions.PolarsError, TypeError) as error:
            kinds = {name: str(frame.schema[name]) for name in rule.columns()}
            raise InvalidInput(
                f"the rule {rule.sentence()!r} cannot be measured on {kinds}: {error}"
            ) from error
    return pl.DataFrame(columns)


def check(
    data: Any, rules: Sequence[AnyRule], *, subject: str = "data", context: Context | None = None
) -> QualityReport:
    """Measure rows against rules.

    Args:
        data: a `Table`, or anything that makes a frame.
        context: frames that rules need: other datasets by name, and ``present``, the rows before.

    Raises:
        InvalidInput: a rule cannot be measured on these columns.
    """
    from lepton_ai.data.frames import frame_of
    from lepton_ai.data.table import Table

    frame = data.to_polars() if isinstance(data, Table) else frame_of(data)
    wrong = failures(frame, rules, context or {})
    findings = []
    for place, rule in enumerate(rules):
        kind = type(rule).__struct_config__.tag
        if rule.of_rows:
            places = wrong[str(place)].arg_true()
            shown = frame[places[:_EXAMPLES]].select(rule.columns()).rows()
            examples = ", ".join(str(row[0] if len(row) == 1 else row) for row in shown)
            failed = places.len()
            share = failed / frame.height if frame.height else 0.0
            detail = f"such as {examples}" if examples else ""
            findings.append(
                Finding(
                    str(kind), rule.sentence(), rule.severity, not failed, failed, share, detail,
                    tuple(places[:_EXAMPLES].to_list()),
                )
            )  # fmt: skip
        else:
            held, detail = rule.measure(frame, context or {})
            findings.append(
                Finding(str(kind), rule.sentence(), rule.severity, held, 0, 0.0, detail)
            )
    return QualityReport(subject, frame.height, datetime.now(UTC), tuple(findings))
