"""Outliers: values far from the rest are clipped, emptied, or their rows dropped."""

from typing import ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.data.recipes.step import Frame, Step, numeric, statistics

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

    def fit(self, frame: Frame) -> Self:
        """Learn the bounds."""
        if self.method == "given":
            return self
        names = numeric(frame, self.columns, "Outliers")
        wanted: dict[str, nw.Expr] = {}
        for place, name in enumerate(names):
            column = nw.col(name).cast(nw.Float64)
            low, high = {
                "iqr": (column.quantile(0.25, "linear"), column.quantile(0.75, "linear")),
                "z": (column.mean(), column.std()),
                "quantile": (
                    column.quantile(self.tail, "linear"),
                    column.quantile(1 - self.tail, "linear"),
                ),
            }[self.method]
            wanted |= {f"l{place}": low, f"h{place}": high}
        found = statistics(frame, wanted)
        bounds = {}
        for place, name in enumerate(names):
            low_value, high_value = found[f"l{place}"], found[f"h{place}"]
            if low_value is None or high_value is None:
                continue
            if self.method == "iqr":
                reach = self.width * (high_value - low_value)
                bounds[name] = (low_value - reach, high_value + reach)
            elif self.method == "z":
                reach = self.width * high_value
                bounds[name] = (low_value - reach, low_value + reach)
            else:
                bounds[name] = (low_value, high_value)
        return msgspec.structs.replace(self, bounds=bounds)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without values outside the bounds."""
        numeric(frame, list(self.bounds), "Outliers")
        if self.action == "drop":
            for name, (low, high) in self.bounds.items():
                column = nw.col(name)
                frame = frame.filter(column.is_null() | ((column >= low) & (column <= high)))
            return frame
        return frame.with_columns(*(self._treated(name) for name in self.bounds))

    def _treated(self, name: str) -> nw.Expr:
        low, high = self.bounds[name]
        column = nw.col(name)
        if self.action == "clip":
            return column.cast(nw.Float64).clip(low, high).alias(name)
        return nw.when((column >= low) & (column <= high)).then(column).alias(name)

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(
            f"{n} [{low:.4g}, {high:.4g}]" for n, (low, high) in self.bounds.items()
        )
        return f"{self.action} outliers ({self.method}): {learned or ', '.join(self.columns)}"
