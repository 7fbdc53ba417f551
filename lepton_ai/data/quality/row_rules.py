"""Rules about rows: each says of every row whether it fails."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Literal

import narwhals as nw
import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import columns_in, expression
from lepton_ai.data.quality.rule import Context, OfColumn, Rule, bounds

__all__ = [
    "Expression",
    "Length",
    "NotNull",
    "OneOf",
    "Pattern",
    "Range",
    "References",
    "Type",
    "Unique",
]


class NotNull(OfColumn, frozen=True, kw_only=True, tag="not_null"):
    """A column has a value in each row; NaN is none."""

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        return pl.col(self.column).is_null()

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is never empty"


Kind = Literal["integer", "number", "text", "boolean", "date", "datetime"]

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_ZONE = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_MOMENTS = ("%H:%M:%S%.f", "%H:%M")


def _is_day(text: pl.Expr) -> pl.Expr:
    # Polars alone would take 26-2-3 for a day of the year 26.
    there = text.str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return text.str.contains(f"^{_DAY}$") & there


def _is_moment(text: pl.Expr) -> pl.Expr:
    time = text.str.slice(11).str.replace(f"{_ZONE}$", "")
    read = [time.str.to_time(form, strict=False) for form in _MOMENTS]
    written = text.str.contains(f"^{_DAY}[Tt ]{_TIME}{_ZONE}?$")
    moment = written & _is_day(text.str.head(10)) & pl.coalesce(read).is_not_null()
    return moment | _is_day(text)


# What text must look like to stand for a value of a kind.
_WRITTEN: Mapping[Kind, Callable[[pl.Expr], pl.Expr]] = {
    "integer": lambda text: text.str.contains("^[+-]?[0-9]+$"),
    "number": lambda text: text.cast(pl.Float64, strict=False).is_not_null(),
    "text": lambda text: pl.lit(True),
    "boolean": lambda text: text.str.to_lowercase().is_in(["true", "false", "0", "1"]),
    "date": _is_day,
    "datetime": _is_moment,
}


def _of_kind(column: pl.Expr, dtype: Any, kind: Kind) -> pl.Expr:
    """Return what is true where a value is one of a kind, or can be read as one without loss."""
    base = dtype.base_type()
    if base in (pl.String, pl.Categorical, pl.Enum):
        return _WRITTEN[kind](column.cast(pl.String).str.strip_chars())
    if dtype.is_numeric():
        whole = pl.lit(True) if dtype.is_integer() else column == column.floor()
        if dtype.is_float():
            whole &= column.is_finite()
        truth = (column == 0) | (column == 1)
        fits = {"integer": whole, "number": pl.lit(True), "boolean": truth}
    elif base == pl.Boolean:
        fits = {"boolean": pl.lit(True)}
    elif base == pl.Date:
        fits = {"date": pl.lit(True), "datetime": pl.lit(True)}
    elif base == pl.Datetime:
        fits = {"date": column == column.dt.truncate("1d"), "datetime": pl.lit(True)}
    else:
        fits = {}
    return fits.get(kind, pl.lit(False))


class Type(OfColumn, frozen=True, kw_only=True, tag="type"):
    """Values, where there are any, are of a type, or text that stands for one.

    Dates and times are written as in ISO 8601. A whole number is an ``integer`` however it is
    stored; 0 and 1 are ``boolean``, and so are ``true`` and ``false``.
    """

    type: Kind

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        column = pl.col(self.column)
        return ~_of_kind(column, frame.schema[self.column], self.type) & column.is_not_null()

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is of type {self.type}"


class Range(OfColumn, frozen=True, kw_only=True, tag="range"):
    """Values, where there are any, lie between two bounds, which are allowed themselves.

    A bound that is a date is the whole of that day.
    """

    low: int | float | date | None = None
    high: int | float | date | None = None

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        kind = frame.schema[self.column]
        days = any(isinstance(bound, date) for bound in (self.low, self.high))
        # Polars would compare days with numbers, as those since 1970.
        if kind != pl.Null and days != kind.is_temporal():
            raise TypeError("days are compared with dates and times, numbers with numbers")
        column = pl.col(self.column)
        if kind == pl.Datetime:
            column = column.dt.date()
        wrong = pl.lit(False)
        if self.low is not None:
            wrong = wrong | (column < self.low)
        if self.high is not None:
            wrong = wrong | (column > self.high)
        return wrong

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is {bounds(self.low, self.high)}"


def _text(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column of text; one that lists its values, or has none, is text too."""
    listed = frame.schema[name].base_type() in (pl.Enum, pl.Null)
    return pl.col(name).cast(pl.String) if listed else pl.col(name)


class Length(OfColumn, frozen=True, kw_only=True, tag="length"):
    """Text has so many characters."""

    low: int = 0
    high: int | None = None

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        size = _text(frame, self.column).str.len_chars()
        wrong = size < self.low
        return wrong if self.high is None else wrong | (size > self.high)

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} has {bounds(self.low, self.high)} characters"


class Pattern(OfColumn, frozen=True, kw_only=True, tag="pattern"):
    """Text matches a regular expression, whole."""

    pattern: str

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        return ~_text(frame, self.column).str.contains(f"^(?:{self.pattern})$")

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is written like {self.pattern}"


class OneOf(OfColumn, frozen=True, kw_only=True, tag="one_of"):
    """Values, where there are any, are among these."""

    values: tuple[str | int | float | bool, ...]

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        kind = frame.schema[self.column]
        # 1 is among 1.0 and 2.5, and 0.1 among numbers of fewer digits.
        values = pl.Series(self.values, dtype=kind if kind.is_float() else None)
        return ~pl.col(self.column).is_in(values.implode())

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is one of {', '.join(map(str, self.values))}"


class Unique(Rule, frozen=True, kw_only=True, tag="unique"):
    """No two rows have the same key; of rows that come, also none that the table has already.

    A key of which a part is empty is none.
    """

    key: tuple[str, ...]

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return list(self.key)

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        whole = pl.all_horizontal(pl.col(self.key).is_not_null())
        twice = ~pl.struct(self.key).is_first_distinct()
        known = context.present
        if known is None or not known.height or not {*self.key} <= {*known.columns}:
            return whole & twice
        there = frame.select(self.key).join(
            known.select(self.key).unique().with_columns(_there=pl.lit(True)),
            on=self.key,
            how="left",
            maintain_order="left",
        )["_there"]
        return whole & (twice | pl.lit(there).fill_null(value=False))

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{', '.join(self.key)} is different in each row"


class References(OfColumn, frozen=True, kw_only=True, tag="references"):
    """Values, where there are any, exist in a column of another dataset."""

    dataset: str
    other: str

    def failing(self, frame: pl.DataFrame, context: Context) -> pl.Expr:
        """Return what is true where a row fails."""
        known = context.datasets.get(self.dataset)
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
        rows = nw.from_native(frame)
        formula = expression(self.formula, rows.collect_schema())
        # Beside the rows, so that what is the same for all of them is there for each.
        holds = rows.with_columns(_holds=formula)["_holds"].to_native()
        if holds.dtype != pl.Boolean:
            raise TypeError(f"the formula is not true or false, but {holds.dtype}")
        return ~pl.lit(holds.fill_null(value=True))

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return self.formula
