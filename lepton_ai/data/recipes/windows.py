"""Windows: what came before a row, by group and in order."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import narwhals as nw
from msgspec import field

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.expression import columns_in, expression, wide
from lepton_ai.data.recipes.engines import without_nan
from lepton_ai.data.recipes.figures import taken_apart
from lepton_ai.data.recipes.rolled import Over, Window, refuse_unknown, rolled
from lepton_ai.data.recipes.spans import seconds
from lepton_ai.data.recipes.step import Frame, Step, numeric, present, with_columns

__all__ = ["Lag", "Rolling", "RollingTime"]

_MADE = "_lepton_figure"  # in front of columns that are gone again after the step

What = Literal["mean", "sum", "std", "var", "min", "max", "median", "count", "first", "last"]


class Lag(Step, frozen=True, kw_only=True, tag="lag"):
    """Add the values of earlier rows as columns ``<column>_lag<n>``; of later ones for n < 0.

    Attributes:
        order: the columns that say what is earlier.
        by: only rows that are equal in these look at each other.
        lags: how many rows before.
        change: add the difference to the earlier value instead, ``<column>_change<n>``.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...]
    order: tuple[str, ...]
    by: tuple[str, ...] = ()
    lags: tuple[int, ...] = (1,)
    change: bool = False

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the earlier values."""
        present(frame, [*self.columns, *self.order, *self.by], "Lag")
        if self.change:
            numeric(frame, self.columns, "Lag(change=True)")
        schema = frame.collect_schema()
        added = []
        for name in self.columns:
            now = nw.col(name).cast(wide(schema[name])) if self.change else nw.col(name)
            for lag in self.lags:
                before = now.shift(lag).over(*self.by, order_by=list(self.order))
                value = now - before if self.change else before
                added.append(value.alias(f"{name}_{'change' if self.change else 'lag'}{lag}"))
        return with_columns(frame, *added)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order, *self.by}

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = "change since" if self.change else "values of"
        lags = ", ".join(map(str, self.lags))
        return f"{what} {lags} rows before: {', '.join(self.columns)}{_by(self.by)}"


class Rolling(Step, frozen=True, kw_only=True, tag="rolling"):
    """Add figures over a row and those before it as ``<column>_<what><window>``.

    Rows that are equal in their order are in none that could be relied on.

    Attributes:
        columns: of numbers.
        order: the columns that say what is earlier.
        window: how many rows; the first rows of a group see what there is.
        by: only rows that are equal in these see each other.
        what: figures of each column.
        values: formulas for columns of their own, such as ``max(x) - min(x)``, ``quantile(x,
            0.9)``, ``sum(a) / sum(b)`` or ``x - first(x)``; a column outside of a figure is the
            row's own.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...] = ()
    order: tuple[str, ...]
    window: int
    by: tuple[str, ...] = ()
    what: tuple[What, ...] = ("mean",)
    values: dict[str, str] = field(default_factory=dict)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the windows."""
        present(frame, [*self.order, *self.by], "Rolling")
        if self.window < 2:
            raise InvalidInput(f"a window has at least 2 rows; got {self.window}")
        if not self.order:
            raise InvalidInput("Rolling needs an order: order=('time',)")
        titles = _titles(frame, self, str(self.window))
        return _with_figures(frame, titles, self.values, Window(self.by, self.order, self.window))

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order, *self.by, *_read(self.values)}

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{_said(self)} over {self.window} rows{_by(self.by)}"


class RollingTime(Step, frozen=True, kw_only=True, tag="rolling_time"):
    """Add figures over the time before a row, both ends in, as ``<column>_<what>_<window>``.

    Rows without a time get none.

    Attributes:
        columns: of numbers.
        time: a column of dates or times.
        window: such as ``30m``, ``2h``, ``7d``.
        by: only rows that are equal in these see each other.
        what: figures of each column.
        values: formulas for columns of their own, as in `Rolling`.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...] = ()
    time: str
    window: str
    by: tuple[str, ...] = ()
    what: tuple[What, ...] = ("mean",)
    values: dict[str, str] = field(default_factory=dict)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the windows."""
        present(frame, [self.time, *self.by], "RollingTime")
        if not frame.collect_schema()[self.time].is_temporal():
            raise InvalidInput(f"RollingTime goes by dates or times; {self.time!r} holds none")
        window = Window(self.by, (self.time,), span=seconds(self.window))
        return _with_figures(frame, _titles(frame, self, f"_{self.window}"), self.values, window)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, self.time, *self.by, *_read(self.values)}

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{_said(self)} over {self.window}{_by(self.by)}"


def _titles(frame: Frame, step: Rolling | RollingTime, suffix: str) -> dict[str, Over]:
    """Return the figures of columns by the names that they get."""
    name = type(step).__name__
    if not step.columns and not step.values:
        raise InvalidInput(f"{name} needs columns, or values such as {{'top': 'max(x)'}}")
    if step.columns:
        numeric(frame, step.columns, name)
    for text in step.values.values():
        present(frame, sorted(_read({"": text})), f"{name}({text!r})")
    titles = {
        f"{column}_{what}{suffix}": Over(what, column)
        for column in step.columns
        for what in step.what
    }
    twice = sorted(titles.keys() & step.values.keys())
    if twice:
        raise InvalidInput(f"{name} would give two columns one name: {twice}")
    return titles


def _with_figures(
    frame: Frame, titles: Mapping[str, Over], values: Mapping[str, str], window: Window
) -> Frame:
    """Return the frame with figures of columns, and with formulas over figures."""
    wanted, sources, formulas = dict(titles), dict[str, str](), dict[str, str]()
    for number, (name, text) in enumerate(values.items()):
        figures, formulas[name] = taken_apart(text, f"{_MADE}{number}_")
        refuse_unknown([one.function for one in figures.values()], text)
        for place, one in figures.items():
            if one.order is not None:
                raise InvalidInput(f"{text!r}: a window has its order; write {one.function}(x)")
            if one.formula:
                sources[f"{place}_of"] = one.formula
            # Of rows there is no column; any does.
            wanted[place] = Over(
                one.function, f"{place}_of" if one.formula else window.order[0], one.share
            )
    if sources:
        schema = frame.collect_schema()
        of = (expression(formula, schema).alias(name) for name, formula in sources.items())
        frame = without_nan(with_columns(frame, *of), list(sources))
    frame = rolled(frame, wanted, window)
    frame = without_nan(frame, [name for name, one in wanted.items() if one.function != "rows"])
    if formulas:
        schema = frame.collect_schema()
        made = (expression(formula, schema).alias(name) for name, formula in formulas.items())
        frame = without_nan(with_columns(frame, *made), list(formulas))
    gone = [name for name in (*sources, *wanted) if name.startswith(_MADE)]
    return frame.drop(gone) if gone else frame


def _read(values: Mapping[str, str]) -> set[str]:
    """Return the columns that formulas over windows look at."""
    names: set[str] = set()
    for text in values.values():
        figures, rest = taken_apart(text, _MADE)
        names |= columns_in(rest) - figures.keys()
        for one in figures.values():
            names |= columns_in(one.formula) if one.formula else set()
    return names


def _said(step: Rolling | RollingTime) -> str:
    figures = [f"{', '.join(step.what)} of {', '.join(step.columns)}"] if step.columns else []
    return "; ".join([*figures, *(f"{name} = {text}" for name, text in step.values.items())])


def _by(names: Sequence[str]) -> str:
    return f", by {', '.join(names)}" if names else ""
