"""Rule: what every rule has, and what it may look at besides the rows themselves."""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Literal

import polars as pl
from msgspec import Struct

__all__ = ["Context", "OfColumn", "Rule", "bounds"]


class Context(Struct, frozen=True, eq=False):
    """What rules look at besides the rows.

    Attributes:
        datasets: rows of other datasets, by the name that a rule says.
        present: keys that the table holds, which those that come may not have.
        before: the rows that a distribution is compared with.
    """

    datasets: Mapping[str, pl.DataFrame] = {}
    present: pl.DataFrame | None = None
    before: pl.DataFrame | None = None


class Rule(Struct, frozen=True, kw_only=True, tag_field="rule", omit_defaults=True):
    """What every rule has.

    Attributes:
        severity: an ``error`` keeps rows out; a ``warning`` is only reported.
    """

    of_rows: ClassVar[bool] = True
    severity: Literal["error", "warning"] = "error"

    @classmethod
    def tag(cls) -> str:
        """Return the name of the kind of rule."""
        return str(cls.__struct_config__.tag)

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

    def shows_values(self) -> bool:
        """Tell whether what is found shows values of rows."""
        return self.of_rows


class OfColumn(Rule, frozen=True, kw_only=True):
    """A rule about one column."""

    column: str

    def columns(self) -> list[str]:
        """Return the columns that the rule reads."""
        return [self.column]


def bounds(low: float | date | None, high: float | date | None) -> str:
    """Return two bounds in words, such as ``at least 18 and at most 70``."""
    parts = [
        f"at {word} {_said(bound)}"
        for word, bound in (("least", low), ("most", high))
        if bound is not None
    ]
    return " and ".join(parts)


def _said(bound: float | date) -> str:
    if isinstance(bound, int):
        return f"{bound:,}"
    return f"{bound:,.10g}" if isinstance(bound, float) else str(bound)
