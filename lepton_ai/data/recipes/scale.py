"""Scaling: columns of numbers come to comparable ranges."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, numeric, with_columns

__all__ = ["Scale"]

_SAMPLE = 100_000  # rows on which an exponent is sought


class Scale(Step, frozen=True, kw_only=True, tag="scale"):
    """Scale columns by what training rows show.

    Attributes:
        columns: which; all columns of numbers unless named.
        method: ``standard`` (mean 0, population standard deviation 1), ``minmax`` (0 to 1),
            ``robust`` (median 0, distance of the quartiles 1), ``log`` (log(1 + x); empty where
            x is -1 or less), ``power`` (Yeo and Johnson, "A New Family of Power Transformations",
            Biometrika 87 (2000), then as ``standard``).
        scales: centre and width, learned, by column.
        powers: the exponents of ``power``, learned on at most 100,000 rows, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    method: Literal["standard", "minmax", "robust", "log", "power"] = "standard"
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    powers: dict[str, float] = field(default_factory=dict)

    def asks(self, frame: Frame) -> dict[str, nw.Expr] | None:
        """Ask for centres and widths."""
        names = numeric(frame, self.columns, "Scale")
        if self.method == "power":
            return None
        return self._asked({name: nw.col(name).cast(nw.Float64) for name in names})

    def _asked(self, columns: Mapping[str, nw.Expr]) -> dict[str, nw.Expr]:
        wanted: dict[str, nw.Expr] = {}
        for name, column in columns.items():
            if self.method == "minmax":
                centre, width = column.min(), column.max() - column.min()
            elif self.method == "robust":
                quartiles = column.quantile(0.25, "linear"), column.quantile(0.75, "linear")
                centre, width = column.median(), quartiles[1] - quartiles[0]
            elif self.method == "log":
                centre, width = column.count() * 0.0, column.count() * 0.0
            else:
                centre, width = column.mean(), column.std(ddof=0)
                # Of equal numbers, rounding leaves a spread; divided by, it is astronomical.
                wanted[f"range {name}"] = column.max() - column.min()
            wanted |= {f"centre {name}": centre, f"width {name}": width}
        return wanted

    def told(self, found: Mapping[str, Any]) -> Self:
        """Learn centres and widths; a constant column has width 1."""
        scales = {}
        for word, value in found.items():
            name = word.removeprefix("centre ")
            if name == word:
                continue
            width = found[f"width {name}"] if found.get(f"range {name}", 1.0) != 0 else None
            scales[name] = (float(value or 0.0), float(width or 1.0))
        return msgspec.structs.replace(self, scales=scales)

    def fit(self, frame: Frame) -> Self:
        """Learn centres and widths, and exponents first where they are wanted."""
        from lepton_ai.data.recipes.step import statistics

        if self.method != "power":
            return self.told(statistics(frame, self.asks(frame) or {}))
        names = numeric(frame, self.columns, "Scale")
        sample = frame.select(*names).head(_SAMPLE).collect("polars").to_native()
        powers = {name: _exponent(name, sample[name]) for name in names}
        bent = {name: _yeo_johnson(nw.col(name), power) for name, power in powers.items()}
        done = self.told(statistics(frame, self._asked(bent)))
        return msgspec.structs.replace(done, powers=powers)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with scaled columns."""
        names = numeric(frame, list(self.scales), "Scale") if self.scales else []
        return with_columns(frame, *(self._scaled(name).alias(name) for name in names))

    def _scaled(self, name: str) -> nw.Expr:
        column = nw.col(name).cast(nw.Float64)
        if self.method == "log":
            return nw.when(column > -1).then(column + 1).log()
        if self.method == "power":
            column = _yeo_johnson(nw.col(name), self.powers[name])
        centre, width = self.scales[name]
        return (column - centre) / width

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return set(self.columns) | set(self.scales) or None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes."""
        return self.reads()

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        if not self.scales or self.method == "log":
            return (
                f"scale ({self.method}) {', '.join(self.scales or self.columns) or 'all numbers'}"
            )
        learned = (f"{name} ({c:.4g}, {w:.4g})" for name, (c, w) in self.scales.items())
        return f"scale ({self.method}; centre, width) {', '.join(learned)}"


def _exponent(name: str, values: Any) -> float:
    from scipy.stats import yeojohnson_normmax

    known = values.drop_nulls().cast(float).to_numpy()
    if len(known) < 3 or known.min() == known.max():
        raise InvalidInput(f"Scale(method='power') needs 3 different values or more in {name!r}")
    try:
        return float(yeojohnson_normmax(known))
    except ValueError as error:
        raise InvalidInput(
            f"Scale(method='power') finds no exponent for {name!r}: {error}"
        ) from error


def _yeo_johnson(column: nw.Expr, power: float) -> nw.Expr:
    column = column.cast(nw.Float64)
    # What the other half would make of a value must exist too: engines compute both.
    above = nw.when(column >= 0).then(column).otherwise(nw.lit(0.0)) + 1
    below = nw.when(column < 0).then(nw.lit(0.0) - column).otherwise(nw.lit(0.0)) + 1
    high = (above**power - 1) / power if abs(power) > 1e-12 else above.log()
    rest = 2 - power
    low = (below**rest - 1) / -rest if abs(rest) > 1e-12 else nw.lit(0.0) - below.log()
    bent = nw.when(column >= 0).then(high).otherwise(low)
    return nw.when(~column.is_null()).then(bent)
