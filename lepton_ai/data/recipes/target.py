"""Target encoding: a category becomes the target's mean in it, without a row seeing its own."""

from typing import Any, ClassVar, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like
from lepton_ai.data.recipes.step import ROW, Frame, Step, present, statistics, with_columns

__all__ = ["TargetEncode"]


class TargetEncode(Step, frozen=True, kw_only=True, tag="target_encode"):
    """Replace a category by the target's smoothed mean in training.

    Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes", SIGKDD
    Explorations 3 (2001). Rows that the step was fitted on are encoded by `cross_fit`, from the
    other folds, so that no row sees its own target; rows that come later by all of training.

    Attributes:
        target: a column of numbers or booleans; with ``positive`` of anything.
        positive: the class whose share is the mean, such as ``"bad"``.
        smoothing: how many rows the mean of all counts for.
        folds: rows take them in turn, in their order.
        order: the columns that put rows in order; as they come unless given, which is no order
            on engines such as DuckDB.
        mean: of the target, learned; so are ``means``, by column and category.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    target: str
    positive: str | bool | int | float | None = None
    smoothing: float = 20.0
    folds: int = 5
    order: tuple[str, ...] = ()
    mean: float = 0.0
    means: dict[str, dict[str, float]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn the means."""
        present(frame, [*self.columns, self.target, *self.order], "TargetEncode")
        if self.target in self.columns:
            raise InvalidInput(f"the target {self.target!r} cannot encode itself")
        if self.folds < 2 or self.smoothing < 0:
            raise InvalidInput("TargetEncode needs folds >= 2 and smoothing >= 0")
        return self._fitted(frame)

    def _fitted(self, frame: Frame) -> Self:
        target = self._target(frame)
        mean = statistics(frame, {"mean": target.mean()})["mean"]
        if mean is None:
            raise InvalidInput(f"the target {self.target!r} has no value")
        means = {name: self._means(frame, name, target, mean) for name in self.columns}
        return msgspec.structs.replace(self, mean=float(mean), means=means)

    def _target(self, frame: Frame) -> nw.Expr:
        kind = frame.collect_schema()[self.target]
        column = nw.col(self.target)
        if self.positive is not None:
            if (kind == nw.String) != isinstance(self.positive, str):
                raise InvalidInput(f"{self.target!r} is {kind}; positive={self.positive!r} is not")
            return (column == self.positive).cast(nw.Float64)
        if not (kind.is_numeric() or kind == nw.Boolean):
            raise InvalidInput(
                f"TargetEncode needs a target of numbers; {self.target!r} is {kind}. Name the "
                "class to look for: positive=..."
            )
        return column.cast(nw.Float64)

    def _means(self, frame: Frame, name: str, target: nw.Expr, mean: float) -> dict[str, float]:
        found = (
            frame.filter(~nw.col(name).is_null())
            .select(
                nw.col(name).cast(nw.String).alias("_lepton_value"), target.alias("_lepton_target")
            )
            .group_by("_lepton_value")
            .agg(
                nw.col("_lepton_target").sum().alias("_lepton_sum"),
                nw.col("_lepton_target").count().alias("_lepton_count"),
            )
            .collect("polars")
        )
        return {
            value: (float(total or 0.0) + self.smoothing * mean) / (count + self.smoothing)
            for value, total, count in sorted(found.rows())
            if count
        }

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with means in the place of categories; new ones have that of all."""
        present(frame, list(self.means), "TargetEncode")
        return with_columns(frame, *(self._mapped(name, self.means[name]) for name in self.means))

    def _mapped(self, name: str, means: dict[str, float]) -> nw.Expr:
        if not means:
            return nw.lit(self.mean).alias(name)
        looked = (
            nw.col(name)
            .cast(nw.String)
            .replace_strict(
                list(means), list(means.values()), default=None, return_dtype=nw.Float64
            )
        )
        return nw.coalesce(looked, nw.lit(self.mean)).alias(name)

    def cross_fit(self, frame: Frame) -> Frame:
        """Return the training rows, each encoded from the folds that it is not in."""
        whole: Any = frame.collect("polars")
        if self.order or ROW in whole.columns:
            whole = whole.sort(*(self.order or [ROW]))
        whole = whole.with_row_index("_lepton_row")
        parts = []
        for fold in range(min(self.folds, len(whole))):
            inside = nw.col("_lepton_row") % self.folds == fold
            rest = whole.filter(~inside).lazy()
            known = statistics(rest, {"known": self._target(rest).count()})["known"]
            # Nothing is known of the target outside of this fold: a constant says nothing of it.
            fitted = (
                self._fitted(rest)
                if known
                else msgspec.structs.replace(self, mean=0.0, means={n: {} for n in self.columns})
            )
            parts.append(fitted.apply(whole.filter(inside).lazy()).collect("polars"))
        joined = (
            nw.concat(parts).sort("_lepton_row") if parts else self.apply(whole.lazy()).collect()
        )
        return like(frame, joined.drop("_lepton_row").to_native())

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, self.target, *self.order}

    def writes(self) -> set[str]:
        """Return the columns that the step changes."""
        return set(self.columns)

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        what = f"share of {self.positive}" if self.positive is not None else f"mean {self.target}"
        learned = ", ".join(f"{name} ({len(means)})" for name, means in self.means.items())
        return f"the {what} of each category of {learned or ', '.join(self.columns)}"
