"""Front: a fitted recipe in front of a model, for training rows, other tables and records."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import Columns, booleans, columns_of, dates, numbers, texts
from lepton_ai.data.recipes.clean import DropColumns
from lepton_ai.data.recipes.engines import computing
from lepton_ai.data.recipes.join import Looked
from lepton_ai.data.recipes.normalise import Tidy
from lepton_ai.data.recipes.recipe import Recipe
from lepton_ai.data.recipes.step import ROW, Step, hiding

__all__ = ["Front", "Kind"]

Kind = Literal["number", "boolean", "text", "date", "time"]


class Front(Struct, frozen=True, dict=True):
    """A recipe fitted on training rows, with what it expects of records.

    Attributes:
        recipe: fitted; its steps that change rows act in training only.
        kinds: of the columns that come in, in order.
        optional: columns that a record may lack: nothing looks at them.
    """

    recipe: Recipe
    kinds: dict[str, Kind]
    optional: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, recipe: Recipe, columns: Columns, schema: Mapping[str, Any], target: pl.Series
    ) -> tuple[Self, pl.DataFrame, NDArray[np.int64]]:
        """Fit a recipe on training rows.

        Args:
            columns: the training rows, without the target.
            schema: the Polars types of these columns.
            target: the target, which steps such as `TargetEncode` may look at.

        Returns:
            The front, the columns after the recipe, and which training rows are left.

        Raises:
            InvalidInput: a step cannot stand in front of a model; the message says why.
        """
        for place, step in enumerate(recipe.steps):
            if not step.alone:
                raise InvalidInput(
                    f"step {place + 1}, {type(step).__name__}, looks at rows around a row, which "
                    "the record of a request has not: run that part first, recipe.run(table, "
                    "name=...), and train on the result"
                )
        kinds = {name: _kind(schema[name]) for name in columns}
        front = cls(Recipe(recipe.steps), kinds)
        held = target.name
        frame = front.frame(columns).with_columns(target, pl.Series(ROW, range(len(target))))
        with hiding([held, ROW]):
            fitted, done = front.recipe.fit_apply(frame)
        steps = [step.carried() if isinstance(step, Looked) else step for step in fitted.steps]
        front = msgspec.structs.replace(
            front, recipe=msgspec.structs.replace(fitted, steps=tuple(steps))
        )
        if not done.height:
            raise InvalidInput(f"no training row is left after the recipe:\n{fitted}")
        done = done.sort(ROW)
        left = done[ROW].to_numpy().astype(np.int64)
        done = done.drop(held, ROW, strict=False)
        front._check(done)
        return front, done, left

    def _check(self, done: pl.DataFrame) -> None:
        """Make sure that a record without the target comes to the columns of training."""
        empty = {name: np.array([None], dtype=object) for name in self.kinds}
        try:
            served = self.recipe.apply(self.frame(empty), serving=True)
        except InvalidInput as error:
            raise InvalidInput(
                f"in front of a model the recipe has to do without the target: {error}"
            ) from error
        if served.columns != done.columns:
            raise InvalidInput(
                f"a record comes to the columns {served.columns}, training rows to {done.columns}"
            )

    def asking(self, used: Sequence[str]) -> Self:
        """Return the front that asks for no column which neither a step nor the model reads.

        Args:
            used: the columns that the model's encoding reads.
        """
        reads: set[str] = set()
        for step in self.recipe.steps:
            looked = _needs(step)
            if looked is None:
                return self
            reads |= looked
        spare = tuple(name for name in self.kinds if name not in {*used, *reads})
        return msgspec.structs.replace(self, optional=spare)

    def apply(self, data: Any) -> dict[str, NDArray[Any]]:
        """Return the columns that the model's encoding reads, a row for each record.

        Args:
            data: a frame, a mapping of columns, or a list of records.

        Raises:
            InvalidInput: a column is missing, unknown or of another kind.
        """
        frame = self.frame(self._columns(data))
        rows = frame.height
        if rows == 1:
            # A row by itself is computed as a scalar, which may round otherwise than a column.
            frame = pl.concat([frame, frame.clear(1)], rechunk=True)
        if self._plan is not None:
            done = self._plan.run(frame)
        else:
            done = self.recipe.apply(frame, serving=True)
        if done.height != frame.height:
            raise InvalidInput(f"the recipe made {done.height} rows of {frame.height} records")
        return _arrays(done.head(rows))

    @cached_property
    def _plan(self) -> "_Plan | None":
        """The steps planned once: planning takes longer than a few rows."""
        if not all(step.rows or step.plans for step in self.recipe.steps):
            return None
        empty: dict[str, list[Any]] = {name: [] for name in self.kinds}
        return _Plan(self.recipe, self.frame(empty).schema)

    def _columns(self, data: Any) -> Mapping[str, Any]:
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            for record in data:
                if not isinstance(record, Mapping):
                    raise InvalidInput(
                        "a record is a mapping from column name to value; got "
                        f"{type(record).__name__}"
                    )
                self._same(record)
            return {name: [record.get(name) for record in data] for name in self.kinds}
        columns = columns_of(data)
        self._same(columns)
        return columns

    def _same(self, names: Mapping[str, Any]) -> None:
        if names.keys() == self.kinds.keys():
            return
        missing = [n for n in self.kinds if n not in names and n not in self.optional]
        unknown = [n for n in names if n not in self.kinds]
        if missing or unknown:
            said = ([f"missing: {missing}"] if missing else []) + (
                [f"unknown: {unknown}"] if unknown else []
            )
            raise InvalidInput(
                f"the columns do not fit; {'; '.join(said)}. Expected {[*self.kinds]}; a value "
                "that is not known is given as null"
            )

    def frame(self, columns: Mapping[str, Any]) -> pl.DataFrame:
        """Return columns in the types that the recipe was fitted on."""
        rows = len(next(iter(columns.values())))
        return pl.DataFrame(
            [
                _series(name, kind, columns[name] if name in columns else [None] * rows)
                for name, kind in self.kinds.items()
            ]
        )


class _Plan:
    """A recipe's lazy plan over whichever rows there are when it runs."""

    def __init__(self, recipe: Recipe, schema: pl.Schema) -> None:
        self._lock = threading.Lock()
        self._rows = pl.DataFrame(schema=schema)
        source = register_io_source(self._source, schema=schema, is_pure=False)
        self._lazy: pl.LazyFrame = recipe.apply(source, serving=True)

    def _source(
        self, wanted: list[str] | None, filtered: Any, limit: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        rows = self._rows if wanted is None else self._rows.select(wanted)
        rows = rows if filtered is None else rows.filter(filtered)
        yield rows if limit is None else rows.head(limit)

    def run(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return these rows after the recipe."""
        # The engine may read in a thread of its own, so the rows are no thread's.
        with self._lock:
            self._rows = rows
            # Not in portions, one of which might be a single row.
            with computing():
                return self._lazy.collect(engine="in-memory")


def _arrays(frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """Return columns as an encoding reads them; numbers by the short way."""
    quick = {c.name: c.cast(pl.Float64).to_numpy() for c in frame if c.dtype.is_numeric()}
    rest = columns_of(frame.drop(quick)) if len(quick) < frame.width else {}
    return {name: quick[name] if name in quick else rest[name] for name in frame.columns}


def _needs(step: Step) -> set[str] | None:
    """Return the columns that a step looks at when it serves."""
    # What a step does to a column by itself, or leaves out, needs no value.
    if step.rows or isinstance(step, DropColumns | Tidy):
        return set()
    return step.reads()


def _kind(kind: Any) -> Kind:
    if kind.is_numeric():
        return "number"
    if kind == pl.Boolean:
        return "boolean"
    if kind == pl.Date:
        return "date"
    return "time" if kind == pl.Datetime else "text"


def _series(name: str, kind: Kind, values: Any) -> pl.Series:
    if kind == "text":
        return pl.Series(name, texts(values), dtype=pl.String)
    if kind == "number":
        found = pl.Series(name, numbers(name, values), dtype=pl.Float64, nan_to_null=True)
        return found.fill_nan(None)
    if kind == "boolean":
        known = booleans(name, values)
        return pl.Series(name, [None if math.isnan(v) else bool(v) for v in known], pl.Boolean)
    days = dates(name, values)
    moments = [None if math.isnan(day) else round(day * 86_400e6) for day in days]
    found = pl.Series(name, moments, dtype=pl.Int64).cast(pl.Datetime("us"))
    return found.cast(pl.Date) if kind == "date" else found
