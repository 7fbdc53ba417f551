"""Aggregation: many rows become one, by group and by calendar."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import AGGREGATES, aggregates, columns_in, expression
from lepton_ai.data.recipes.calendars import begun
from lepton_ai.data.recipes.engines import on_spark, without_nan
from lepton_ai.data.recipes.figures import taken_apart
from lepton_ai.data.recipes.rolled import Over, Window, rolled
from lepton_ai.data.recipes.step import Frame, Step, grouped, present, with_columns

__all__ = ["Aggregate", "Calendar"]


class Aggregate(Step, frozen=True, kw_only=True, tag="aggregate"):
    """One row a group.

    Attributes:
        by: the columns that make a group; none: all rows are one.
        values: a formula for each new column: ``sum(x)``, ``mean(x)``, ``min``, ``max``, ``std``,
            ``median``, ``quantile(x, 0.9)``, ``count(x)``, ``n_unique(x)``, ``rows()``,
            ``first(x, by=time)``, ``last(x, by=time)``, or of several: ``sum(a) / sum(b)``.
    """

    rows: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    by: tuple[str, ...] = ()
    values: dict[str, str]

    def apply(self, frame: Frame) -> Frame:
        """Return one row a group, in no particular order."""
        present(frame, self.by, "Aggregate")
        for name, text in self.values.items():
            present(frame, sorted(columns_in(text)), f"Aggregate({name}={text!r})")
            if not aggregates(text):
                raise InvalidInput(
                    f"{name} = {text} is no figure of many rows; write sum({text}), or another "
                    f"of {', '.join(sorted(AGGREGATES))}"
                )
        twice = sorted(set(self.by) & self.values.keys())
        if twice or not self.values:
            raise InvalidInput(f"Aggregate needs values whose names are not those of by: {twice}")
        values = self.values
        if on_spark(frame):
            frame, values = _ordered(frame, self.by, values)
        schema = frame.collect_schema()
        wanted = [expression(text, schema).alias(name) for name, text in values.items()]
        done = grouped(frame, self.by, wanted) if self.by else frame.select(*wanted)
        return without_nan(_in_64_bits(done, list(self.values)), list(self.values))

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.by, *(name for text in self.values.values() for name in columns_in(text))}

    def narrows(self) -> bool:
        """Tell that nothing else is left."""
        return True

    def explain(self) -> str:
        """Return a sentence on the step."""
        values = ", ".join(f"{name} = {text}" for name, text in self.values.items())
        return f"by {', '.join(self.by) or 'all rows'}: {values}"


def _in_64_bits(frame: Frame, names: Sequence[str]) -> Frame:
    """Return the frame with sums of whole numbers as other engines have them than DuckDB."""
    schema = frame.collect_schema()
    large = [name for name in names if schema[name] == nw.Int128]
    return with_columns(frame, *(nw.col(name).cast(nw.Int64) for name in large))


def _ordered(
    frame: Frame, by: Sequence[str], values: Mapping[str, str]
) -> tuple[Frame, dict[str, str]]:
    """Return the frame with each group's first and last as columns, and formulas of them.

    Spark has no first and last of a group in an order, but of a window.
    """
    changed: dict[str, str] = {}
    for number, (name, text) in enumerate(values.items()):
        figures, rest = taken_apart(text, f"_lepton_figure{number}_")
        for place, one in figures.items():
            call = one.call()
            if one.order is not None:
                value = expression(one.formula, frame.collect_schema())
                frame = frame.with_columns(value.alias(place))
                window = Window(by, [one.order])
                frame = rolled(frame, {f"{place}_found": Over(one.function, place)}, window)
                call = f"max(col('{place}_found'))"
            rest = rest.replace(f"col('{place}')", call)
        changed[name] = rest
    return frame, changed


class Calendar(Step, frozen=True, kw_only=True, tag="calendar"):
    """One row a span of time, and a group.

    Attributes:
        time: a column of dates or times; it becomes the beginning of the span.
        every: such as ``15m``, ``1h``, ``1d``, ``1w`` (from Mondays), ``1mo``, ``1q``, ``1y``.
        values: as in `Aggregate`.
    """

    rows: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    time: str
    every: str
    values: dict[str, str]
    by: tuple[str, ...] = ()

    def apply(self, frame: Frame) -> Frame:
        """Return one row a span."""
        present(frame, [self.time, *self.by], "Calendar")
        if not frame.collect_schema()[self.time].is_temporal():
            raise InvalidInput(f"Calendar goes by dates or times; {self.time!r} holds none")
        # The time itself stays, so that first and last within a span can go by it.
        frame = begun(frame, self.time, self.every, "_lepton_span")
        spans = Aggregate(by=("_lepton_span", *self.by), values=self.values).apply(frame)
        return spans.rename({"_lepton_span": self.time})

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {self.time} | Aggregate(by=self.by, values=self.values).reads()

    def narrows(self) -> bool:
        """Tell that nothing else is left."""
        return True

    def explain(self) -> str:
        """Return a sentence on the step."""
        values = ", ".join(f"{name} = {text}" for name, text in self.values.items())
        return f"every {self.every} of {self.time}: {values}"
