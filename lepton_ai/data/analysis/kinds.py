"""Kinds: what a column is for an analysis, whatever type it has."""

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Kind", "codes_of", "identifies", "kind_of", "number_bins", "numbers_of", "shown"]

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


def codes_of(values: pl.Series, most: int = 100) -> tuple[NDArray[np.intp], list[str]]:
    """Return a code for each value, -1 where missing, and what the codes stand for.

    The ``most`` frequent values have codes of their own, ordered by frequency and then by text,
    the others share the last, ``other``. Numbers with more values than that are cut into bins.
    """
    if kind_of(values.dtype) in ("number", "date") and values.n_unique() > most:
        return number_bins(numbers_of(values))
    text = shown(values)
    counts = text.drop_nulls().value_counts().sort(["count", values.name], descending=[True, False])
    names: list[str] = counts[values.name].to_list()
    kept = names[:most]
    places = {name: place for place, name in enumerate(kept)}
    codes = text.replace_strict(
        list(places), list(places.values()), default=len(kept), return_dtype=pl.Int64
    ) if places else pl.Series(values.name, [None] * values.len(), dtype=pl.Int64)  # fmt: skip
    codes = pl.select(pl.when(text.is_null()).then(-1).otherwise(codes)).to_series()
    return codes.to_numpy().astype(np.intp), kept if len(names) <= most else [*kept, "other"]


def number_bins(values: NDArray[np.float64], most: int = 10) -> tuple[NDArray[np.intp], list[str]]:
    """Cut numbers into bins of about as many rows each; -1 where missing."""
    known = values[~np.isnan(values)]
    if not known.size:
        return np.full(values.shape, -1, dtype=np.intp), []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, most + 1)[1:-1], method="lower"))
    edges = edges[edges < known.max()]
    codes = np.searchsorted(edges, values, side="left")
    limits = ["", *(f"{edge:g}" for edge in edges), ""]
    names = [_interval(low, high) for low, high in zip(limits, limits[1:], strict=False)]
    return np.where(np.isnan(values), -1, codes).astype(np.intp), names


def _interval(low: str, high: str) -> str:
    if low and high:
        return f"over {low} to {high}"
    return f"up to {high}" if high else f"over {low}" if low else "any"


def shown(values: pl.Series) -> pl.Series:
    """Return values as text, None where missing; NaN counts as missing."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.dtype == pl.Binary or values.dtype.is_nested() or values.dtype == pl.Object:
        texts = [None if value is None else str(value) for value in values.to_list()]
        return pl.Series(values.name, texts, pl.String)
    text = values.cast(pl.String)
    if values.dtype.is_float():
        return text.str.strip_suffix(".0")
    return text.str.strip_suffix(".000000") if values.dtype.base_type() == pl.Datetime else text


def identifies(values: pl.Series) -> bool:
    """Say whether a column names its rows: text that is different in each, or a running number."""
    if values.len() < 20 or values.null_count():
        return False
    if values.dtype.base_type() in _TEXT:
        return values.n_unique() == values.len()
    return bool(values.dtype.is_integer()) and bool((values.diff().drop_nulls() == 1).all())
