"""Rules about the whole: each says of all rows together whether it holds, and what it measured."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal

import polars as pl

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.words import counted
from lepton_ai.data.quality.rule import Context, OfColumn, Rule, bounds
from lepton_ai.data.quality.stability import stability

__all__ = ["Complete", "Fresh", "RowCount", "Stable", "Statistic"]

_COMPARED = 50  # rows, for a claim about their distribution


class Complete(OfColumn, frozen=True, kw_only=True, tag="complete"):
    """At least a share of the rows has a value; NaN is none."""

    of_rows: ClassVar[bool] = False
    share: float

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        values = frame[self.column].drop_nulls()
        known = values.len() / frame.height if frame.height else 1.0
        lacking = frame.height - values.len()
        some = f"{known:.1%} of the rows have one, {counted(lacking, 'row')} "
        return known >= self.share, some + ("has none" if lacking == 1 else "have none")

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"{self.column} is known in at least {100 * self.share:.10g}% of the rows"


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
        return f"there are {bounds(self.low, self.high)} rows"


class Fresh(OfColumn, frozen=True, kw_only=True, tag="fresh"):
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
        hours = max((datetime.now(UTC) - moment).total_seconds() / 3600, 0.0)
        return hours <= self.hours, f"the newest is {hours:.1f} h old"

    def shows_values(self) -> bool:
        """Tell whether what is found shows values of rows."""
        return True

    def sentence(self) -> str:
        """Return the rule as people say it."""
        return f"the newest {self.column} is at most {self.hours:g} hours old"


class Stable(OfColumn, frozen=True, kw_only=True, tag="stable"):
    """The distribution is close to another one: population stability index.

    Yurdakul, "Statistical Properties of the Population Stability Index", Western Michigan
    University 2018; above 0.25 is commonly called a large change. Numbers are compared in the
    deciles of the rows before, anything else by value.

    Attributes:
        most: the largest index that is allowed.
        dataset: what it is compared with, such as ``patients:3``; unless given, the rows that are
            there when others come, and the version before when a version is checked.
    """

    of_rows: ClassVar[bool] = False
    most: float = 0.25
    dataset: str | None = None

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        known = context.datasets
        before = context.before if self.dataset is None else known.get(self.dataset)
        if before is None or self.column not in before.columns:
            return True, "there is nothing to compare with"
        if before.height < _COMPARED or frame.height < _COMPARED:
            return True, f"fewer than {_COMPARED} rows are too few to compare"
        index = stability(before[self.column], frame[self.column])
        return index <= self.most, f"the population stability index is {index:.3f}"

    def sentence(self) -> str:
        """Return the rule as people say it."""
        model = "before" if self.dataset is None else f"in {self.dataset}"
        return f"{self.column} is distributed as {model} (index at most {self.most:g})"


def _sum(values: pl.Series) -> Any:
    # That of 64-bit integers would begin anew beyond the largest.
    return (values.cast(pl.Int128) if values.dtype.is_integer() else values).sum()


# A figure of a column's values, none of which is missing; None where they are too few.
_FIGURES: Mapping[str, Callable[[pl.Series], Any]] = {
    "mean": lambda values: values.mean(),
    "median": lambda values: values.median(),
    "std": lambda values: values.std(),
    "min": lambda values: values.min(),
    "max": lambda values: values.max(),
    "sum": _sum,
    "distinct": lambda values: values.n_unique(),
}


class Statistic(OfColumn, frozen=True, kw_only=True, tag="statistic"):
    """A figure of a column lies between two bounds, which are allowed themselves.

    Attributes:
        of: which figure; missing values and NaN do not count, ``std`` is that of a sample.
    """

    of_rows: ClassVar[bool] = False
    of: Literal["mean", "median", "std", "min", "max", "sum", "distinct"]
    low: int | float | None = None
    high: int | float | None = None

    def measure(self, frame: pl.DataFrame, context: Context) -> tuple[bool, str]:
        """Return whether it holds, and what was measured."""
        values = frame[self.column].drop_nulls()
        if self.of != "distinct" and not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
            raise InvalidInput(f"{self.column} holds {values.dtype}, not numbers")
        found = _FIGURES[self.of](values)
        if found is None:
            return False, "there are too few values"
        held = (self.low is None or found >= self.low) and (self.high is None or found <= self.high)
        return held, f"it is {found:,.6g}"

    def shows_values(self) -> bool:
        """Tell whether what is found shows values of rows."""
        return self.of in ("min", "max")

    def sentence(self) -> str:
        """Return the rule as people say it."""
        name = "number of different values" if self.of == "distinct" else self.of
        return f"the {name} of {self.column} is {bounds(self.low, self.high)}"
