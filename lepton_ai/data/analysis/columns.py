"""Columns: those of a sample in the two forms that measures need, numbers and codes."""

from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import figure
from lepton_ai.data.analysis.source import Source

__all__ = [
    "Column",
    "Kind",
    "LeftOut",
    "codes_of",
    "identifies",
    "is_classes",
    "kind_of",
    "nan_as_null",
    "number_bins",
    "numbers_of",
    "outcome_of",
    "shown",
    "usable",
    "worded",
]

Kind = Literal["number", "boolean", "text", "date", "other"]

_TEXT = (pl.String, pl.Categorical, pl.Enum)


def kind_of(dtype: Any) -> Kind:
    """Return what a column of a Polars type holds."""
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.base_type() in _TEXT or dtype == pl.Null:
        return "text"
    return "date" if dtype.base_type() in (pl.Date, pl.Datetime) else "other"


def numbers_of(values: pl.Series) -> NDArray[np.float64]:
    """Return numbers, booleans and dates as float64, NaN where missing or infinite.

    Dates are days since 1970-01-01.
    """
    if values.dtype.base_type() in (pl.Date, pl.Datetime):
        days = values.cast(pl.Datetime("us")).to_physical().cast(pl.Float64) / 86_400e6
        return days.to_numpy()
    array = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(array), array, np.nan)


def nan_as_null(values: pl.Series) -> pl.Series:
    """Return values that are missing in one way only."""
    return values.fill_nan(None) if values.dtype.is_float() else values


def codes_of(values: pl.Series, most: int = 100) -> tuple[NDArray[np.intp], list[str]]:
    """Return a code for each value, -1 where missing, and what the codes stand for.

    The ``most`` frequent values have codes of their own, ordered by frequency and then by text,
    the others share the last, ``other`` (``any other`` where that is a value). Numbers with more
    values than that are cut into bins.
    """
    if kind_of(values.dtype) in ("number", "date") and values.n_unique() > most:
        return number_bins(values)
    text = shown(values)
    counts = text.drop_nulls().value_counts().sort(["count", values.name], descending=[True, False])
    names: list[str] = counts[values.name].to_list()
    kept = names[:most]
    rest = "other"
    while rest in kept:
        rest = f"any {rest}"
    places = {name: place for place, name in enumerate(kept)}
    codes = text.replace_strict(
        list(places), list(places.values()), default=len(kept), return_dtype=pl.Int64
    ) if places else pl.Series(values.name, [None] * values.len(), dtype=pl.Int64)  # fmt: skip
    codes = pl.select(pl.when(text.is_null()).then(-1).otherwise(codes)).to_series()
    return codes.to_numpy().astype(np.intp), kept if len(names) <= most else [*kept, rest]


def number_bins(series: pl.Series, most: int = 10) -> tuple[NDArray[np.intp], list[str]]:
    """Cut numbers or dates into bins of about as many rows each; -1 where missing."""
    values = numbers_of(series)
    known = values[~np.isnan(values)]
    if not known.size:
        return np.full(values.shape, -1, dtype=np.intp), []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, most + 1)[1:-1], method="lower"))
    edges = edges[edges < known.max()]
    codes = np.searchsorted(edges, values, side="left")
    words = [worded(edge, kind_of(series.dtype)) for edge in edges.tolist()]
    # What is short must not make two edges one.
    words = words if len(set(words)) == len(words) else [str(edge) for edge in edges.tolist()]
    limits = ["", *words, ""]
    names = [_interval(low, high) for low, high in pairwise(limits)]
    return np.where(np.isnan(values), -1, codes).astype(np.intp), names


def worded(number: float, kind: Kind) -> str:
    """Return a number of a column as people read it: days since 1970-01-01 as a moment."""
    if kind != "date":
        return figure(number)
    moment = np.datetime64(0, "s") + np.timedelta64(round(number * 86400), "s")
    return str(moment).removesuffix("T00:00:00")


def _interval(low: str, high: str) -> str:
    if low and high:
        return f"over {low} to {high}"
    return f"up to {high}" if high else f"over {low}" if low else "any"


