"""Describing: the figures of one column, from its values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from lepton_ai.data.analysis.columns import identifies, kind_of, nan_as_null, shown
from lepton_ai.data.analysis.figures import (
    ColumnProfile,
    Dates,
    Histogram,
    Numbers,
    Texts,
    Value,
)

__all__ = ["QUANTILES", "describe"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS = 20
_TOP = 10
_PATTERNS = 5
_LONGEST = 60  # characters of a value that are shown
_MANY = 100_000  # distinct texts whose patterns are looked at


def describe(values: pl.Series, whole: int) -> ColumnProfile:
    """Return the figures of a column.

    Args:
        whole: how many rows there are of which these were drawn, or these are.
    """
    kind = kind_of(values.dtype)
    nan = int(values.is_nan().sum()) if values.dtype.is_float() else 0
    known = nan_as_null(values).drop_nulls()
    counts = _counts(known)
    dates = _dates(known) if kind == "date" and known.len() else None
    numbers = _numbers(known, nan) if kind == "number" else None
    texts = None
    if kind == "text" and counts is not None and known.len():
        texts = _texts(counts)
    draft = ColumnProfile(
        name=values.name,
        type=str(values.dtype),
        kind=kind,
        rows=values.len(),
        missing=values.len() - known.len(),
        distinct=None if counts is None else counts.height,
        top=() if counts is None else _top(counts),
        numbers=numbers,
        texts=texts,
        dates=dates,
        notes=(),
    )
    return _noted(draft, values, whole)


def _counts(known: pl.Series) -> pl.DataFrame | None:
    """Return each value with its count, the most frequent first, ties in their own order."""
    plain = known.rename("value")
    if known.dtype.is_nested() or known.dtype in (pl.Binary, pl.Object):
        plain = shown(plain)
    if plain.dtype.base_type() in (pl.Categorical, pl.Enum):
        plain = plain.cast(pl.String)
    counts = plain.value_counts(name="count")
    # Of many different values, those that are looked at need not stand in order.
    if counts.height > _MANY:
        return counts
    return counts.sort(["count", "value"], descending=[True, False])


def _top(counts: pl.DataFrame) -> tuple[Value, ...]:
    head = counts.top_k(_TOP, by="count") if counts.height > _MANY else counts.head(_TOP)
    head = head.sort(["count", "value"], descending=[True, False])
    return tuple(
        Value(_short(text), count)
        for text, count in zip(shown(head["value"]), head["count"], strict=True)
    )


def _short(text: str | None) -> str:
    whole = text or ""
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"


def _numbers(known: pl.Series, nan: int) -> Numbers:
    array = known.cast(pl.Float64).to_numpy()
    finite = np.isfinite(array)
    infinite = int(array.size - np.count_nonzero(finite))
    if infinite:
        array = array[finite]
        known = known.filter(pl.Series(finite))
    if not array.size:
        return Numbers(None, None, None, None, None, {}, 0, 0, 0, nan, infinite, None)
    exact = known.dtype.is_integer()
    low, high = known.min(), known.max()
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(array.mean())
        # A mean that is rounded would give equal values a spread.
        spread = None if array.size < 2 else 0.0 if low == high else float(array.std(ddof=1))
        quantiles = np.quantile(array, QUANTILES)
    at = dict(zip(QUANTILES, quantiles.tolist(), strict=True))
    reach = 1.5 * (at[0.75] - at[0.25])
    outside = (array < at[0.25] - reach) | (array > at[0.75] + reach)
    return Numbers(
        min=int(low) if exact else float(low),  # type: ignore[arg-type]
        max=int(high) if exact else float(high),  # type: ignore[arg-type]
        mean=mean,
        std=spread,
        skew=_skew(array, mean, spread),
        quantiles=at,
        zeros=int(np.count_nonzero(array == 0)),
        negative=int(np.count_nonzero(array < 0)),
        outliers=int(np.count_nonzero(outside)),
        nan=nan,
        infinite=infinite,
        histogram=histogram(array),
    )


def _skew(array: NDArray[np.float64], mean: float, spread: float | None) -> float | None:
    if not spread or not np.isfinite(spread):
        return None
    # Divided first: the cube of a large number is beyond a float.
    return float(np.mean(((array - mean) / array.std()) ** 3))


def histogram(array: NDArray[np.float64], bins: int = _BINS) -> Histogram | None:
    """Return counts in bins of equal width; whole numbers of a small range have a bin each."""
    if not array.size:
        return None
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(high - low):
        return None
    if high - low < bins and np.array_equal(array, np.rint(array)) and abs(high) < 2**52:
        edges = np.arange(low - 0.5, high + 1)
    else:
        edges = np.linspace(low, high, bins + 1)
        if not (np.diff(edges) > 0).all():  # numbers so near that no edge fits between them
            edges = np.array([low - 0.5, high + 0.5])
    counts, edges = np.histogram(array, edges)
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def _texts(counts: pl.DataFrame) -> Texts:
    value, count = pl.col("value"), pl.col("count")
    lengths = counts.select(
        shortest=value.str.len_chars().min(),
        longest=value.str.len_chars().max(),
        mean=(value.str.len_chars() * count).sum() / count.sum(),
        empty=count.filter(value.str.strip_chars() == "").sum(),
        padded=count.filter(value.str.strip_chars() != value).sum(),
    ).row(0, named=True)
    pattern = (
        value.str.head(40)
        .str.replace_all(r"[\p{L}--\p{Lu}]+", "a")
        .str.replace_all(r"\p{Lu}+", "A")
        .str.replace_all(r"\p{N}", "9")
    )
    common = (
        counts.head(_MANY)
        .group_by(pattern.alias("pattern"))
        .agg(count.sum())
        .sort(["count", "pattern"], descending=[True, False])
        .head(_PATTERNS)
    )
    return Texts(
        shortest=int(lengths["shortest"]),
        longest=int(lengths["longest"]),
        mean_length=float(lengths["mean"]),
        empty=int(lengths["empty"]),
        padded=int(lengths["padded"]),
        patterns=tuple(Value(*row) for row in common.iter_rows()),
    )


def _dates(known: pl.Series) -> Dates:
    moments = known.cast(pl.Datetime("us")).to_physical().to_numpy()
    distinct = np.unique(moments)
    steps = np.diff(distinct)
    step = gap = gap_start = None
    if steps.size:
        lengths, often = np.unique(steps, return_counts=True)
        step = float(lengths[often.argmax()]) / 1e6
        longest = int(steps.argmax())
        gap, gap_start = float(steps[longest]) / 1e6, _moment(distinct[longest])
    return Dates(
        first=_moment(distinct[0]),
        last=_moment(distinct[-1]),
        step=step,
        gap=gap,
        gap_start=gap_start,
        histogram=histogram(moments / 86_400e6),
    )


def _moment(microseconds: Any) -> datetime:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return start + timedelta(microseconds=int(microseconds))
    except OverflowError:  # a year that Python's calendar does not have
        bound = datetime.max if microseconds > 0 else datetime.min
        return bound.replace(tzinfo=UTC)


def _noted(column: ColumnProfile, values: pl.Series, whole: int) -> ColumnProfile:
    """Return the profile with what to look at."""
    known = column.rows - column.missing
    notes = []
    if column.rows and not known:
        notes.append("no value at all")
    elif column.missing > 0.5 * column.rows:
        notes.append(f"mostly missing ({column.missing / column.rows:.0%})")
    if known and column.constant:
        notes.append(f"constant: {column.top[0].value!r} in every row that has a value")
    elif known and column.top and column.top[0].count > 0.99 * known and known > 200:
        notes.append(f"nearly constant: {column.top[0].value!r} in over 99% of the rows")
    if known == column.distinct and identifies(values, whole):
        notes.append("names its rows: different in each, as a key is")
    if (numbers := column.numbers) is not None:
        if numbers.infinite:
            notes.append(f"{numbers.infinite:,} infinite values")
        if numbers.nan:
            notes.append(f"{numbers.nan:,} values are not a number (NaN)")
        if numbers.skew is not None and abs(numbers.skew) > 3 and not column.two_valued:
            notes.append(f"long tail (skew {numbers.skew:.1f})")
    if (texts := column.texts) is not None:
        if texts.empty:
            notes.append(f"{texts.empty:,} are blank text, not missing")
        if texts.padded:
            notes.append(f"{texts.padded:,} begin or end with blanks")
        if _numeric(texts):
            notes.append("numbers written as text")
    dates = column.dates
    if dates is not None and dates.gap and dates.step and dates.gap_start:
        wide = dates.gap > 10 * dates.step and known > 20
        gap = f"a gap of {timedelta(seconds=dates.gap)} from {dates.gap_start:%Y-%m-%d}"
        notes += [gap] if wide else []
    return replace(column, notes=tuple(notes))


def _numeric(texts: Texts) -> bool:
    written = [
        pattern.value.strip("+-").replace(".", "").replace(",", "") for pattern in texts.patterns
    ]
    return bool(written) and all(text and set(text) == {"9"} for text in written)
