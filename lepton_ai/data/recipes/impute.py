"""Imputation: gaps are filled."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes import models
from lepton_ai.data.recipes.engines import like
from lepton_ai.data.recipes.step import (
    Frame,
    Step,
    all_but_hidden,
    grouped,
    numeric,
    present,
    statistics,
    with_columns,
)

__all__ = ["Impute"]

_MODELS = ("model", "neighbours")


class Impute(Step, frozen=True, kw_only=True, tag="impute"):
    """Fill gaps, by what training rows show.

    Attributes:
        columns: which; all columns of numbers unless named.
        method: ``constant``, ``mean``, ``median``, ``mode`` (of equally frequent values the
            least), ``forward`` (the value before, in an order and within groups), ``model`` (a
            ridge regression on the other columns) or ``neighbours`` (the mean of the nearest
            training rows, which the recipe then holds; computed in memory).
        value: for ``constant``.
        order: for ``forward``; so is ``by``, the columns within whose equal values it looks.
        predictors: for ``model`` and ``neighbours``, the columns of numbers to go by; unless
            named, those that are imputed.
        nearest: for ``neighbours``, how many.
        flag: add a column ``<name>_missing`` that says where a gap was.
        values: what was learned, by column.
        weights: for ``model``: means and weights of the predictors, by column.
        examples: for ``neighbours``: training rows, at most 1,000, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    method: Literal["constant", "mean", "median", "mode", "forward", "model", "neighbours"] = (
        "median"
    )
    value: str | bool | int | float | None = None
    order: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    predictors: tuple[str, ...] = ()
    nearest: int = 5
    flag: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    examples: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def alone(self) -> bool:  # type: ignore[override]
        """Whether a record can be treated by itself."""
        return self.method != "forward"

    @property
    def plans(self) -> bool:  # type: ignore[override]
        """Whether a lazy frame stays one."""
        return self.method != "neighbours"

    def _columns(self, frame: Frame) -> list[str]:
        if self.method in ("mean", "median", *_MODELS):
            return numeric(frame, self.columns, f"Impute(method={self.method!r})")
        if self.method == "forward" and not self.order:
            raise InvalidInput("Impute(method='forward') needs an order: order=('time',)")
        present(frame, [*self.order, *self.by], "Impute")
        return present(frame, self.columns, "Impute") or [
            name for name in all_but_hidden(frame) if name not in (*self.order, *self.by)
        ]

    def asks(self, frame: Frame) -> dict[str, nw.Expr] | None:
        """Ask for means or medians; the other methods learn in their own ways."""
        if self.method not in ("mean", "median"):
            return None
        names = self._columns(frame)
        median = self.method == "median"
        return {n: nw.col(n).median() if median else nw.col(n).mean() for n in names}

    def told(self, found: Mapping[str, Any]) -> Self:
        """Learn what fills the gaps."""
        empty = [name for name, value in found.items() if value is None]
        if empty:
            raise InvalidInput(
                f"the columns {empty} have no value at all to learn from; drop them with "
                "DropColumns"
            )
        return msgspec.structs.replace(self, values=dict(found))

    def fit(self, frame: Frame) -> Self:
        """Learn what fills the gaps."""
        names = self._columns(frame)
        if self.method == "constant":
            if self.value is None:
                raise InvalidInput("Impute(method='constant') needs a value: value=0")
            return msgspec.structs.replace(self, values=dict.fromkeys(names, self.value))
        if self.method == "forward":
            return msgspec.structs.replace(self, values=dict.fromkeys(names))
        if self.method == "mode":
            return msgspec.structs.replace(self, values={n: _mode(frame, n) for n in names})
        if self.method not in _MODELS:
            return super().fit(frame)
        others = numeric(frame, self.predictors, "Impute(predictors=...)")
        every = [*dict.fromkeys([*names, *(others if self.predictors else [])])]
        means = {name: nw.col(name).cast(nw.Float64).mean() for name in every}
        done = self.told(statistics(frame, means))
        sample = models.sample(frame, every, 1_000 if self.method == "neighbours" else 100_000)
        if self.method == "neighbours":
            return msgspec.structs.replace(done, examples=models.kept(sample, every))
        predictors = others if self.predictors else every
        weights = models.ridge(sample, every, names, predictors, done.values)
        return msgspec.structs.replace(done, weights=weights)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame without those gaps."""
        names = present(frame, list(self.values), "Impute")
        wanted = [n for n in names if not self.columns or n in self.columns]
        if self.flag:
            frame = with_columns(
                frame, *(nw.col(name).is_null().alias(f"{name}_missing") for name in wanted)
            )
        if self.method == "neighbours":
            whole = frame.collect("polars").to_native()
            return like(frame, models.by_neighbours(whole, wanted, self.examples, self.nearest))
        schema = frame.collect_schema()
        return with_columns(frame, *(self._filled(n, schema[n]).alias(n) for n in wanted))

    def _filled(self, name: str, kind: Any) -> nw.Expr:
        column = nw.col(name)
        if self.method == "forward":
            filled = column.fill_null(strategy="forward")
            return filled.over(*self.by, order_by=list(self.order))
        value = self.values[name]
        if self.method == "model":
            return nw.coalesce(column.cast(nw.Float64), self._guess(name, float(value)))
        if value is None:
            return column
        if kind.is_temporal() and isinstance(value, str):
            value = _moment(name, kind, value)
            return nw.coalesce(column, nw.lit(value).cast(kind))
        _check(name, kind, value)
        if kind.is_integer() and not isinstance(value, bool) and not _holds(kind, value):
            column = column.cast(nw.Float64)
            return nw.coalesce(column, nw.lit(float(value)))
        if kind.is_numeric() and not isinstance(value, bool):
            return nw.coalesce(column, nw.lit(value, dtype=kind))
        return nw.coalesce(column, nw.lit(value))

    def _guess(self, name: str, mean: float) -> nw.Expr:
        guess: nw.Expr = nw.lit(mean)
        for other, (centre, weight) in self.weights[name].items():
            known = nw.coalesce(nw.col(other).cast(nw.Float64), nw.lit(centre))
            guess = guess + (known - centre) * weight
        return guess

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at."""
        if not self.columns and not self.values:
            return None
        named = {*self.columns, *self.values}
        return {*named, *self.order, *self.by, *self.predictors}

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes and adds."""
        if not self.columns:
            return None
        return {*self.columns, *(f"{name}_missing" for name in self.columns if self.flag)}

    def explain(self) -> str:
        """Return a sentence on the step and what it learned."""
        names: Sequence[str] = self.columns or [*self.values]
        learned = ", ".join(f"{name} by {_short(self.values.get(name))}" for name in names)
        if not self.values or self.method in ("forward", *_MODELS):
            learned = ", ".join(names) or "all columns of numbers"
        more = f", from {', '.join(self.predictors)}" if self.predictors else ""
        return f"fill gaps ({self.method}): {learned}{more}"


def _moment(name: str, kind: Any, text: str) -> Any:
    """Return a date or time as a recipe has it: as text, which is all that is kept of it."""
    of: dict[Any, Any] = {nw.Date: dt.date, nw.Datetime: dt.datetime, nw.Time: dt.time}
    read = next((read for known, read in of.items() if kind == known), None)
    try:
        if read is not None:
            return read.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidInput(
        f"column {name!r} is {kind}; its gaps cannot be filled with {text!r}, write such as "
        "2026-01-31 or 2026-01-31T12:00"
    )


def _check(name: str, kind: Any, value: Any) -> None:
    text = isinstance(value, str)
    if text != (kind == nw.String) and (text or kind.is_numeric() or kind == nw.String):
        raise InvalidInput(
            f"column {name!r} is {kind}; its gaps cannot be filled with {value!r}, which is "
            f"{'text' if text else 'no text'}"
        )


def _holds(kind: Any, value: float) -> bool:
    """Tell whether a type of whole numbers, such as Int8, has a number."""
    bits = int(re.sub("[^0-9]", "", str(kind)))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if kind.is_signed_integer() else (0, 2**bits)
    return value % 1 == 0 and low <= value < high


def _mode(frame: Frame, name: str) -> Any:
    """Return the most frequent value, of equally frequent ones the least."""
    counts = (
        grouped(frame.filter(~nw.col(name).is_null()), [name], [nw.len().alias("_lepton_count")])
        .sort("_lepton_count", name, descending=[True, False])
        .head(1)
        .collect("polars")
    )
    value = counts[name][0] if len(counts) else None
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
