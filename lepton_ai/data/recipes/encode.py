"""Encoding: categories become numbers, numbers become bins."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, numeric, present, textual, with_columns

__all__ = ["Bin", "HashEncode", "OneHot", "Ordinal"]


def _categories(frame: Frame, name: str) -> tuple[Any, ...]:
    found = frame.select(name).unique(keep="any").collect("polars")[name].to_list()
    return tuple(sorted(value for value in found if value is not None))


def _coded(name: str, values: Sequence[Any], codes: Sequence[Any], kind: Any) -> nw.Expr:
    """Return a column with codes in the place of values, empty where there is none."""
    if not values:
        return nw.lit(None, dtype=kind).alias(name)
    looked = nw.col(name).replace_strict(list(values), list(codes), default=None, return_dtype=kind)
    return looked.alias(name)


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
        return with_columns(frame, *columns).drop(list(self.categories))

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.categories} or None

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        learned = ", ".join(f"{n} ({len(v)})" for n, v in self.categories.items())
        what = learned or ", ".join(self.columns) or "all text"
        return f"a column of 0 and 1 for each category of {what}"


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
        return with_columns(
            frame,
            *(_coded(n, values, range(len(values)), nw.Int64) for n, values in self.codes.items()),
        )

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order, *self.codes} or None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes."""
        return self.reads()

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = ", ".join(self.codes or self.order or self.columns) or "all text"
        return f"number the categories of {what}"


class HashEncode(Step, frozen=True, kw_only=True, tag="hash_encode"):
    """Number categories by a hash, into so many buckets; nothing is learned, collisions happen.

    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009. The
    categories that there are take one pass to look up.
    """

    plans: ClassVar[bool] = False
    columns: tuple[str, ...]
    buckets: int = 256

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with bucket numbers."""
        if self.buckets < 2:
            raise InvalidInput(f"HashEncode needs 2 buckets or more; got {self.buckets}")
        columns = []
        for name in textual(frame, self.columns, "HashEncode"):
            values = _categories(frame, name)
            buckets = [self._bucket(value) for value in values]
            columns.append(_coded(name, values, buckets, nw.Int64))
        return with_columns(frame, *columns)

    def _bucket(self, value: str) -> int:
        digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.buckets

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return set(self.columns)

    def writes(self) -> set[str]:
        """Return the columns that the step changes."""
        return set(self.columns)

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

    def asks(self, frame: Frame) -> dict[str, nw.Expr]:
        """Ask for the ends, or for quantiles."""
        numeric(frame, [self.column], "Bin")
        column = nw.col(self.column).cast(nw.Float64)
        if self.method == "edges" and not self.edges:
            raise InvalidInput("Bin(method='edges') needs edges: edges=(18, 65)")
        if self.method != "edges" and self.bins < 2:
            raise InvalidInput(f"Bin needs 2 bins or more; got {self.bins}")
        if self.method == "width":
            return {"low": column.min(), "high": column.max()}
        inner = range(1, self.bins) if self.method == "quantile" else ()
        return {str(p): column.quantile(p / self.bins, "linear") for p in inner}

    def told(self, found: Mapping[str, Any]) -> Self:
        """Learn the edges."""
        if self.method == "edges":
            return msgspec.structs.replace(self, edges=tuple(sorted(set(self.edges))))
        edges = [value for value in found.values() if value is not None]
        if self.method == "width" and edges:
            low, high = edges
            edges = [low + (high - low) * place / self.bins for place in range(1, self.bins)]
        return msgspec.structs.replace(self, edges=tuple(sorted(set(edges))))

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the number of the interval, from 0 on."""
        column = nw.col(self.column)
        number: nw.Expr = nw.when(~column.is_null()).then(nw.lit(0))
        for edge in self.edges:
            number = number + (column >= edge).cast(nw.Int64)
        return with_columns(frame, number.cast(nw.Int64).alias(self.column))

    def reads(self) -> set[str]:
        """Return the column that the step looks at."""
        return {self.column}

    def writes(self) -> set[str]:
        """Return the column that the step changes."""
        return {self.column}

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        if not self.edges:
            return f"{self.bins} bins of {self.column} by {self.method}"
        return f"bins of {self.column} at {', '.join(f'{edge:.4g}' for edge in self.edges)}"
