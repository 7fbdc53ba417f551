"""Normalisation: text, categories and units come to one form."""

import unicodedata
from typing import ClassVar, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, present, textual

__all__ = ["Rare", "Tidy", "Units"]


class Tidy(Step, frozen=True, kw_only=True, tag="tidy"):
    """Bring text to one form: blanks, case, and words that mean the same.

    Attributes:
        columns: which; all columns of text unless named.
        case: ``lower``, ``upper``, or None to leave it.
        synonyms: what is written, after the above, and what it means.
        empty: texts that mean nothing is known.
    """

    columns: tuple[str, ...] = ()
    case: str | None = None
    synonyms: dict[str, str] = field(default_factory=dict)
    empty: tuple[str, ...] = ("", "-", "?", "n/a", "N/A", "null", "NULL")

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with tidy text."""
        names = textual(frame, self.columns, "Tidy")
        return frame.with_columns(*(self._tidied(name) for name in names))

    def _tidied(self, name: str) -> nw.Expr:
        column = nw.col(name).str.replace_all(r"\s+", " ").str.strip_chars()
        if self.case == "lower":
            column = column.str.to_lowercase()
        elif self.case == "upper":
            column = column.str.to_uppercase()
        elif self.case is not None:
            raise InvalidInput(f"Tidy(case=...) is 'lower', 'upper' or None; got {self.case!r}")
        for written, meant in self.synonyms.items():
            column = (
                nw.when(column == unicodedata.normalize("NFC", written))
                .then(nw.lit(meant))
                .otherwise(column)
            )
        if self.empty:
            known = ~column.is_in(list(self.empty))
            column = nw.when(known).then(column)
        return column.alias(name)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"tidy text of {', '.join(self.columns) or 'all text columns'}"


class Rare(Step, frozen=True, kw_only=True, tag="rare"):
    """Put categories that are rare in training, or new later, under one name.

    Attributes:
        share: of the rows; what is below is rare.
        kept: the categories that stay, learned, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    share: float = 0.01
    other: str = "other"
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn which categories stay."""
        kept = {}
        for name in textual(frame, self.columns, "Rare"):
            counts = frame.group_by(name).agg(nw.len().alias("_count")).collect("polars")
            known = counts.filter(~nw.col(name).is_null())
            total = sum(known["_count"].to_list())
            pairs = zip(known[name].to_list(), known["_count"].to_list(), strict=True)
            kept[name] = tuple(sorted(text for text, n in pairs if n >= self.share * total))
        return msgspec.structs.replace(self, kept=kept)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with rare categories under one name."""
        present(frame, list(self.kept), "Rare")
        columns = []
        for name, kept in self.kept.items():
            column = nw.col(name)
            stays = column.is_in([*kept]) | column.is_null()
            columns.append(nw.when(stays).then(column).otherwise(nw.lit(self.other)).alias(name))
        return frame.with_columns(*columns)

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(f"{name} keeps {len(kept)}" for name, kept in self.kept.items())
        return f"categories rarer than {self.share:.1%} become {self.other!r}: {learned}"


# What a unit is in the base unit of its kind.
FACTORS: dict[str, dict[str, float]] = {
    "mass": {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "ug": 1e-9, "lb": 0.45359237, "oz": 0.028349523125},
    "length": {"m": 1.0, "cm": 0.01, "mm": 1e-3, "km": 1e3, "in": 0.0254, "ft": 0.3048},
    "time": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "d": 86400.0},
    "pressure": {"Pa": 1.0, "kPa": 1e3, "bar": 1e5, "mmHg": 133.322387415, "psi": 6894.757293168},
    "volume": {"L": 1.0, "dL": 0.1, "mL": 1e-3, "m3": 1e3},
}


class Units(Step, frozen=True, kw_only=True, tag="units"):
    """Turn measurements into numbers of one unit, such as ``"180 lb"`` into kilograms.

    Attributes:
        column: numbers, which are in ``assume``, or text that ends in a unit.
        to: the unit wanted; factors by NIST SP 811 (2008).
        assume: the unit of what names none.
    """

    column: str
    to: str
    assume: str | None = None

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with numbers; what names no known unit becomes empty."""
        present(frame, [self.column], "Units")
        kind = next((units for units in FACTORS.values() if self.to in units), None)
        if kind is None or self.assume not in {None, *kind}:
            raise InvalidInput(
                f"Units({self.column!r}, to={self.to!r}, assume={self.assume!r}): known are "
                f"{'; '.join(', '.join(units) for units in FACTORS.values())}"
            )
        column = nw.col(self.column)
        if frame.collect_schema()[self.column].is_numeric():
            factor = kind[self.assume or self.to] / kind[self.to]
            return frame.with_columns((column.cast(nw.Float64) * factor).alias(self.column))
        number = column.str.replace_all(r"[^0-9.eE+-].*$", "")
        result: nw.Expr = nw.lit(None, dtype=nw.Float64)
        for unit, size in kind.items():
            pattern = rf"^\s*[+-]?[0-9]+(\.[0-9]+)?\s*{unit}\s*$"
            value = nw.when(column.str.contains(pattern)).then(number).cast(nw.Float64)
            result = nw.coalesce(result, value * (size / kind[self.to]))
        if self.assume is not None:
            bare = column.str.contains(r"^\s*[+-]?[0-9]+(\.[0-9]+)?\s*$")
            value = nw.when(bare).then(number.str.strip_chars()).cast(nw.Float64)
            result = nw.coalesce(result, value * (kind[self.assume] / kind[self.to]))
        return frame.with_columns(result.alias(self.column))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{self.column} in {self.to}"
