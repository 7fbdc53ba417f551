"""Calendars: the beginning of the span of time in which a moment lies, on each engine."""

import re
from typing import Any

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like, on_spark, quoted
from lepton_ai.data.recipes.step import Frame

__all__ = ["begun"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_MONDAY = 4 * 86400  # of the first week after the epoch, in seconds


def begun(frame: Frame, time: str, every: str, name: str) -> Frame:
    """Return the frame with the beginning of each moment's span as a column.

    Days and shorter spans count from 1970 on, weeks from Mondays, months and years from January.

    Args:
        time: a column of dates or times; the beginning is of its type, and in its zone.
        every: such as ``15m``, ``1h``, ``1d``, ``1w``, ``1mo``, ``1q``, ``1y``.
        name: of the new column.

    Raises:
        InvalidInput: there is no such span.
    """
    number, unit = _read(every)
    kind: Any = frame.collect_schema()[time]
    if frame.implementation.is_polars():
        return _by_polars(frame, time, every, name)
    if not (frame.implementation.is_duckdb() or on_spark(frame)):
        whole = _by_polars(frame.collect("polars").lazy(), time, every, name)
        return like(frame, whole.collect("polars").to_native())
    spark = on_spark(frame)
    zoned = kind != nw.Date and kind.time_zone is not None
    plain = "TIMESTAMP_NTZ" if spark else "TIMESTAMP"
    back = ("TIMESTAMP" if spark else "TIMESTAMPTZ") if zoned else plain
    # The clock of the connection's zone is what spans are of.
    clock = f"CAST({quoted(time, spark=spark)} AS {plain})"
    count = number * (_MONTHS.get(unit) or _SECONDS[unit])
    start = (_spark_sql if spark else _duckdb_sql)(clock, count, unit)
    if zoned and not spark:
        start = _of_that_hour(quoted(time), clock, start)
    value = f"CAST({start} AS {'DATE' if kind == nw.Date else back}) AS {quoted(name, spark=spark)}"
    native: Any = frame.to_native()
    # Names are quoted, the rest is ours.
    chosen = native.selectExpr("*", value) if spark else native.project(f"*, {value}")
    done: Frame = nw.from_native(chosen)
    return done


def _read(every: str) -> tuple[int, str]:
    match = re.fullmatch(r"([1-9][0-9]{0,3})(s|m|h|d|w|mo|q|y)", every)
    if match is None:
        raise InvalidInput(f"every is such as 15m, 1h, 1d, 1w, 1mo or 1y; got {every!r}")
    number, unit = int(match[1]), match[2]
    months = number * _MONTHS.get(unit, 0)
    if months and 12 % months and (months % 12 or 2000 % (months // 12)):
        raise InvalidInput(
            f"every={every!r} would not begin with a year; take 1, 2, 3, 4 or 6 months, or years"
        )
    if unit == "w" and number > 1:
        raise InvalidInput(f"every={every!r}: weeks are taken one by one; write 1w, or 14d")
    return number, unit


def _by_polars(frame: Frame, time: str, every: str, name: str) -> Frame:
    import polars as pl

    native: Any = frame.to_native()
    done: Frame = nw.from_native(native.with_columns(pl.col(time).dt.truncate(every).alias(name)))
    return done


def _duckdb_sql(clock: str, count: int, unit: str) -> str:
    if unit in _MONTHS:
        return f"time_bucket(INTERVAL {count} MONTHS, {clock}, TIMESTAMP '2000-01-01')"
    origin = "1970-01-05" if unit == "w" else "1970-01-01"
    return f"time_bucket(INTERVAL {count} SECONDS, {clock}, TIMESTAMP '{origin}')"


def _of_that_hour(moment: str, clock: str, start: str) -> str:
    """Return a beginning as a moment: of an hour that a clock shows twice, the one before it."""
    elapsed = f"to_microseconds(epoch_us({clock}) - epoch_us({start}))"
    same = f"CAST({moment} - {elapsed} AS TIMESTAMP) = {start}"
    return f"CASE WHEN {same} THEN {moment} - {elapsed} ELSE CAST({start} AS TIMESTAMPTZ) END"


def _spark_sql(clock: str, count: int, unit: str) -> str:
    if unit in _MONTHS:
        months = f"(year({clock}) * 12 + month({clock}) - 1)"
        first = f"({months} - pmod({months}, {count}))"
        return f"make_date({first} div 12, pmod({first}, 12) + 1, 1)"
    origin = _MONDAY if unit == "w" else 0
    seconds = (
        f"(CAST(datediff(CAST({clock} AS DATE), DATE'1970-01-01') AS BIGINT) * 86400 - {origin} "
        f"+ hour({clock}) * 3600 + minute({clock}) * 60 + CAST(floor(second({clock})) AS BIGINT))"
    )
    first = f"({seconds} - pmod({seconds}, {count}) + {origin})"
    day = f"date_add(DATE'1970-01-01', CAST(floor({first} / 86400) AS INT))"
    return f"timestampadd(SECOND, CAST(pmod({first}, 86400) AS INT), CAST({day} AS TIMESTAMP_NTZ))"
