"""Rolled: figures over windows of rows or of time, as each engine computes them itself."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like, on_spark, quoted
from lepton_ai.data.recipes.step import Frame

__all__ = ["Over", "Window", "refuse_unknown", "rolled"]

# What there is, and how SQL calls it.
_FUNCTIONS = {
    "count": "count({})", "first": "first_value({})", "last": "last_value({})", "max": "max({})",
    "mean": "avg({})", "median": "quantile", "min": "min({})", "quantile": "quantile",
    "rows": "count(*)", "std": "stddev_samp({})", "sum": "sum({})", "var": "var_samp({})",
}  # fmt: skip
_QUANTILE = {True: "percentile({}, {})", False: "quantile_cont({}, {})"}  # on Spark, on DuckDB
_ANY_TYPE = ("count", "first", "last", "rows")
_WHOLE = ("count", "rows")


class Over(NamedTuple):
    """One figure over a window: a function, the column it is of, and the share of a quantile."""

    function: str
    column: str
    share: float | None = None


class Window(NamedTuple):
    """Which rows a row sees.

    Attributes:
        by: only rows that are equal in these.
        order: the columns that say what is earlier.
        rows: how many rows, itself included; 0: goes by time, or sees all.
        span: how many seconds back, both ends in, by the only column of ``order``.
    """

    by: Sequence[str]
    order: Sequence[str]
    rows: int = 0
    span: int = 0


def rolled(frame: Frame, wanted: Mapping[str, Over], window: Window) -> Frame:
    """Return the frame with figures over windows, by name.

    Where nothing is known in a window, so is its figure, but for counts; of fewer than two
    values there is no ``std`` and ``var``. Engines other than Polars, DuckDB and Spark are
    computed by Polars.
    """
    if frame.implementation.is_duckdb() or on_spark(frame):
        return _by_sql(frame, wanted, window)
    if frame.implementation.is_polars():
        done: Frame = nw.from_native(_by_polars(frame.to_native(), wanted, window))
        return done
    whole = frame.collect("polars").to_native()
    return like(frame, _by_polars(whole.lazy(), wanted, window).collect())


def _by_polars(frame: Any, wanted: Mapping[str, Over], window: Window) -> Any:
    import polars as pl

    def over(expression: Any) -> Any:
        return expression.over([*window.by] or None, order_by=[*window.order])

    if not window.span:
        return frame.with_columns(
            over(_rows(one, window.rows)).alias(n) for n, one in wanted.items()
        )
    time = window.order[0]
    moment = pl.col(time).cast(pl.Datetime("us"))
    numbered = frame.with_row_index("_lepton_row")
    figures = [over(_time(one, moment, window.span)).alias(name) for name, one in wanted.items()]
    timed = numbered.filter(pl.col(time).is_not_null()).with_columns(figures)
    return numbered.join(
        timed.select("_lepton_row", *wanted), on="_lepton_row", how="left", maintain_order="left"
    ).drop("_lepton_row")


def _rows(one: Over, size: int) -> Any:
    """Return a figure over the last rows, in Polars."""
    import polars as pl

    column = pl.col(one.column)
    options: dict[str, Any] = {"window_size": size, "min_samples": 1}
    place = pl.int_range(pl.len())
    match one.function:
        case "first":
            return column.gather((place - (size - 1)).clip(lower_bound=0))
        case "last":
            return column
        case "rows":
            return (place + 1).clip(upper_bound=size)
        case "count":
            return column.is_not_null().cast(pl.Int64).rolling_sum(**options)
    return _numbers(one, column.cast(pl.Float64), options, "")


def _time(one: Over, moment: Any, span: int) -> Any:
    """Return a figure over the time before, in Polars."""
    import polars as pl

    column = pl.col(one.column)
    options = {
        "by": moment, "window_size": dt.timedelta(seconds=span), "closed": "both", "min_samples": 1,
    }  # fmt: skip
    place = pl.int_range(pl.len()).cast(pl.Float64)
    match one.function:
        case "first":
            return column.gather(place.rolling_min_by(**options).cast(pl.Int64))
        case "last":
            return column.gather(place.rolling_max_by(**options).cast(pl.Int64))
        case "rows" | "count":
            seen = pl.lit(1.0) + place * 0 if one.function == "rows" else column.is_not_null()
            return seen.cast(pl.Float64).rolling_sum_by(**options).cast(pl.Int64)
    return _numbers(one, column.cast(pl.Float64), options, "_by")


def _numbers(one: Over, column: Any, options: dict[str, Any], suffix: str) -> Any:
    if one.function in ("std", "var"):
        options = options | {"min_samples": 2}
    if one.function == "quantile":
        options = options | {"quantile": one.share, "interpolation": "linear"}
    return getattr(column, f"rolling_{one.function}{suffix}")(**options)


def _by_sql(frame: Frame, wanted: Mapping[str, Over], window: Window) -> Frame:
    """Have DuckDB or Spark compute the figures; names are quoted, the rest is ours."""
    native: Any = frame.to_native()
    spark = on_spark(frame)
    kind: Any = frame.collect_schema()[window.order[0]]
    zoned = kind == nw.Datetime and kind.time_zone is not None
    spelled = _window(window, spark=spark, zoned=zoned)
    added = []
    for name, one in wanted.items():
        value = f"{_call(one, spark=spark)} OVER {spelled}"
        if one.function in _WHOLE:
            value = f"CAST({value} AS BIGINT)"
        if window.span:
            value = f"CASE WHEN {quoted(window.order[0], spark=spark)} IS NOT NULL THEN {value} END"
        added.append(f"{value} AS {quoted(name, spark=spark)}")
    chosen = native.selectExpr("*", *added) if spark else native.project(f"*, {', '.join(added)}")
    done: Frame = nw.from_native(chosen)
    return done


def _call(one: Over, *, spark: bool) -> str:
    column = quoted(one.column, spark=spark)
    if one.function not in _ANY_TYPE:
        column = f"CAST({column} AS DOUBLE)"
    if one.function in ("median", "quantile"):
        return _QUANTILE[spark].format(column, 0.5 if one.share is None else one.share)
    return _FUNCTIONS[one.function].format(column)


def _window(window: Window, *, spark: bool, zoned: bool) -> str:
    names = [quoted(name, spark=spark) for name in window.by]
    parts = [f"PARTITION BY {', '.join(names)}"] if names else []
    order = [quoted(name, spark=spark) for name in window.order]
    if window.span:
        # Where clocks are put back, an hour is one hour still: moments, not clocks, are compared.
        clock = "TIMESTAMP_NTZ" if spark else "TIMESTAMP"
        order = order if zoned else [f"CAST({order[0]} AS {clock})"]
    parts.append(f"ORDER BY {', '.join(f'{name} ASC NULLS FIRST' for name in order)}")
    if window.span:
        parts.append(f"RANGE BETWEEN INTERVAL {window.span} SECONDS PRECEDING AND CURRENT ROW")
    elif window.rows:
        parts.append(f"ROWS BETWEEN {window.rows - 1} PRECEDING AND CURRENT ROW")
    else:
        parts.append("ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING")
    return f"({' '.join(parts)})"


def refuse_unknown(functions: Sequence[str], step: str) -> None:
    """Refuse figures that no window has.

    Raises:
        InvalidInput: there are some; it names those known.
    """
    odd = sorted({*functions} - _FUNCTIONS.keys())
    if odd:
        raise InvalidInput(f"{step} has no {', '.join(odd)}; windows have {', '.join(_FUNCTIONS)}")
