"""Deriving: columns from formulas, and which columns and rows go on."""

from typing import ClassVar

from lepton_ai.data.expression import columns_in, expression
from lepton_ai.data.recipes.step import Frame, Step, present

__all__ = ["Derive", "Filter", "Rename", "Select"]


class Derive(Step, frozen=True, kw_only=True, tag="derive"):
    """Add or replace columns by formulas, such as ``{"bmi": "weight / (height / 100) ** 2"}``."""

    columns: dict[str, str]

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the columns."""
        for text in self.columns.values():
            present(frame, sorted(columns_in(text)), f"Derive({text!r})")
        return frame.with_columns(
            *(expression(text).alias(name) for name, text in self.columns.items())
        )

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
        return frame.filter(expression(self.where))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep rows where {self.where}"


class Select(Step, frozen=True, kw_only=True, tag="select"):
    """Keep these columns, in this order."""

    columns: tuple[str, ...]

    def apply(self, frame: Frame) -> Frame:
        """Return those columns."""
        return frame.select(*present(frame, self.columns, "Select"))

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"keep {', '.join(self.columns)}"


class Rename(Step, frozen=True, kw_only=True, tag="rename"):
    """Give columns other names: new ones by old ones."""

    names: dict[str, str]

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the new names."""
        present(frame, list(self.names), "Rename")
        return frame.rename(self.names)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return ", ".join(f"{old} becomes {new}" for old, new in self.names.items())
