"""Recipe: a list of steps as data, fitted on training rows and then applied to any others."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import msgspec
import narwhals as nw
from msgspec import Struct

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.recipes.aggregate import Aggregate, Calendar
from lepton_ai.data.recipes.clean import (
    Deduplicate,
    DropColumns,
    DropMissing,
    FuzzyDuplicates,
    Invalid,
)
from lepton_ai.data.recipes.dates import DateParts, ParseDates
from lepton_ai.data.recipes.derive import Derive, Filter, Rename, Select
from lepton_ai.data.recipes.encode import Bin, HashEncode, OneHot, Ordinal, TargetEncode
from lepton_ai.data.recipes.impute import Impute
from lepton_ai.data.recipes.normalise import Rare, Tidy, Units
from lepton_ai.data.recipes.outliers import Outliers
from lepton_ai.data.recipes.scale import Scale
from lepton_ai.data.recipes.step import Frame, Step
from lepton_ai.data.recipes.text import Embed, Tfidf
from lepton_ai.data.recipes.windows import Lag, Rolling

__all__ = ["AnyStep", "Recipe"]

AnyStep = (
    Aggregate | Bin | Calendar | DateParts | Deduplicate | Derive | DropColumns | DropMissing
    | Embed | Filter | FuzzyDuplicates | HashEncode | Impute | Invalid | Lag | OneHot | Ordinal
    | Outliers | ParseDates | Rare | Rename | Rolling | Scale | Select | TargetEncode | Tfidf
    | Tidy | Units
)  # fmt: skip


class Recipe(Struct, frozen=True, omit_defaults=True):
    """Steps in order; the same ones, fitted, give the same result on every table engine.

    Attributes:
        steps: what is done, first to last.
        reasons: why each step was proposed, for the first ones at least.
        fitted: whether the steps have learned what they need.
    """

    steps: tuple[AnyStep, ...]
    reasons: tuple[str, ...] = ()
    fitted: bool = False

    @classmethod
    def of(cls, *steps: Any) -> Self:
        """Return a recipe of these steps."""
        return cls(tuple(steps))

    def fit(self, data: Any) -> Self:
        """Return the recipe with what its steps learn from training rows.

        Args:
            data: a `Table`, or a frame of Polars (lazy or not), pandas, Arrow, DuckDB or Spark.

        Raises:
            InvalidInput: a step names columns that are not there, or that hold something else.
        """
        return self.fit_apply(data)[0]

    def fit_apply(self, data: Any) -> tuple[Self, Any]:
        """Fit, and return the fitted recipe and the training rows after it.

        The rows come back in the kind of frame that they came in.
        """
        frame, back = _lazy(data)
        fitted: list[AnyStep] = []
        moved = False
        for place, step in enumerate(self.steps):
            if step.learns and moved and any(later.learns for later in self.steps[place:]):
                # What was asked for so far is done once, not again for each thing learned.
                frame, moved = _settled(frame), False
            try:
                done = step.fit(frame)
                if isinstance(done, TargetEncode):
                    frame = done.cross_fit(frame)
                else:
                    frame = done.apply(frame)
            except (TypeError, AttributeError) as error:
                raise InvalidInput(f"step {place + 1}, {_kind(step)}: {error}") from error
            moved = moved or step.rows
            fitted.append(done)
        return msgspec.structs.replace(self, steps=tuple(fitted), fitted=True), back(frame)

    def apply(self, data: Any, *, serving: bool = False) -> Any:
        """Return the rows after all steps, in the kind of frame that they came in.

        Args:
            data: as in `fit`.
            serving: leave out the steps that change which rows there are.

        Raises:
            InvalidInput: the recipe learns something and was not fitted.
        """
        if not self.fitted and any(step.learns for step in self.steps):
            raise InvalidInput("the recipe was not fitted; call fit with training rows first")
        frame, back = _lazy(data)
        for step in self.steps:
            if not (serving and step.rows):
                frame = step.apply(frame)
        return back(frame)

    def then(self, *steps: Any) -> Self:
        """Return the recipe with more steps at the end; it is to be fitted again."""
        return type(self)((*self.steps, *steps), self.reasons)

    def without(self, place: int) -> Self:
        """Return the recipe without the step at a place, counted from 0."""
        kept = [step for at, step in enumerate(self.steps) if at != place]
        reasons = tuple(why for at, why in enumerate(self.reasons) if at != place)
        return type(self)(tuple(kept), reasons)

    def to_json(self) -> bytes:
        """Return the recipe as JSON; equal recipes give equal bytes."""
        # Once around: a whole number given for a fraction is then written as one.
        same = msgspec.json.decode(msgspec.json.encode(self), type=type(self))
        return msgspec.json.encode(same, order="deterministic")

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a recipe back.

        Raises:
            Corrupt: the bytes are no recipe.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Corrupt(f"not a recipe: {error}") from error

    def picture(self, path: Any) -> None:
        """Draw the recipe as a flow, into an SVG file."""
        from pathlib import Path

        from lepton_ai.data.recipes.picture import draw

        Path(path).write_text(draw(self), encoding="utf-8")

    def _repr_svg_(self) -> str:
        from lepton_ai.data.recipes.picture import draw

        return draw(self)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[AnyStep]:
        return iter(self.steps)

    def __str__(self) -> str:
        lines = [f"Recipe of {len(self.steps)} steps{', fitted' if self.fitted else ''}"]
        for place, step in enumerate(self.steps):
            mark = "  (training rows only)" if step.rows else ""
            lines.append(f"{place + 1:3}. {step.explain()}{mark}")
            if place < len(self.reasons):
                lines.append(f"     because {self.reasons[place]}")
        return "\n".join(lines)


def _kind(step: Step) -> str:
    return type(step).__name__


def _settled(frame: Frame) -> Frame:
    """Compute what a lazy Polars frame stands for so far; other engines keep their own plan."""
    if frame.implementation.is_polars():
        return frame.collect("polars").lazy()
    return frame


def _lazy(data: Any) -> tuple[Frame, Any]:
    """Return data as a lazy frame, and what brings a lazy frame back to the kind of the data."""
    from lepton_ai.data.table import Table

    if isinstance(data, Table):
        return nw.from_native(data.scan()), lambda frame: frame.to_native().collect()
    if isinstance(data, Sequence | dict):
        from lepton_ai.data.frames import frame_of

        data = frame_of(data)
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise InvalidInput(
            "a recipe works on a Table or a frame of Polars, pandas, Arrow, DuckDB or Spark; got "
            f"{type(data).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        return frame, nw.to_native
    kind = frame.implementation
    if kind.is_polars():
        return frame.lazy(), lambda result: result.collect("polars").to_native()

    def back(result: Frame) -> Any:
        whole = result.collect("polars")
        return whole.to_pandas() if kind.is_pandas() else whole.to_arrow()

    # Other frames of memory are computed by Polars: it has every step, they do not.
    return nw.from_native(frame.to_polars().lazy()), back
