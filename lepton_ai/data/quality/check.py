"""check: rows against rules, and the report of what was found."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct
from narwhals.exceptions import NarwhalsError
from polars import selectors

from lepton_ai.core.errors import InvalidInput, LeptonError
from lepton_ai.core.words import first_line
from lepton_ai.data.quality.rules import AnyRule, Context, sound

__all__ = [
    "Finding",
    "QualityReport",
    "check",
    "measured",
    "report_on",
    "rows_of",
    "rows_that_fail",
]

_EXAMPLES = 5
_LONGEST = 40  # characters of a value that is shown
# What values raise that Python cannot hold, such as days of the year 100,000.
_UNFIT = (TypeError, ValueError, OverflowError, pl.exceptions.PanicException)
_WIDEST = 72  # characters of a sentence, for what is written after it to stand in a column


class Finding(Struct, frozen=True):
    """What one rule found.

    Attributes:
        failed: rows that fail, for a rule about rows.
        detail: what was measured, or examples of values that fail.
        places: row numbers of some that fail.
        columns: that the rule reads; None in a check that was kept before they were.
        shows_values: whether the detail tells values of rows.
    """

    rule: str
    sentence: str
    severity: str
    passed: bool
    failed: int = 0
    share: float = 0.0
    detail: str = ""
    places: tuple[int, ...] = ()
    columns: tuple[str, ...] | None = None
    shows_values: bool = False

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
        """Return the report without values of rows, to be kept or shown to anyone.

        What is kept outlives the rows, and whoever may see it need not be one who may see them.
        """
        bare = tuple(
            msgspec.structs.replace(f, detail="") if f.shows_values else f for f in self.findings
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


def rows_of(data: Any) -> pl.DataFrame:
    """Return rows as rules see them: NaN is no value."""
    from lepton_ai.data.frames import frame_of
    from lepton_ai.data.table import Table

    frame = data.to_polars() if isinstance(data, Table) else frame_of(data)
    return frame.with_columns(selectors.float().fill_nan(None))


def measured(
    frame: pl.DataFrame, rule: AnyRule, context: Context, columns: Sequence[str]
) -> tuple[Finding, pl.Series | None]:
    """Return what a rule finds, and where a row fails; None of a rule about the whole.

    Args:
        frame: as `rows_of` returns it.
        columns: all there are, of which the frame may have only those that rules read.

    Raises:
        InvalidInput: the rule names columns that are not there, or that it cannot measure.
    """
    names = rule.columns()
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"the rule {rule.sentence()!r} names columns {missing} that are not there; there "
            f"are {[*columns]}"
        )
    try:
        if rule.of_rows:
            wrong = rule.failing(frame, context).fill_null(value=False)
            fails = frame.select(_wrong=wrong)["_wrong"]
            return rows_that_fail(frame, rule, fails), fails
        held, detail = rule.measure(frame, context)
    except LeptonError:
        raise
    except (*_UNFIT, NarwhalsError, pl.exceptions.PolarsError) as error:
        kinds = {name: str(frame.schema[name]) for name in names}
        raise InvalidInput(
            f"the rule {rule.sentence()!r} cannot be measured on {kinds}: {first_line(error)}"
        ) from error
    return _finding(rule, passed=held, detail=detail), None


def rows_that_fail(frame: pl.DataFrame, rule: AnyRule, wrong: pl.Series) -> Finding:
    """Return what a rule finds that fails in these rows of a frame."""
    places = wrong.arg_true()
    some = places[:_EXAMPLES]
    # Of rows that lack a value there is none to show.
    names = [] if rule.tag() == "not_null" else rule.columns()
    shown = frame.select(names)[some].unique(maintain_order=True).rows() if names else []
    return _finding(
        rule,
        passed=not places.len(),
        failed=places.len(),
        share=places.len() / frame.height if frame.height else 0.0,
        detail=f"such as {', '.join(map(_example, shown))}" if shown else "",
        places=tuple(some.to_list()),
    )


def _finding(rule: AnyRule, *, passed: bool, detail: str, **rest: Any) -> Finding:
    return Finding(
        rule.tag(),
        rule.sentence(),
        rule.severity,
        passed,
        detail=detail,
        columns=tuple(rule.columns()),
        shows_values=rule.shows_values(),
        **rest,
    )


def check(
    data: Any, rules: Sequence[AnyRule], *, subject: str = "data", context: Context | None = None
) -> QualityReport:
    """Measure rows against rules.

    Args:
        data: a `Table`, or anything that makes a frame.
        context: frames that rules need besides: other datasets, and the rows before.

    Raises:
        InvalidInput: a rule is wrong, or cannot be measured on these columns.
    """
    frame = rows_of(data)
    known = context or Context()
    return report_on(frame, [*map(sound, rules)], frame.columns, subject=subject, context=known)


def report_on(
    frame: pl.DataFrame,
    rules: Sequence[AnyRule],
    columns: Sequence[str],
    *,
    subject: str,
    context: Context,
) -> QualityReport:
    """Measure rows against sound rules; arguments as of `measured` and `check`."""
    found = tuple(measured(frame, rule, context, columns)[0] for rule in rules)
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
