"""Timeline: the values of a series at even steps, in the order of time."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.columns import kind_of, numbers_of
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Timeline"]

_MOST = 2_000_000
_COUNTED = 12  # steps in a gap, up to which their number is sure though they differ, as months do
_FILLED = 0.5  # the share of steps without a value that may be filled


class Timeline:
    """A series at even steps.

    A step is as long as the usual distance of two moments, which need not be exact: a month is one,
    and so are five minutes and some seconds. Steps without a value are filled on the straight line
    between their neighbours; several values of one step are replaced by their mean.

    Args:
        data: a table, a dataset's name, a frame, or an array of numbers at even steps.
        value: the column of numbers; needed unless the data is an array or has one column of them.
        time: the column of dates or numbers by which rows are ordered; the rows' own order, and
            even steps, unless given.
        workspace: where a name is looked up.

    Attributes:
        name: of the dataset and the column.
        values: float64, without gaps.
        times: datetime64[us], or the number of the step.
        step: microseconds between two values on average, or 1.
        filled: how many values were filled in.

    Raises:
        InvalidInput: there is no such column, too few values, or mostly gaps.
    """

    def __init__(
        self,
        data: Any,
        value: str | None = None,
        time: str | None = None,
        *,
        workspace: Workspace | None = None,
    ) -> None:
        if isinstance(data, np.ndarray) or (isinstance(data, list | pl.Series) and value is None):
            series = pl.Series("value", data)
            data, value = series.to_frame(), "value"
        source = Source(data, workspace)
        value = _chosen(source, value)
        names = [value] if time is None else [value, time]
        source.check(names)
        if source.rows > _MOST:
            raise InvalidInput(
                f"{source.rows:,} rows are more than a series of {_MOST:,}; bring them to longer "
                "steps first, such as hours: sql('select time_bucket(...), avg(...) ...')"
            )
        frame = source.read(list(dict.fromkeys(names)))
        if kind_of(frame.schema[value]) not in ("number", "boolean"):
            raise InvalidInput(f"value={value!r} holds {frame.schema[value]}, not numbers")
        self.name = f"{source.name}, {value}"
        values = numbers_of(frame[value])
        self.times: NDArray[Any] = np.arange(values.size)
        self.step = 1.0
        if time is not None:
            values = self._ordered(values, frame[time])
        gaps = np.isnan(values)
        self.filled = int(gaps.sum())
        if values.size - self.filled < 3 or self.filled > _FILLED * values.size:
            raise InvalidInput(
                f"{self.name} has {values.size - self.filled:,} values in {values.size:,} steps; "
                "that is too few to look for a pattern in time"
            )
        if self.filled:
            known = np.flatnonzero(~gaps)
            values = np.interp(np.arange(values.size), known, values[known])
        self.values: NDArray[np.float64] = values

    def _ordered(self, values: NDArray[np.float64], time: pl.Series) -> NDArray[np.float64]:
        kind = kind_of(time.dtype)
        if kind not in ("date", "number"):
            raise InvalidInput(f"time={time.name!r} holds {time.dtype}, neither dates nor numbers")
        if kind == "date":
            moments = time.cast(pl.Datetime("us")).to_physical()
        elif time.dtype.is_integer():
            moments = time.cast(pl.Int64)
        else:
            raise InvalidInput(f"time={time.name!r} holds {time.dtype}; whole numbers are steps")
        frame = pl.DataFrame({"at": moments, "value": values}).drop_nulls("at").sort("at")
        at = frame["at"].to_numpy()
        lengths = np.diff(np.unique(at))
        if lengths.size < 2:
            raise InvalidInput(
                f"{self.name} has {np.unique(at).size} different moments; a series needs more"
            )
        counts = np.rint(lengths / np.quantile(lengths, 0.5, method="lower"))
        sure = (counts > 0) & (counts <= _COUNTED)
        # The mean, as a step that is a little too long would lose one in the long run.
        self.step = float(lengths[sure].sum() / counts[sure].sum())
        places = np.rint((at - at[0]) / self.step).astype(np.int64)
        if places[-1] >= _MOST:
            raise InvalidInput(
                f"time={time.name!r} spans {int(places[-1]):,} steps of the usual length, more "
                f"than {_MOST:,}; leave far-off moments out"
            )
        known = frame.select(place=places, value=pl.col("value").fill_nan(None)).drop_nulls()
        means = known.group_by("place").agg(pl.col("value").mean())
        even = np.full(int(places[-1]) + 1, np.nan)
        even[means["place"].to_numpy()] = means["value"].to_numpy()
        grid = at[0] + np.rint(np.arange(even.size) * self.step).astype(np.int64)
        grid[places] = at
        self.times = grid.astype("datetime64[us]") if kind == "date" else grid
        return even

    def span(self, steps: float) -> str:
        """Return so many steps in words, such as ``288 steps (1 day)``."""
        text = f"{steps:,.0f} steps"
        if self.times.dtype.kind != "M":
            return text
        seconds = steps * self.step / 1e6
        for name, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
            count = f"{seconds / size:.4g}"
            if float(count) >= 1:
                return f"{text} ({count} {name}{'' if count == '1' else 's'})"
        return text


def _chosen(source: Source, value: str | None) -> str:
    if value is not None:
        return value
    numeric = [name for name, kind in source.schema.items() if kind.is_numeric()]
    if len(numeric) != 1:
        raise InvalidInput(
            f"name the column of numbers: value=...; {source.name} has {numeric[:10] or 'none'}"
        )
    return numeric[0]
