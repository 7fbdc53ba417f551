"""Imputation: gaps are filled."""

from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, numeric, present, statistics

__all__ = ["Impute"]

Method = Literal["constant", "mean", "median", "mode", "forward", "model"]


class Impute(Step, frozen=True, kw_only=True, tag="impute"):
    """Fill gaps, by what training rows show.

    Attributes:
        columns: which; all columns of numbers unless named.
        method: ``forward`` takes the value before, in an order and within groups; ``model`` a
            ridge regression on the other columns of numbers.
        value: for ``constant``.
        order: for ``forward``; so is ``by``, the columns within whose equal values it looks.
        flag: add a column ``<name>_missing`` that says where a gap was.
        values: what was learned, by column.
        weights: for ``model``: the means and weights of the predictors, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    method: Method = "median"
    value: Any = None
    order: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    flag: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)

    def _columns(self, frame: Frame) -> list[str]:
        if self.method in ("mean", "median", "model"):
            return numeric(frame, self.columns, f"Impute(method={self.method!r})")
        return present(frame, self.columns, "Impute") or frame.collect_schema().names()

    def fit(self, frame: Frame) -> Self:
        """Learn what fills the gaps."""
        names = self._columns(frame)
        if self.method == "constant":
            return msgspec.structs.replace(self, values=dict.fromkeys(names, self.value))
        if self.method == "forward":
            return msgspec.structs.replace(self, values=dict.fromkeys(names))
        if self.method == "mode":
            return msgspec.structs.replace(self, values={n: _mode(frame, n) for n in names})
        wanted = {name: _centre(name, self.method) for name in names}
        found = statistics(frame, wanted)
        empty = [name for name, value in found.items() if value is None]
        if empty:
            raise InvalidInput(
                f"the columns {empty} have no value at all to learn from; drop them with "
                "DropColumns"
            )
        fitted = msgspec.structs.replace(self, values=found)
        if self.method != "model":
            return fitted
        return msgspec.structs.replace(fitted, weights=_ridge(frame, names, found))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without those gaps."""
        names = present(frame, list(self.values), "Impute")
        if self.flag:
            frame = frame.with_columns(
                *(nw.col(name).is_null().alias(f"{name}_missing") for name in names)
            )
        schema = frame.collect_schema()
        return frame.with_columns(*(self._filled(name, schema[name]) for name in names))

    def _filled(self, name: str, kind: Any) -> nw.Expr:
        column = nw.col(name)
        if self.method == "forward":
            if not self.order:
                raise InvalidInput("Impute(method='forward') needs an order: order=('time',)")
            filled = column.fill_null(strategy="forward")
            return (
                filled.over(*self.by, order_by=list(self.order))
                if self.by
                else filled.over(order_by=list(self.order))
            )
        value = self.values[name]
        if kind.is_integer() and isinstance(value, float) and value % 1:
            column = column.cast(nw.Float64)
        if self.method != "model":
            return nw.coalesce(column, nw.lit(value)).alias(name)
        guess: nw.Expr = nw.lit(float(value))
        for other, (mean, weight) in self.weights[name].items():
            known = nw.coalesce(nw.col(other).cast(nw.Float64), nw.lit(mean))
            guess = guess + (known - mean) * weight
        return nw.coalesce(column.cast(nw.Float64), guess).alias(name)

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(f"{name} by {_short(value)}" for name, value in self.values.items())
        if self.method in ("forward", "model"):
            learned = ", ".join(self.values)
        return f"fill gaps ({self.method}): {learned or ', '.join(self.columns) or 'all numbers'}"


def _centre(name: str, method: Method) -> nw.Expr:
    return nw.col(name).median() if method == "median" else nw.col(name).mean()


def _mode(frame: Frame, name: str) -> Any:
    """Return the most frequent value, of equally frequent ones the least."""
    counts = (
        frame.filter(~nw.col(name).is_null())
        .group_by(name)
        .agg(nw.len().alias("_count"))
        .sort("_count", name, descending=[True, False])
        .head(1)
        .collect("polars")
    )
    return counts[name][0] if len(counts) else None


def _ridge(
    frame: Frame, names: list[str], means: dict[str, Any]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return, for each column, means and weights of the others, by ridge regression.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12 (1970); penalty of 1 on standardised
    predictors, on a sample of at most 100,000 rows.
    """
    import numpy as np

    sample = frame.select(*(nw.col(name).cast(nw.Float64) for name in names)).head(100_000)
    matrix = sample.collect("polars").to_numpy()
    centre = np.array([float(means[name]) for name in names])
    gaps = np.isnan(matrix)
    known = np.where(gaps, centre, matrix) - centre
    spread = known.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = known / spread
    weights = {}
    for place, name in enumerate(names):
        others = [other for other in range(len(names)) if other != place]
        rows = ~gaps[:, place]
        left, right = scaled[rows][:, others], known[rows, place]
        solved = np.linalg.solve(left.T @ left + np.eye(len(others)), left.T @ right)
        weights[name] = {
            names[other]: (float(centre[other]), float(weight / spread[other]))
            for other, weight in zip(others, solved, strict=True)
        }
    return weights


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