def shown(values: pl.Series) -> pl.Series:
    """Return values as text, None where missing; NaN counts as missing."""
    values = nan_as_null(values)
    if values.dtype.is_float():
        # Zero and minus zero are one value, and so one text.
        values = values.set((values == 0).fill_null(value=False), 0.0)
    if values.dtype == pl.Binary or values.dtype.is_nested() or values.dtype == pl.Object:
        texts = [None if value is None else str(value) for value in values.to_list()]
        return pl.Series(values.name, texts, pl.String)
    if values.dtype.base_type() == pl.Duration:
        return values.dt.to_string("polars")
    text = values.cast(pl.String)
    if values.dtype.is_float():
        return text.str.strip_suffix(".0")
    return text.str.strip_suffix(".000000") if values.dtype.base_type() == pl.Datetime else text


def identifies(values: pl.Series, whole: int) -> bool:
    """Say whether a column names its rows: different text in each, or whole numbers in a run.

    Args:
        whole: how many rows there are of which these were drawn, or these are.
    """
    if values.len() < 20 or values.null_count() or values.n_unique() < values.len():
        return False
    if values.dtype.base_type() in _TEXT:
        return True
    if not values.dtype.is_integer():
        return False
    low, high = values.min(), values.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    # Of few numbers out of many, none would be there twice by chance.
    return high - low < whole and values.len() ** 2 > 20 * (high - low)


_MOST = 100  # categories; text with more of them is left out when most rows have their own


class LeftOut(Struct, frozen=True):
    """A column that an analysis did not take, and why."""

    column: str
    reason: str


class Column:
    """One column of a sample.

    Attributes:
        name: its name.
        kind: what it holds.
        values: the values.
    """

    def __init__(self, values: pl.Series) -> None:
        self.name = values.name
        self.values = values
        self.kind: Kind = kind_of(values.dtype)

    @property
    def numeric(self) -> bool:
        """Whether its values have an order and distances."""
        return self.kind in ("number", "date")

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The values as float64; NaN where missing."""
        return numbers_of(self.values)

    @cached_property
    def different(self) -> int:
        """How many different values it has; a gap is one too."""
        return self.values.n_unique()

    @cached_property
    def _coded(self) -> tuple[NDArray[np.intp], list[str]]:
        return codes_of(self.values, _MOST if not self.numeric else 20)

    @property
    def codes(self) -> NDArray[np.intp]:
        """The category of each value, or its bin; -1 where missing."""
        return self._coded[0]

    @property
    def categories(self) -> list[str]:
        """What the codes stand for."""
        return self._coded[1]


def usable(
    frame: pl.DataFrame, whole: int, *, identifiers: bool = False
) -> tuple[list[Column], tuple[LeftOut, ...]]:
    """Return the columns that can be measured, and those that cannot.

    Args:
        whole: how many rows there are of which these were drawn, or these are.
        identifiers: whether columns that name their rows are measured too.
    """
    columns, left = [], []
    for values in frame:
        reason = _unfit(values, whole, identifiers)
        if reason:
            left.append(LeftOut(values.name, reason))
        else:
            columns.append(Column(values))
    return columns, tuple(left)


def _unfit(values: pl.Series, whole: int, identifiers: bool) -> str:
    kind = kind_of(values.dtype)
    if kind == "other":
        return f"holds {values.dtype}"
    known = nan_as_null(values).drop_nulls()
    if not known.len():
        return "has no value"
    different = known.n_unique()
    if different < 2:
        return "is constant"
    if identifiers:
        return ""
    if identifies(values, whole):
        return "names its rows"
    if kind == "text" and different > _MOST and different > 0.5 * known.len():
        return "is free text: most rows have a value of their own"
    return ""


_FEW = 10  # different numbers that are still classes


def outcome_of(source: Source, frame: pl.DataFrame, target: str) -> Column:
    """Return the target's column.

    Raises:
        InvalidInput: there is no such column, or it holds nothing to explain.
    """
    source.check([target])
    values = frame[target]
    column = Column(values)
    if column.kind == "other" or nan_as_null(values).drop_nulls().n_unique() < 2:
        what = f"holds {values.dtype}" if column.kind == "other" else "holds one value, or none"
        raise InvalidInput(f"target={target!r} {what}; choose a column with different values")
    return column


def is_classes(column: Column) -> bool:
    """Say whether a target holds classes: text, booleans, or at most ten different numbers."""
    if not column.numeric:
        return True
    return column.kind == "number" and nan_as_null(column.values).drop_nulls().n_unique() <= _FEW
