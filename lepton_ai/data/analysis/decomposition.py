"""decompose: a series as trend, seasons and what is left."""

import os
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.data.analysis.lines import figure
from lepton_ai.data.analysis.periods import periods_of
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.timeline import Timeline
from lepton_ai.storage import Workspace

__all__ = ["Decomposition", "decompose"]

_MOST = 200_000
_FAR = 6.0
_SHOWN = 100


class Odd(Struct, frozen=True):
    """A step that neither trend nor seasons explain; ``spreads`` is how far off it is."""

    step: int
    time: str
    value: float
    spreads: float


class Decomposition(Result, frozen=True, eq=False):
    """A series taken apart: at every step the parts add up to it.

    Attributes:
        times: datetime64[us], or the number of each step.
        observed: float64, the series; gaps are filled.
        trend: float64.
        seasons: float64 by length of the period in steps.
        rest: float64, what neither explains.
        trend_strength: 0 where the trend explains nothing, 1 where all but the seasons.
        season_strength: the same of each season.
        spans: each season's length in words.
        anomalies: steps whose rest is 6 robust spreads or more from its median, the furthest
            first, at most 100. The spread is 1.4826 times the median distance, or that within
            which nine in ten steps lie over 1.645, whichever is more.
    """

    method: str
    times: NDArray[Any]
    observed: NDArray[np.float64]
    trend: NDArray[np.float64]
    seasons: dict[int, NDArray[np.float64]]
    rest: NDArray[np.float64]
    trend_strength: float
    season_strength: dict[int, float]
    spans: dict[int, str]
    anomalies: tuple[Odd, ...]

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each step."""
        parts = {f"season_{length}": values for length, values in self.seasons.items()}
        return pl.DataFrame(
            {"time": self.times, "observed": self.observed, "trend": self.trend, **parts,
             "rest": self.rest}
        )  # fmt: skip

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the series and its parts, one below the other."""
        from lepton_ai.data.analysis.plots import parts

        return parts(self, path)

    def text(self) -> str:
        """Return what is printed."""
        spread = float(self.rest.std())
        lines = [
            f"{self.subject}: {self.sampled}; by {self.method}",
            f"  trend: from {figure(float(self.trend[0]))} to {figure(float(self.trend[-1]))}, "
            f"strength {self.trend_strength:.2f}",
        ]
        for length, values in self.seasons.items():
            height = figure(float(values.max() - values.min()))
            strength = self.season_strength[length]
            lines.append(
                f"  season of {self.spans[length]}: height {height}, {strength:.2f} strong"
            )
        lines.append(f"  rest: spread {figure(spread)}")
        lines += [
            f"  unusual: {figure(odd.value)} at {odd.time}, {odd.spreads:+.1f} spreads off"
            for odd in self.anomalies[:10]
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture

        return f"<pre>{escape(str(self))}</pre>" + picture(self.plot())


def decompose(
    data: Any,
    value: str | None = None,
    *,
    time: str | None = None,
    periods: int | Sequence[int] | None = None,
    robust: bool = False,
    workspace: Workspace | None = None,
) -> Decomposition:
    """Take a series apart into trend, seasons and rest: STL, or MSTL for several seasons.

    Strength is that of Wang, Smith and Hyndman (2006): 1 - var(rest) / var(part + rest).

    Args:
        data: a table, a dataset's name, a frame, or an array of numbers at even steps.
        value: the column of numbers.
        time: the column that orders the rows; their own order unless given.
        periods: steps of each season; those that the autocorrelation shows, unless given.
        robust: whether outliers count less; slower.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there is no such column, no period is found, or the series holds less than
            two of one.
        MissingExtra: statsmodels is not installed.
    """
    line = Timeline(data, value, time, workspace=workspace)
    if line.values.size > _MOST:
        raise InvalidInput(
            f"{line.name} has {line.values.size:,} steps; at most {_MOST:,} are taken apart. Bring "
            "them to longer steps first"
        )
    if periods is None:
        lengths = sorted(length for length, *_ in periods_of(line.values))
        if not lengths:
            raise InvalidInput(f"{line.name} has no rhythm that is found; name one: periods=[24]")
    else:
        lengths = sorted({int(n) for n in np.atleast_1d(periods)})
    wrong = [n for n in lengths if not 2 <= n <= line.values.size // 2]
    if wrong or not lengths:
        raise InvalidInput(
            f"periods={wrong or lengths}: a series of {line.values.size:,} steps holds periods of "
            f"2 to {line.values.size // 2:,}, twice at least"
        )
    trend, seasons, rest = _taken_apart(line.values, lengths, robust)
    return Decomposition(
        subject=line.name,
        sampled=f"{line.values.size:,} steps, {line.filled:,} filled in",
        method="STL" if len(lengths) == 1 else "MSTL",
        times=line.times,
        observed=line.values,
        trend=trend,
        seasons=seasons,
        rest=rest,
        trend_strength=_strength(trend, rest),
        season_strength={length: _strength(part, rest) for length, part in seasons.items()},
        spans={length: line.span(length) for length in lengths},
        anomalies=_odd(line, rest),
    )


def _taken_apart(
    values: NDArray[np.float64], lengths: Sequence[int], robust: bool
) -> tuple[NDArray[np.float64], dict[int, NDArray[np.float64]], NDArray[np.float64]]:
    tools = load("statsmodels.tsa.seasonal", extra="analysis")
    # Smooth parts are worked out at every tenth step and joined by lines, as Cleveland did.
    jump = max(1, lengths[0] // 10)
    options = {"robust": robust, "trend_jump": jump, "low_pass_jump": jump}
    if len(lengths) == 1:
        done = tools.STL(values, period=lengths[0], **options).fit()
        return done.trend, {lengths[0]: done.seasonal}, done.resid
    done = tools.MSTL(values, periods=list(lengths), stl_kwargs=options).fit()
    columns = np.asarray(done.seasonal).T
    seasons = dict(zip(lengths, columns, strict=True))
    return np.asarray(done.trend), seasons, np.asarray(done.resid)


def _odd(line: Timeline, rest: NDArray[np.float64]) -> tuple[Odd, ...]:
    off = rest - np.median(rest)
    size = np.abs(off)
    # The middle is not enough: a robust fit goes through most steps of a short series exactly.
    spread = max(1.4826 * float(np.median(size)), float(np.quantile(size, 0.9)) / 1.645)
    # What a perfect fit leaves is rounding, not news.
    spreads = off / max(spread, 1e-9 / _FAR * float(np.abs(line.values).max()), 1e-300)
    far = np.flatnonzero(np.abs(spreads) >= _FAR)
    order = far[np.argsort(-np.abs(spreads[far]), kind="stable")][:_SHOWN]
    return tuple(
        Odd(int(at), _moment(line.times[at]), float(line.values[at]), float(spreads[at]))
        for at in order
    )


def _moment(time: Any) -> str:
    return str(time).removesuffix(".000000").removesuffix("T00:00:00")


def _strength(part: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    whole = float((part + rest).var())
    return max(0.0, 1 - float(rest.var()) / whole) if whole else 0.0
