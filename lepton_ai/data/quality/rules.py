"""Rules: what data must satisfy, as data.

A rule about rows says for each row whether it fails; a rule about the whole says so of all rows
together, and what it measured.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Literal

import narwhals as nw
import polars as pl
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import columns_in, expression

__all__ = [
    "AnyRule",
    "Complete",
    "Context",
    "Expression",
    "Fresh",
    "Length",
    "NotNull",
    "OneOf",
    "Pattern",
    "Range",
    "References",
    "RowCount",
    "Rule",
    "Stable",
    "Unique",
]

Context = Mapping[str, pl.DataFrame]


class Rule(Struct, frozen=True, kw_only=True, tag_field="rule", omit_defaults=True):
    """What every rule has.

    Attributes:
        severity: an ``error`` keeps rows out; a ``warning`` is only reported.
    """

    of_rows: ClassVar[bool] = True
    severity: Literal["error", "warning"] = "error"

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        raise NotImplementedError

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return, for a rule about rows, what is true where a row fails."""
        raise NotImplementedError

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return, for a rule about the whole, whether it holds, and what was measured."""
        raise NotImplementedError

    def sentence(self) -> str:
        """Return the rule as people say it."""
        raise NotImplementedError


class _OfColumn(Rule, frozen=True, kw_only=True):
    column: str

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return [self.column]


class NotNull(_OfColumn, frozen=True, kw_only=True, tag="not_null"):
    """A column has a value in each row."""

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        return pl.col(self.column).is_null()

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is never empty"


class Range(_OfColumn, frozen=True, kw_only=True, tag="range"):
    """Values, where there are any, lie between two bounds, which are allowed themselves."""

    low: float | date | None = None
    high: float | date | None = None

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        column = pl.col(self.column)
        wrong = pl.lit(False)
        if self.low is not None:
            wrong = wrong | (column < self.low)
        if self.high is not None:
            wrong = wrong | (column > self.high)
        if frame.schema[self.column].is_float():
            wrong = wrong | column.is_nan()
        return wrong

    def sentence(self) -> str:
        """Return the rule as people say it."""
        low = "" if self.low is None else f" at least {self.low}"
        high = "" if self.high is None else f" at most {self.high}"
        return f"{self.column} is{low}{' and' if low and high else ''}{high}"


class Length(_OfColumn, frozen=True, kw_only=True, tag="length"):
    """Text has so many characters."""

    low: int = 0
    high: int | None = None

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        size = pl.col(self.column).str.len_chars()
        wrong = size < self.low
        return wrong if self.high is None else wrong | (size > self.high)

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} has {self.low} to {self.high or 'any number of'} characters"


class Pattern(_OfColumn, frozen=True, kw_only=True, tag="pattern"):
    """Text matches a regular expression, whole."""

    pattern: str

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        return ~pl.col(self.column).str.contains(f"^(?:{self.pattern})$")

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is written like {self.pattern}"


class OneOf(_OfColumn, frozen=True, kw_only=True, tag="one_of"):
    """Values, where there are any, are among these."""

    values: tuple[str | int | float | bool, ...]

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        return ~pl.col(self.column).is_in(list(self.values))

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is one of {', '.join(map(str, self.values))}"


class Unique(Rule, frozen=True, kw_only=True, tag="unique"):
    """No two rows have the same key; of rows that come, also none that the table has already."""

    key: tuple[str, ...]

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return list(self.key)

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        twice = ~pl.struct(self.key).is_first_distinct()
        known = context.get("present")
        if known is None or not known.height:
            return twice
        there = frame.select(self.key).join(
            known.select(self.key).unique().with_columns(_there=pl.lit(True)),
            on=self.key,
            how="left",
            maintain_order="left",
            nulls_equal=True,
        )["_there"]
        return twice | pl.lit(there).fill_null(value=False)

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{', '.join(self.key)} is different in each row"


class References(_OfColumn, frozen=True, kw_only=True, tag="references"):
    """Values, where there are any, exist in a column of another dataset."""

    dataset: str
    other: str

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        known = context.get(self.dataset)
        if known is None:
            raise InvalidInput(f"the rule {self.sentence()!r} needs the dataset {self.dataset!r}")
        return ~pl.col(self.column).is_in(known[self.other].drop_nulls().unique().implode())

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} exists in {self.dataset}.{self.other}"


class Expression(Rule, frozen=True, kw_only=True, tag="expression"):
    """A formula is true in each row; where a value it needs is empty, it says nothing."""

    formula: str

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return sorted(columns_in(self.formula))

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        holds = nw.from_native(frame).select(_holds=expression(self.formula))["_holds"].to_native()
        return ~pl.lit(holds.fill_null(value=True))

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return self.formula


class Complete(_OfColumn, frozen=True, kw_only=True, tag="complete"):
    """At least a share of the rows has a value."""

    of_rows: ClassVar[bool] = False
    share: float

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        known = frame[self.column].count() / frame.height if frame.height else 1.0
        return known >= self.share, f"{known:.1%} of the rows have one"

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is known in at least {self.share:.1%} of the rows"


class RowCount(Rule, frozen=True, kw_only=True, tag="row_count"):
    """There are so many rows."""

    of_rows: ClassVar[bool] = False
    low: int = 0
    high: int | None = None

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return []

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        enough = frame.height >= self.low and (self.high is None or frame.height <= self.high)
        return enough, f"there are {frame.height:,}"

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"there are {self.low:,} to {self.high or 'any number of'} rows"


class Fresh(_OfColumn, frozen=True, kw_only=True, tag="fresh"):
    """The newest time is not older than so many hours."""

    of_rows: ClassVar[bool] = False
    hours: float

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        newest = frame[self.column].max()
        if newest is None:
            return False, "there is no time at all"
        if not isinstance(newest, datetime):
            if not isinstance(newest, date):
                raise InvalidInput(f"{self.column} holds no times; parse them first")
            newest = datetime.combine(newest, datetime.max.time())
        moment = newest if newest.tzinfo else newest.replace(tzinfo=UTC)
        age = max(datetime.now(UTC) - moment, timedelta(0))
        return age <= timedelta(
            hours=self.hours
        ), f"the newest is {age.total_seconds() / 3600:.1f} h old"

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"the newest {self.column} is at most {self.hours:g} hours old"


class Stable(_OfColumn, frozen=True, kw_only=True, tag="stable"):
    """The distribution is close to that of the rows before: population stability index.

    Yurdakul, "Statistical Properties of the Population Stability Index", Western Michigan
    University 2018; above 0.25 is commonly called a large change. Numbers are compared in the
    deciles of the rows before, anything else by value.
    """

    of_rows: ClassVar[bool] = False
    most: float = 0.25

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        before = context.get("present")
        if before is None or before.height < 50 or frame.height < 50:
            return True, "there are too few rows to compare"
        index = stability(before[self.column], frame[self.column])
        return index <= self.most, f"the population stability index is {index:.3f}"

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is distributed as before (index at most {self.most:g})"


def stability(before: pl.Series, now: pl.Series) -> float:
    """Return the population stability index of two columns; 0: the same distribution."""
    if before.dtype.is_numeric():
        deciles = [before.quantile(n / 10, "linear") for n in range(1, 10)]
        edges = sorted({edge for edge in deciles if edge is not None})
        pairs = [_intervals(s, edges) for s in (before, now)]
    else:
        pairs = [s.cast(pl.String).fill_null("(none)") for s in (before, now)]
    counts = [dict(s.value_counts().rows()) for s in pairs]
    index = 0.0
    for value in {*counts[0], *counts[1]}:
        # Half a row stands for none, so that a value that is new counts, and does not divide.
        old, new = (max(c.get(value, 0), 0.5) / s.len() for c, s in zip(counts, pairs, strict=True))
        index += (new - old) * math.log(new / old)
    return index


def _intervals(values: pl.Series, edges: list[float]) -> pl.Series:
    number = sum((pl.col("x") > edge).cast(pl.Int64) for edge in edges) + pl.lit(0)
    named = pl.when(pl.col("x").is_null()).then(pl.lit("(none)")).otherwise(number.cast(pl.String))
    return pl.DataFrame({"x": values}).select(_interval=named)["_interval"]


AnyRule = (
    NotNull | Range | Length | Pattern | OneOf | Unique | References | Expression | Complete
    | RowCount | Fresh | Stable
)  # fmt: skip


def refuse_wrong(rule: AnyRule) -> None:
    """Refuse a rule that can never be measured: a broken pattern or formula.

    Raises:
        InvalidInput: it is wrong.
    """
    if isinstance(rule, Pattern):
        try:
            re.compile(rule.pattern)
            pl.select(pl.lit("").str.contains(f"^(?:{rule.pattern})$"))
        except (re.error, pl.exceptions.PolarsError) as error:
            raise InvalidInput(f"{rule.pattern!r} is no regular expression: {error}") from error
    if isinstance(rule, Expression):
        expression(rule.formula)
