"""Deriving: columns from formulas, and which columns and rows go on, in which order."""

from typing import ClassVar

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import aggregates, columns_in, expression
from lepton_ai.data.recipes.engines import without_nan
from lepton_ai.data.recipes.step import Frame, Step, hidden, present, with_columns

__all__ = ["Derive", "Filter", "Rename", "Select", "Sort"]


class Derive(Step, frozen=True, kw_only=True, tag="derive"):
    """Add or replace columns by formulas, such as ``{"bmi": "weight / (height / 100) ** 2"}``.

    All of them look at the columns before the step. What a formula cannot say, such as a number
    divided by zero, is empty.
    """

    columns: dict[str, str]

    @property
    def alone(self) -> bool:  # type: ignore[override]
        """Whether each row is computed from itself: ``mean(x)`` would be that of other rows."""
        return not any(map(aggregates, self.columns.values()))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the columns."""
        for text in self.columns.values():
            present(frame, sorted(columns_in(text)), f"Derive({text!r})")
        schema = frame.collect_schema()
        derived = with_columns(
            frame, *(expression(text, schema).alias(name) for name, text in self.columns.items())
        )
        return without_nan(derived, list(self.columns))

    def reads(self) -> set[str]:
        """Return the columns that the formulas name."""
        return {name for text in self.columns.values() for name in columns_in(text)}

    def writes(self) -> set[str]:
        """Return the columns that are derived."""
        return set(self.columns)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return ", ".join(f"{name} = {text}" for name, text in self.columns.items())


class Filter(Step, frozen=True, kw_only=True, tag="filter"):
    """Keep the rows for which a formula is true, such as ``age >= 18``."""

    rows: ClassVar[bool] = True
    where: str

    def apply(self, frame: Frame) -> Frame:
        """Return those rows."""
        present(frame, sorted(columns_in(self.where)), f"Filter({self.where!r})")
        return frame.filter(expression(self.where, frame.collect_schema()))

    def reads(self) -> set[str]:
        """Return the columns that the formula names."""
        return columns_in(self.where)

    def writes(self) -> set[str]:
        """Return no column."""
        return set()

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep rows where {self.where}"


class Select(Step, frozen=True, kw_only=True, tag="select"):
    """Keep these columns, in this order."""

    columns: tuple[str, ...]

    def apply(self, frame: Frame) -> Frame:
        """Return those columns, and in training the target."""
        names = present(frame, self.columns, "Select")
        if not names:
            raise InvalidInput("Select needs a column to keep: Select(columns=('age',))")
        there = frame.collect_schema().names()
        held = [name for name in there if name in hidden() and name not in names]
        return frame.select(*names, *held)

    def reads(self) -> set[str]:
        """Return the columns that stay."""
        return {*self.columns, *hidden()}

    def narrows(self) -> bool:
        """Tell that nothing else is left."""
        return True

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep {', '.join(self.columns)}"


class Rename(Step, frozen=True, kw_only=True, tag="rename"):
    """Give columns other names: new ones by old ones."""

    names: dict[str, str]

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the new names."""
        present(frame, list(self.names), "Rename")
        there = set(frame.collect_schema().names()) - self.names.keys()
        twice = [new for new in self.names.values() if new in there]
        if twice or len({*self.names.values()}) < len(self.names):
            raise InvalidInput(f"Rename would give two columns one name: {self.names}")
        return frame.rename(self.names)

    def reads(self) -> set[str]:
        """Return the old names."""
        return set(self.names)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return ", ".join(f"{old} becomes {new}" for old, new in self.names.items())


class Sort(Step, frozen=True, kw_only=True, tag="sort"):
    """Put rows in order; those without a value come last.

    Attributes:
        by: columns, the first one first.
        descending: whether from large to small.
    """

    rows: ClassVar[bool] = True
    by: tuple[str, ...]
    descending: bool = False

    def apply(self, frame: Frame) -> Frame:
        """Return the rows in order."""
        names = present(frame, self.by, "Sort")
        if not names:
            raise InvalidInput("Sort needs a column to go by: Sort(by=('time',))")
        return frame.sort(*names, descending=self.descending, nulls_last=True)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return set(self.by)

    def writes(self) -> set[str]:
        """Return no column."""
        return set()

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"sort by {', '.join(self.by)}{', largest first' if self.descending else ''}"
