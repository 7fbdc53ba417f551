"""Encoding: categories become numbers, numbers become bins."""

import hashlib
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, numeric, present, statistics, textual

__all__ = ["Bin", "HashEncode", "OneHot", "Ordinal", "TargetEncode"]


def _categories(frame: Frame, name: str) -> tuple[Any, ...]:
    found = frame.select(name).unique(keep="any").collect("polars")[name].to_list()
    return tuple(sorted(value for value in found if value is not None))


class OneHot(Step, frozen=True, kw_only=True, tag="one_hot"):
    """One column of 0 and 1 for each category seen in training; new ones are 0 in all."""

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    most: int = 100
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn the categories."""
        found = {n: _categories(frame, n) for n in textual(frame, self.columns, "OneHot")}
        many = {name: len(values) for name, values in found.items() if len(values) > self.most}
        if many:
            raise InvalidInput(
                f"columns with more than {self.most} categories: {many}; put Rare in front, or use "
                "HashEncode or TargetEncode"
            )
        return msgspec.structs.replace(self, categories=found)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the new columns in the place of the old."""
        present(frame, list(self.categories), "OneHot")
        columns = [
            nw.coalesce(nw.col(name) == value, nw.lit(False)).cast(nw.Int8).alias(f"{name}={value}")
            for name, values in self.categories.items()
            for value in values
        ]
        return frame.with_columns(*columns).drop(list(self.categories))

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(f"{n} ({len(v)})" for n, v in self.categories.items())
        return f"a column of 0 and 1 for each category of {learned or ', '.join(self.columns)}"


class Ordinal(Step, frozen=True, kw_only=True, tag="ordinal"):
    """Number categories: in the order given, else of the alphabet; new ones become empty."""

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    order: dict[str, tuple[str, ...]] = field(default_factory=dict)
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn the categories."""
        names = textual(frame, self.columns or tuple(self.order), "Ordinal")
        codes = {name: self.order.get(name) or _categories(frame, name) for name in names}
        return msgspec.structs.replace(self, codes=codes)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with numbers from 0 on."""
        present(frame, list(self.codes), "Ordinal")
        return frame.with_columns(
            *(
                nw.col(name)
                .replace_strict(
                    list(values), list(range(len(values))), default=None, return_dtype=nw.Int64
                )
                .alias(name)
                for name, values in self.codes.items()
                if values
            )
        )

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"number the categories of {', '.join(self.codes or self.columns)}"


