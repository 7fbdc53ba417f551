"""Step: what every step of a recipe is, and how statistics are learned from any engine's frame."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Self

import narwhals as nw
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "ROW",
    "Frame",
    "Step",
    "all_but_hidden",
    "grouped",
    "hidden",
    "hiding",
    "numeric",
    "present",
    "statistics",
    "textual",
    "with_columns",
]

Frame = nw.LazyFrame[Any]

# Numbers the training rows of a model, to find their labels again.
ROW = "_lepton_training_row"

_HIDDEN: ContextVar[frozenset[str]] = ContextVar("hidden", default=frozenset())


class Step(Struct, frozen=True, kw_only=True, tag_field="step", omit_defaults=True):
    """One step: plain data, with what it learned once it is fitted.

    Attributes:
        rows: whether it adds, removes or merges rows. In front of a model such steps act on
            training rows only: whoever asks for a prediction gets an answer for each record.
        learns: whether `fit` learns something.
        alone: whether a row can be treated without those around it, as a record of a request.
        plans: whether a lazy frame of Polars stays one, with nothing computed yet.
    """

    rows: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    alone: ClassVar[bool] = True
    plans: ClassVar[bool] = True

    def fit(self, frame: Frame) -> Self:
        """Return the step with what it learns from training rows."""
        asked = self.asks(frame)
        return self if asked is None else self.told(statistics(frame, asked))

    def asks(self, frame: Frame) -> dict[str, nw.Expr] | None:
        """Return the aggregates that the step learns from; None: it learns in a way of its own.

        A recipe asks for those of several steps in one pass over the rows.
        """
        return None

    def told(self, found: Mapping[str, Any]) -> Self:
        """Return the step fitted by the values of what it asked for."""
        return self

    def apply(self, frame: Frame) -> Frame:
        """Return the frame after the step."""
        raise NotImplementedError

    def explain(self) -> str:
        """Return a sentence on what the step does, and what it learned."""
        raise NotImplementedError

    def reads(self) -> set[str] | None:
        """Return the columns that the step looks at; None: any."""
        return None

    def writes(self) -> set[str] | None:
        """Return the columns that the step changes or adds; None: any."""
        return None

    def narrows(self) -> bool:
        """Tell whether nothing but what the step reads is left after it."""
        return False


@contextmanager
def hiding(names: Sequence[str]) -> Iterator[None]:
    """Keep columns, such as the target, from steps that take all columns of a kind."""
    token = _HIDDEN.set(frozenset(names))
    try:
        yield
    finally:
        _HIDDEN.reset(token)


def hidden() -> frozenset[str]:
    """Return the columns that are kept from steps now."""
    return _HIDDEN.get()


def all_but_hidden(frame: Frame) -> list[str]:
    """Return the names of the columns that a step may take unasked."""
    return [name for name in frame.collect_schema().names() if name not in _HIDDEN.get()]


def present(frame: Frame, wanted: Sequence[str], what: str) -> list[str]:
    """Return the wanted columns, once it is sure that they are there.

    Raises:
        InvalidInput: one is not.
    """
    names = frame.collect_schema().names()
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InvalidInput(f"{what} names columns {missing} that are not there; there are {names}")
    return list(wanted)


def numeric(frame: Frame, wanted: Sequence[str], what: str) -> list[str]:
    """Return the wanted columns, or all columns of numbers where none is named."""
    return _of_kind(frame, wanted, what, lambda kind: kind.is_numeric(), "numbers")


def textual(frame: Frame, wanted: Sequence[str], what: str) -> list[str]:
    """Return the wanted columns, or all columns of text where none is named."""
    return _of_kind(frame, wanted, what, lambda kind: kind == nw.String, "text")


def _of_kind(frame: Frame, wanted: Sequence[str], what: str, fits: Any, kind: str) -> list[str]:
    schema = frame.collect_schema()
    if not wanted:
        return [name for name in all_but_hidden(frame) if fits(schema[name])]
    names = present(frame, wanted, what)
    odd = {name: str(schema[name]) for name in names if not fits(schema[name])}
    if odd:
        raise InvalidInput(f"{what} needs columns of {kind}; these are not: {odd}")
    return names


def with_columns(frame: Frame, *columns: nw.Expr) -> Frame:
    """Return the frame with columns added or replaced; as it is where there are none."""
    return frame.with_columns(*columns) if columns else frame


def grouped(frame: Frame, by: Sequence[str], figures: Sequence[nw.Expr]) -> Frame:
    """Return figures of each group, a row a group, in no particular order."""
    if not any("." in name for name in by):
        return frame.group_by(*by).agg(*figures)
    # Some engines would take what stands before the dot for a table.
    own = {name: f"_lepton_by{place}" for place, name in enumerate(by)}
    keyed = frame.with_columns(nw.col(name).alias(new) for name, new in own.items())
    done = keyed.group_by(*own.values()).agg(*figures)
    return done.rename({new: name for name, new in own.items()})


def statistics(frame: Frame, wanted: Mapping[str, nw.Expr]) -> dict[str, Any]:
    """Return aggregates of a frame by name, all in one pass."""
    if not wanted:
        return {}
    # Names of our own: a name may not be that of a column on every engine.
    expressions = [wish.alias(f"_{place}") for place, wish in enumerate(wanted.values())]
    row = frame.select(*expressions).collect("polars").rows()[0]
    return dict(zip(wanted, map(_plain, row), strict=True))


def _plain(value: Any) -> Any:
    """Return a number as JSON has it: engines answer with decimals and numbers of their own.

    A figure too large for a number is none: some engines say infinite, others not a number.
    """
    from decimal import Decimal

    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
