"""Dates: text becomes dates and times, and these become numbers that a model can use."""

import math
import re
from functools import reduce
from operator import and_
from typing import Any, Literal

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.blanks import stripped
from lepton_ai.data.recipes.engines import like, on_spark
from lepton_ai.data.recipes.step import Frame, Step, present, textual, with_columns

__all__ = ["DateParts", "ParseDates"]

# What a code stands for: its digits, and the least and most number.
_CODES = {
    "%Y": ("[12][0-9]{3}", 4),
    "%m": ("(0[1-9]|1[0-2])", 2),
    "%d": ("(0[1-9]|[12][0-9]|3[01])", 2),
    "%H": ("([01][0-9]|2[0-3])", 2),
    "%M": ("[0-5][0-9]", 2),
    "%S": ("[0-5][0-9]", 2),
}
_SHORT = {"%-d": "%d", "%-m": "%m", "%-H": "%H"}
_UTC = ("UTC", "Etc/UTC")
_TIMES = ("%H", "%M", "%S")


class ParseDates(Step, frozen=True, kw_only=True, tag="parse_dates"):
    """Read dates or times from text, in the first form that fits; what fits none becomes empty.

    So do days that there are not, such as 30 February. Computed by the engine.

    Attributes:
        formats: of %Y %m %d %H %M %S; with %-d, %-m and %-H a leading zero may lack. Where one
            form has hours, the result is times, else dates.
        zone: the time zone in which times are written, such as ``Europe/Kyiv``; they become
            UTC. DuckDB and Spark show such times in the zone of their connection, which has to
            be UTC then; computed in memory.
    """

    columns: tuple[str, ...]
    formats: tuple[str, ...] = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")
    zone: str | None = None

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with dates or times."""
        names = textual(frame, self.columns, "ParseDates")
        times = any(code in form for form in self.formats for code in (*_TIMES, "%-H"))
        columns = []
        for name in names:
            text = stripped(nw.col(name))
            found = [_read(text, form, times=times) for form in self.formats]
            columns.append(nw.coalesce(*found).alias(name))
        frame = with_columns(frame, *columns)
        return _in_utc(frame, names, self.zone) if self.zone is not None and times else frame

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return set(self.columns)

    def writes(self) -> set[str]:
        """Return the columns that the step changes."""
        return set(self.columns)

    def explain(self) -> str:
        """Return a sentence on the step."""
        zone = f", {self.zone} to UTC" if self.zone else ""
        return f"read {', '.join(self.columns)} as {' or '.join(self.formats)}{zone}"


def _read(column: nw.Expr, form: str, *, times: bool) -> nw.Expr:
    """Return what one form makes of text, empty where it does not fit."""
    if any(code in form for code in _SHORT):
        for code, full in _SHORT.items():
            form = form.replace(code, full)
        for digit in range(10):
            column = column.str.replace_all(rf"\b{digit}\b", f"0{digit}")
    pattern, places, width = "", dict[str, int](), 0
    for part in re.findall(r"%.|[^%]", form):
        if part in _CODES:
            digits, size = _CODES[part]
            places[part] = width
            pattern, width = pattern + digits, width + size
        else:
            pattern, width = pattern + re.escape(part), width + len(part)
    if "%" in re.sub("|".join(_CODES), "", form) or not {"%Y", "%m", "%d"} <= places.keys():
        raise InvalidInput(
            f"{form!r} is no form of a date: it has %Y, %m and %d, and may have %H %M %S, such as "
            "%d.%m.%Y %H:%M"
        )
    fits = nw.when(column.str.contains(f"^{pattern}$")).then(column)
    year, month, day = (
        fits.str.slice(places[code], _CODES[code][1]).cast(nw.Int64) for code in ("%Y", "%m", "%d")
    )
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    exists = reduce(
        and_,
        [
            (day <= 30) | ~month.is_in([4, 6, 9, 11]),
            (day <= 28) | (month != 2) | (leap & (day == 29)),
        ],
    )
    real = nw.when(exists).then(fits)
    if not times:
        return real.str.to_date(format=form)
    if not any(code in form for code in _TIMES):
        return real.str.to_date(format=form).cast(nw.Datetime("us"))
    return real.str.to_datetime(format=form).cast(nw.Datetime("us"))


def _in_utc(frame: Frame, names: list[str], zone: str) -> Frame:
    """Return times as UTC; an hour that a zone skips or repeats has no one answer: empty."""
    import zoneinfo

    import polars as pl

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInput(
            f"{zone!r} is no time zone; write one such as Europe/Kyiv or UTC"
        ) from error
    written = pl.col(names).dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    moments = written.dt.convert_time_zone("UTC")
    if frame.implementation.is_polars():
        native: Any = frame.to_native()
        done: Frame = nw.from_native(native.with_columns(moments))
        return done
    done = like(frame, frame.collect("polars").to_native().with_columns(moments))
    shown = _shown_in(done, names[0])
    if shown not in _UTC:
        raise InvalidInput(
            f"ParseDates(zone=...) gives times in UTC, and this {frame.implementation} shows them "
            f"in {shown}; set its TimeZone (DuckDB) or spark.sql.session.timeZone to UTC"
        )
    return done


def _shown_in(frame: Frame, name: str) -> str:
    """Return the zone in which an engine's connection shows times."""
    if on_spark(frame):
        native: Any = frame.to_native()
        return str(native.sparkSession.conf.get("spark.sql.session.timeZone"))
    kind: Any = frame.collect_schema()[name]
    return str(kind.time_zone)


Part = Literal["year", "month", "day", "weekday", "hour", "minute", "ordinal_day"]
_PERIODS = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60, "ordinal_day": 366}


class DateParts(Step, frozen=True, kw_only=True, tag="date_parts"):
    """Add parts of a date as columns; as sine and cosine where ``cyclic``.

    Attributes:
        parts: ``weekday`` is 1 on Mondays, ``ordinal_day`` counts from 1 January.
        cyclic: so that December lies beside January; the year stays a number.
        keep: whether the date itself stays.
    """

    column: str
    parts: tuple[Part, ...] = ("year", "month", "weekday")
    cyclic: bool = False
    keep: bool = True

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the parts."""
        present(frame, [self.column], "DateParts")
        kind = frame.collect_schema()[self.column]
        if not kind.is_temporal() or (kind == nw.Date and {"hour", "minute"} & set(self.parts)):
            raise InvalidInput(
                f"DateParts({self.column!r}, parts={self.parts}) needs dates or times; the column "
                f"is {kind}. Put ParseDates in front"
            )
        columns = []
        for part in self.parts:
            value = getattr(nw.col(self.column).dt, part)().cast(nw.Int64)
            name = f"{self.column}_{part}"
            if self.cyclic and part in _PERIODS:
                turn = value * (2 * math.pi / _PERIODS[part])
                columns += [turn.sin().alias(f"{name}_sin"), turn.cos().alias(f"{name}_cos")]
            else:
                columns.append(value.alias(name))
        frame = with_columns(frame, *columns)
        return frame if self.keep else frame.drop(self.column)

    def reads(self) -> set[str]:
        """Return the column that the step looks at."""
        return {self.column}

    def explain(self) -> str:
        """Return a sentence on the step."""
        cyclic = ", as sine and cosine" if self.cyclic else ""
        return f"{', '.join(self.parts)} of {self.column}{cyclic}"