class TargetEncode(Step, frozen=True, kw_only=True, tag="target_encode"):
    """Replace a category by the target's smoothed mean in training.

    Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes", SIGKDD
    Explorations 3 (2001). Rows that the step was fitted on are encoded by `cross_fit`, from the
    other folds, so that no row sees its own target; rows that come later by all of training.

    Attributes:
        target: a column of numbers.
        smoothing: how many rows the mean of all counts for.
        key: a column whose values say to which fold a row belongs; the row's order unless given.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    target: str
    smoothing: float = 20.0
    folds: int = 5
    mean: float = 0.0
    means: dict[str, dict[str, float]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn the means."""
        present(frame, self.columns, "TargetEncode")
        numeric(frame, [self.target], "TargetEncode(target=...)")
        mean = statistics(frame, [nw.col(self.target).cast(nw.Float64).mean().alias("mean")])[
            "mean"
        ]
        if mean is None:
            raise InvalidInput(f"the target {self.target!r} has no value")
        means = {name: self._means(frame, name, mean) for name in self.columns}
        return msgspec.structs.replace(self, mean=float(mean), means=means)

    def _means(self, frame: Frame, name: str, mean: float) -> dict[str, float]:
        target = nw.col(self.target).cast(nw.Float64)
        found = (
            frame.filter(~nw.col(name).is_null())
            .group_by(name)
            .agg(target.sum().alias("_sum"), target.count().alias("_count"))
            .collect("polars")
        )
        return {
            str(value): (total + self.smoothing * mean) / (count + self.smoothing)
            for value, total, count in sorted(found.rows(), key=lambda row: str(row[0]))
        }

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with means in the place of categories; new ones have that of all."""
        present(frame, list(self.means), "TargetEncode")
        return frame.with_columns(*(self._mapped(name, self.means[name]) for name in self.means))

    def _mapped(self, name: str, means: dict[str, float]) -> nw.Expr:
        column = nw.col(name).cast(nw.String)
        if not means:
            return nw.lit(self.mean).alias(name)
        mapped = column.replace_strict(
            list(means), list(means.values()), default=None, return_dtype=nw.Float64
        )
        return nw.coalesce(mapped, nw.lit(self.mean)).alias(name)

    def cross_fit(self, frame: Frame) -> Frame:
        """Return the training rows, each encoded from the folds that it is not in."""
        whole = frame.collect("polars").with_row_index("_row")
        parts = []
        for fold in range(self.folds):
            inside = nw.col("_row") % self.folds == fold
            fitted = self.fit(whole.filter(~inside).drop("_row").lazy())
            parts.append(fitted.apply(whole.filter(inside).lazy()).collect("polars"))
        return nw.concat(parts).sort("_row").drop("_row").lazy()

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"the mean {self.target} of each category of {', '.join(self.columns)}"


class HashEncode(Step, frozen=True, kw_only=True, tag="hash_encode"):
    """Number categories by a hash, into so many buckets; nothing is learned, collisions happen.

    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...]
    buckets: int = 256
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Remember the categories, whose buckets are then looked up rather than computed."""
        names = textual(frame, self.columns, "HashEncode")
        return msgspec.structs.replace(self, known={n: _categories(frame, n) for n in names})

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with bucket numbers."""
        present(frame, list(self.known), "HashEncode")
        columns = []
        for name in self.known:
            new = _categories(frame, name)
            values = sorted({*self.known[name], *new})
            buckets = [self._bucket(value) for value in values]
            columns.append(
                nw.col(name)
                .replace_strict(values, buckets, default=None, return_dtype=nw.Int64)
                .alias(name)
            )
        return frame.with_columns(*columns)

    def _bucket(self, value: str) -> int:
        digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.buckets

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"hash {', '.join(self.columns)} into {self.buckets} buckets"


class Bin(Step, frozen=True, kw_only=True, tag="bin"):
    """Number the interval that a value lies in.

    Attributes:
        method: ``width`` (equally wide), ``quantile`` (equally full) or ``edges`` (given).
        edges: the inner edges; learned unless given. A value equal to an edge lies above it.
    """

    learns: ClassVar[bool] = True
    column: str
    method: Literal["width", "quantile", "edges"] = "quantile"
    bins: int = 5
    edges: tuple[float, ...] = ()

    def fit(self, frame: Frame) -> Self:
        """Learn the edges."""
        numeric(frame, [self.column], "Bin")
        column = nw.col(self.column).cast(nw.Float64)
        if self.method == "edges":
            return self
        inner = range(1, self.bins)
        if self.method == "width":
            found = statistics(frame, {"low": column.min(), "high": column.max()})
            low, high = found["low"] or 0.0, found["high"] or 0.0
            edges = [low + (high - low) * place / self.bins for place in inner]
        else:
            wanted = {f"q{p}": column.quantile(p / self.bins, "linear") for p in inner}
            edges = [value for value in statistics(frame, wanted).values() if value is not None]
        return msgspec.structs.replace(self, edges=tuple(sorted(set(edges))))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the number of the interval, from 0 on."""
        column = nw.col(self.column)
        number: nw.Expr = nw.when(~column.is_null()).then(nw.lit(0))
        for edge in self.edges:
            number = number + (column >= edge).cast(nw.Int64)
        return frame.with_columns(number.cast(nw.Int64).alias(self.column))

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        return f"bins of {self.column} at {', '.join(f'{edge:.4g}' for edge in self.edges)}"
