"""check: rows against rules, and the report of what was found."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.quality.rules import AnyRule, Context

__all__ = ["Finding", "QualityReport", "check", "failures", "findings", "refuse_missing"]

_EXAMPLES = 5
_LONGEST = 40  # characters of a value that is shown
_WIDEST = 72  # characters of a sentence, for what is written after it to stand in a column


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

    def failing(self) -> str:
        """Return what was found, in words."""
        rows = "row fails" if self.failed == 1 else "rows fail"
        parts = [f"{self.failed:,} {rows} ({self.share:.1%})"] if self.failed else []
        return ", ".join([*parts, self.detail] if self.detail else parts)


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
    def held(self) -> int:
        """How many rules hold."""
        return sum(finding.passed for finding in self.findings)

    @property
    def score(self) -> float:
        """The share of rules that hold, 0 to 1."""
        return self.held / len(self.findings) if self.findings else 1.0

    def to_json(self) -> bytes:
        """Return the report as JSON."""
        return msgspec.json.encode(self)

    def to_html(self) -> str:
        """Return the report as one page that needs nothing else."""
        from lepton_ai.data.quality.page import page

        return page(self)

    def without_values(self) -> "QualityReport":
        """Return the report without examples of values, to be kept or shown to anyone.

        What is kept outlives the rows, and whoever may see it need not be one who may see them.
        """
        bare = tuple(
            msgspec.structs.replace(f, detail="") if f.failed else f for f in self.findings
        )
        return msgspec.structs.replace(self, findings=bare)

    def __str__(self) -> str:
        lines = [
            f"{self.subject}: {self.rows:,} rows, {self.held} of {len(self.findings)} rules hold"
        ]
        width = max((len(f.sentence) for f in self.findings), default=0)
        for finding in self.findings:
            mark = "ok" if finding.passed else finding.severity
            said = finding.failing()
            lines.append(
                f"  {mark:7} {finding.sentence.ljust(min(width, _WIDEST))}  {said}".rstrip()
            )
        return "\n".join(map(_printable, lines))


def refuse_missing(rules: Iterable[AnyRule], columns: Collection[str]) -> None:
    """Refuse rules about columns that are not there.

    Raises:
        InvalidInput: a rule names some.
    """
    for rule in rules:
        missing = [name for name in rule.columns() if name not in columns]
        if missing:
            raise InvalidInput(
                f"the rule {rule.sentence()!r} names columns {missing} that are not there; there "
                f"are {[*columns]}"
            )


def failures(frame: pl.DataFrame, rules: Sequence[AnyRule], context: Context) -> pl.DataFrame:
    """Return, for each rule about rows, a column that is true where a row fails.

    Raises:
        InvalidInput: a rule names columns that are not there, or that it cannot measure.
    """
    refuse_missing(rules, frame.columns)
    columns = []
    for place, rule in enumerate(rules):
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


def findings(
    frame: pl.DataFrame, rules: Sequence[AnyRule], context: Context, wrong: pl.DataFrame
) -> tuple[Finding, ...]:
    """Return what each rule found.

    Args:
        wrong: what `failures` returned for the same rules.
    """
    found = []
    for place, rule in enumerate(rules):
        kind = str(type(rule).__struct_config__.tag)
        if not rule.of_rows:
            held, detail = rule.measure(frame, context)
            found.append(Finding(kind, rule.sentence(), rule.severity, held, 0, 0.0, detail))
            continue
        places = wrong[str(place)].arg_true()
        # Of rows that lack a value there is none to show.
        shown = (
            frame.select(rule.columns())[places[:_EXAMPLES]].unique(maintain_order=True).rows()
            if kind != "not_null"
            else []
        )
        examples = ", ".join(_example(row) for row in shown)
        failed = places.len()
        share = failed / frame.height if frame.height else 0.0
        found.append(
            Finding(
                kind, rule.sentence(), rule.severity, not failed, failed, share,
                f"such as {examples}" if examples else "", tuple(places[:_EXAMPLES].to_list()),
            )
        )  # fmt: skip
    return tuple(found)


def check(
    data: Any, rules: Sequence[AnyRule], *, subject: str = "data", context: Context | None = None
) -> QualityReport:
    """Measure rows against rules.

    Args:
        data: a `Table`, or anything that makes a frame.
        context: frames that rules need besides: other datasets, and the rows before.

    Raises:
        InvalidInput: a rule cannot be measured on these columns.
    """
    from lepton_ai.data.frames import frame_of
    from lepton_ai.data.table import Table

    around = context or Context()
    frame = data.to_polars() if isinstance(data, Table) else frame_of(data)
    wrong = failures(frame, rules, around)
    found = findings(frame, rules, around, wrong)
    return QualityReport(subject, frame.height, datetime.now(UTC), found)


def _example(row: tuple[Any, ...]) -> str:
    values = [_written(value) for value in row]
    return values[0] if len(values) == 1 else f"({', '.join(values)})"


def _written(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        value = repr(value) if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]!r}…"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() else "?" for mark in text)
