"""Validity: types, and values that cannot be."""

from typing import Any, Literal, Self

import msgspec
import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.blanks import stripped
from lepton_ai.data.recipes.join import reference
from lepton_ai.data.recipes.step import Frame, Step, present, textual, with_columns

__all__ = ["Convert", "Invalid"]


_NUMBER = r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?\s*$"
_MOST = 100_000  # values of a reference
_TRUE, _FALSE = ("true", "yes", "y", "1", "t"), ("false", "no", "n", "0", "f")


class Convert(Step, frozen=True, kw_only=True, tag="convert"):
    """Read text as numbers or booleans; what is none becomes empty.

    Dates are read by `ParseDates`, measurements with units by `Units`.

    Attributes:
        columns: of text; one that has the type already stays.
        to: ``number``, ``integer`` (at most 18 digits), ``boolean`` (true, yes, y, t, 1 and
            their opposites, in any case) or ``text``.
        comma: whether a comma stands before decimals, as in ``1.234,5``.
    """

    columns: tuple[str, ...]
    to: Literal["number", "integer", "boolean", "text"] = "number"
    comma: bool = False

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with columns of that type."""
        names = present(frame, self.columns, "Convert")
        schema = frame.collect_schema()
        return with_columns(frame, *(self._converted(n, schema[n]).alias(n) for n in names))

    def _converted(self, name: str, kind: Any) -> nw.Expr:
        column = nw.col(name)
        if self.to == "text":
            return column.cast(nw.String)
        if kind != nw.String:
            target: Any = {"number": nw.Float64, "integer": nw.Int64, "boolean": nw.Boolean}[
                self.to
            ]
            if not (kind.is_numeric() or kind == nw.Boolean):
                raise InvalidInput(f"Convert reads text and numbers; {name!r} is {kind}")
            if self.to == "integer" and kind.is_float():
                # Fractions are no whole numbers, and what 64 bits cannot hold is none either.
                whole = (column == column.floor()) & (column.abs() < 2.0**63)
                column = nw.when(whole).then(column)
            return column.cast(target)
        text = stripped(column)
        if self.to == "boolean":
            text = text.str.to_lowercase()
            known = text.is_in([*_TRUE, *_FALSE])
            return nw.when(known).then(text.is_in(list(_TRUE)))
        if self.comma:
            text = text.str.replace_all(".", "", literal=True).str.replace_all(
                ",", ".", literal=True
            )
        pattern = _NUMBER if self.to == "number" else r"^[+-]?[0-9]{1,18}$"
        fits = nw.when(text.str.contains(pattern)).then(text)
        return fits.cast(nw.Float64 if self.to == "number" else nw.Int64)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return set(self.columns)

    def writes(self) -> set[str]:
        """Return the columns that the step changes."""
        return set(self.columns)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"read {', '.join(self.columns)} as {self.to}"


class Invalid(Step, frozen=True, kw_only=True, tag="invalid"):
    """Empty the values that cannot be, or drop their rows.

    Attributes:
        column: where.
        low: the least that can be; so is ``high`` the most.
        pattern: a regular expression that the whole text must match.
        values: the only values there are; learned where ``table`` names a reference.
        table: a dataset that lists the only values there are, such as ``icd10`` or ``wards:2``.
        key: the column of it that does; of the same name unless given.
        pinned: the version of it that was found, learned.
        action: ``null`` empties the value, ``drop`` removes the row.
    """

    column: str
    low: float | None = None
    high: float | None = None
    pattern: str | None = None
    values: tuple[Any, ...] = ()
    table: str = ""
    key: str = ""
    pinned: str = ""
    action: Literal["null", "drop"] = "null"

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether a reference is looked up."""
        return bool(self.table)

    def fit(self, frame: Frame) -> Self:
        """Look the reference up."""
        if not self.table:
            return self
        ref, values = reference(self.table, self.key or self.column, _MOST)
        return msgspec.structs.replace(self, values=values, pinned=ref)

    @property
    def rows(self) -> bool:  # type: ignore[override]
        """Whether rows are dropped."""
        return self.action == "drop"

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without such values."""
        present(frame, [self.column], "Invalid")
        column = nw.col(self.column)
        wrong: list[nw.Expr] = []
        if self.low is not None:
            wrong.append(column < self.low)
        if self.high is not None:
            wrong.append(column > self.high)
        if self.pattern is not None:
            textual(frame, [self.column], "Invalid(pattern=...)")
            wrong.append(~column.str.contains(f"^(?:{self.pattern})$"))
        if self.values:
            wrong.append(~column.is_in(self._known(frame.collect_schema()[self.column])))
        if not wrong:
            raise InvalidInput(
                f"Invalid(column={self.column!r}) says nothing that would be wrong; give low, "
                "high, pattern, values or table"
            )
        bad = nw.any_horizontal(*wrong, ignore_nulls=True)
        if self.action == "drop":
            return frame.filter(~(bad & ~column.is_null()))
        return with_columns(
            frame, nw.when(~bad).then(column).otherwise(nw.lit(None)).alias(self.column)
        )

    def _known(self, kind: Any) -> list[Any]:
        """Return the values as the column has them."""
        values = [value for value in self.values if value is not None]
        if any(isinstance(value, str) != (kind == nw.String) for value in values):
            raise InvalidInput(
                f"column {self.column!r} is {kind}, which holds none of {values}; Convert it, or "
                "write the values as it has them"
            )
        if kind.is_float():
            return [float(value) for value in values]
        if kind.is_integer():
            return [int(value) for value in values if value == int(value)]
        return values

    def _listed(self) -> str | None:
        """Say what the values there are."""
        if self.table:
            return f"{self.key or self.column} of {self.pinned or self.table}"
        return ", ".join(map(str, self.values)) or None

    def reads(self) -> set[str]:
        """Return the column that the step looks at."""
        return {self.column}

    def writes(self) -> set[str]:
        """Return the column that the step changes."""
        return {self.column}

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = [
            f"{word} {value}"
            for word, value in (
                ("below", self.low), ("above", self.high), ("not like", self.pattern),
                ("not in", self._listed()),
            )
            if value is not None
        ]  # fmt: skip
        done = "empty" if self.action == "null" else "drop rows with"
        return f"{done} values of {self.column} {' or '.join(what)}"
