"""Dates: text becomes dates, and dates become numbers that a model can use."""

import math
from typing import Literal

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, present, textual

__all__ = ["DateParts", "ParseDates"]


class ParseDates(Step, frozen=True, kw_only=True, tag="parse_dates"):
    """Read dates from text, in the first form that fits; what fits none becomes empty.

    Attributes:
        formats: each a form and the pattern that tells it.
    """

    columns: tuple[str, ...]
    formats: tuple[str, ...] = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with dates."""
        names = textual(frame, self.columns, "ParseDates")
        return frame.with_columns(*(self._parsed(name) for name in names))

    def _parsed(self, name: str) -> nw.Expr:
        column = nw.col(name).str.strip_chars()
        found = []
        for form in self.formats:
            pattern = form.replace(".", r"\.")
            for code, digits in _DIGITS.items():
                pattern = pattern.replace(code, digits)
            if "%" in pattern:
                raise InvalidInput(f"{form!r}: dates have %Y %m %d, such as %d.%m.%Y")
            fits = nw.when(column.str.contains(f"^{pattern}$")).then(column)
            found.append(fits.str.to_date(format=form))
        return nw.coalesce(*found).alias(name)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"read dates in {', '.join(self.columns)}"


_DIGITS = {
    "%Y": "[12][0-9]{3}",
    "%m": "(0[1-9]|1[0-2])",
    "%d": "(0[1-9]|[12][0-9]|3[01])",
}

Part = Literal["year", "month", "day", "weekday", "hour", "minute", "ordinal_day"]
_PERIODS = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60, "ordinal_day": 366}


class DateParts(Step, frozen=True, kw_only=True, tag="date_parts"):
    """Add parts of a date as columns; as sine and cosine where ``cyclic``."""

    column: str
    parts: tuple[Part, ...] = ("year", "month", "weekday")
    cyclic: bool = False
    keep: bool = True

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the parts."""
        present(frame, [self.column], "DateParts")
        columns = []
        for part in self.parts:
            value = getattr(nw.col(self.column).dt, part)().cast(nw.Int64)
            name = f"{self.column}_{part}"
            if self.cyclic and part in _PERIODS:
                turn = value * (2 * math.pi / _PERIODS[part])
                columns += [turn.sin().alias(f"{name}_sin"), turn.cos().alias(f"{name}_cos")]
            else:
                columns.append(value.alias(name))
        frame = frame.with_columns(*columns)
        return frame if self.keep else frame.drop(self.column)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{', '.join(self.parts)} of {self.column}"
