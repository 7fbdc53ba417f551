"""stability: how far a distribution has moved, as one number."""

import math

import polars as pl

__all__ = ["stability"]


def stability(before: pl.Series, now: pl.Series) -> float:
    """Return the population stability index of two columns; 0: the same distribution."""
    if before.dtype.is_numeric():
        deciles = [before.quantile(n / 10, "linear") for n in range(1, 10)]
        edges = sorted({edge for edge in deciles if edge is not None})
        pairs = [_intervals(s, edges) for s in (before, now)]
    else:
        pairs = [s.cast(pl.String).fill_null("(none)") for s in (before, now)]
    counts = [dict(s.value_counts().rows()) for s in pairs]
    index = 0.0
    for value in {*counts[0], *counts[1]}:
        # Half a row stands for none, so that a value that is new counts, and does not divide.
        old, new = (max(c.get(value, 0), 0.5) / s.len() for c, s in zip(counts, pairs, strict=True))
        index += (new - old) * math.log(new / old)
    return index


def _intervals(values: pl.Series, edges: list[float]) -> pl.Series:
    number = sum((pl.col("x") > edge).cast(pl.Int64) for edge in edges) + pl.lit(0)
    named = pl.when(pl.col("x").is_null()).then(pl.lit("(none)")).otherwise(number.cast(pl.String))
    return pl.DataFrame({"x": values}).select(_interval=named)["_interval"]
