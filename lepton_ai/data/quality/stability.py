"""stability: how far a distribution has moved, as one number."""

import math

import polars as pl

__all__ = ["stability"]


def stability(before: pl.Series, now: pl.Series) -> float:
    """Return the population stability index of two columns; 0: the same distribution."""
    if before.dtype.is_numeric():
        both = [s.cast(pl.Float64).fill_nan(None) for s in (before, now)]
        deciles = [both[0].quantile(n / 10, "linear") for n in range(1, 10)]
        edges = sorted(edge for edge in deciles if edge is not None)
        pairs = [_intervals(s, edges) for s in both]
    else:
        pairs = [s.cast(pl.String) for s in (before, now)]
    counts = [dict(s.value_counts().rows()) for s in pairs]
    index = 0.0
    for value in {*counts[0], *counts[1]}:
        # Half a row stands for none, so that a value that is new counts, and does not divide.
        old, new = (max(c.get(value, 0), 0.5) / s.len() for c, s in zip(counts, pairs, strict=True))
        index += (new - old) * math.log(new / old)
    return index


def _intervals(values: pl.Series, edges: list[float]) -> pl.Series:
    """Return the number of each value's interval; what is empty has none."""
    # A value that many rows have is several deciles, and an interval of its own: what comes to
    # lie below it is not the same.
    above = [values >= edge if edge in edges[:n] else values > edge for n, edge in enumerate(edges)]
    number = sum((part.cast(pl.Int64) for part in above), values.is_null().cast(pl.Int64))
    return number.set(values.is_null(), None)
