"""Step: what every step of a recipe is, and how statistics are learned from any engine's frame."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import narwhals as nw
from msgspec import Struct

from lepton_ai.core.errors import InvalidInput

__all__ = ["Frame", "Step", "numeric", "present", "statistics", "textual"]

Frame = nw.LazyFrame[Any]


class Step(Struct, frozen=True, kw_only=True, tag_field="step", omit_defaults=True):
    """One step: plain data, with what it learned once it is fitted.

    Attributes:
        rows: whether it adds, removes or merges rows. In front of a model such steps act on
            training rows only: whoever asks for a prediction gets an answer for each record.
        learns: whether `fit` learns something.
    """

    rows: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    def fit(self, frame: Frame) -> Self:
        """Return the step with what it learns from training rows."""
        return self

    def apply(self, frame: Frame) -> Frame:
        """Return the frame after the step."""
        raise NotImplementedError

    def explain(self) -> str:
        """Return a sentence on what the step does, and what it learned."""
        raise NotImplementedError


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
        return [name for name, dtype in schema.items() if fits(dtype)]
    names = present(frame, wanted, what)
    odd = {name: str(schema[name]) for name in names if not fits(schema[name])}
    if odd:
        raise InvalidInput(f"{what} needs columns of {kind}; these are not: {odd}")
    return names


def statistics(frame: Frame, wanted: Mapping[str, nw.Expr] | Iterable[nw.Expr]) -> dict[str, Any]:
    """Return aggregates of a frame, all in one pass."""
    if isinstance(wanted, Mapping):
        wanted = [expression.alias(name) for name, expression in wanted.items()]
    expressions = list(wanted)
    if not expressions:
        return {}
    row = frame.select(*expressions).collect("polars").rows(named=True)[0]
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Return a number as JSON has it: engines answer with decimals and numbers of their own."""
    from decimal import Decimal

    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
