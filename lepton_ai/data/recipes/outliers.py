"""Outliers: values far from the rest are clipped, emptied, or their rows dropped."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.data.recipes.step import Frame, Step, numeric, with_columns

__all__ = ["Outliers"]


class Outliers(Step, frozen=True, kw_only=True, tag="outliers"):
    """Treat values outside bounds that training rows set.

    Attributes:
        columns: which; all columns of numbers unless named.
        method: ``iqr``: ``width`` times the distance of the quartiles beyond them (Tukey 1977);
            ``z``: ``width`` standard deviations from the mean; ``quantile``: the quantiles
            ``tail`` and 1 - ``tail``; ``given``: by ``bounds``.
        action: ``clip`` to the bound, ``null``, or ``drop`` the row.
        bounds: low and high, learned, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    method: Literal["iqr", "z", "quantile", "given"] = "iqr"
    width: float = 1.5
    tail: float = 0.01
    action: Literal["clip", "null", "drop"] = "clip"
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def rows(self) -> bool:  # type: ignore[override]
        """Whether rows are dropped."""
        return self.action == "drop"

    def asks(self, frame: Frame) -> dict[str, nw.Expr]:
        """Ask for quartiles, means or quantiles."""
        if self.method == "given":
            return {}
        wanted: dict[str, nw.Expr] = {}
        for name in numeric(frame, self.columns, "Outliers"):
            column = nw.col(name).cast(nw.Float64)
            if self.method == "z":
                low, high = column.mean(), column.std()
                wanted |= {f"least {name}": column.min(), f"most {name}": column.max()}
            else:
                tail = 0.25 if self.method == "iqr" else self.tail
                low, high = column.quantile(tail, "linear"), column.quantile(1 - tail, "linear")
            wanted |= {f"low {name}": low, f"high {name}": high}
        return wanted

    def told(self, found: Mapping[str, Any]) -> Self:
        """Learn the bounds."""
        if self.method == "given":
            return self
        bounds = {}
        for word, low in found.items():
            name = word.removeprefix("low ")
            high = found.get(f"high {name}")
            if name == word or low is None or high is None:
                continue
            reach = self.width * (high - low if self.method == "iqr" else high)
            if self.method == "z" and found[f"least {name}"] == found[f"most {name}"]:
                # The mean of equal numbers may be none of them, by rounding.
                bounds[name] = (found[f"least {name}"], found[f"most {name}"])
            elif self.method == "iqr":
                bounds[name] = (low - reach, high + reach)
            elif self.method == "z":
                bounds[name] = (low - reach, low + reach)
            else:
                bounds[name] = (low, high)
        return msgspec.structs.replace(self, bounds=bounds)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without values outside the bounds."""
        numeric(frame, list(self.bounds), "Outliers")
        if self.action == "drop":
            for name, (low, high) in self.bounds.items():
                column = nw.col(name)
                frame = frame.filter(column.is_null() | ((column >= low) & (column <= high)))
            return frame
        return with_columns(frame, *(self._treated(name) for name in self.bounds))

    def _treated(self, name: str) -> nw.Expr:
        low, high = self.bounds[name]
        column = nw.col(name)
        if self.action == "clip":
            return column.cast(nw.Float64).clip(low, high).alias(name)
        return nw.when((column >= low) & (column <= high)).then(column).alias(name)

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return set(self.columns) | set(self.bounds) or None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes."""
        return self.reads()

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(
            f"{n} [{low:.4g}, {high:.4g}]" for n, (low, high) in self.bounds.items()
        )
        return f"{self.action} outliers ({self.method}): {learned or ', '.join(self.columns)}"
