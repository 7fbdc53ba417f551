"""The evaluation of a forecast: each step of the horizon, against the seasonal-naive forecast."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import StepFigures
from lepton_ai.ml.evaluation.resampling import Resampling, block_of, interval, intervals
from lepton_ai.ml.evaluation.shown import Columns, Name, between, written
from lepton_ai.ml.evaluation.slices import measure_slices

__all__ = [
    "ForecastEvaluation",
    "assess_forecast",
    "naive_scale",
    "repeated_season",
    "seasonal_naive",
]

Floats = NDArray[np.float64]


class ForecastEvaluation(Evaluation, frozen=True, kw_only=True, eq=False, tag="forecasting"):
    """The figures of a forecaster; as a number, it is the mean absolute error.

    Errors are in the unit of the series, in the mean over all steps and series.

    Attributes:
        mae: mean absolute error.
        rmse: root mean square error.
        mape: mean of the error's share of the truth, where that is not 0.
        mase: mean absolute error over that of the seasonal-naive forecast of one step within the
            training series (Hyndman and Koehler, 2006), where those were given.
        naive_mae: mean absolute error of the seasonal-naive forecast of the same values.
        skill: by what share the error is smaller than ``naive_mae``; 0 is no better.
        season: steps of a season of the naive forecast.
        block: rows that follow each other and were resampled together.
        steps: the figures of each step.
        series: how many series.
    """

    task: ClassVar[str] = "forecasting"
    chief: ClassVar[str] = "mae"
    names: ClassVar[Mapping[str, Name]] = {
        "mae": Name("mean absolute error", "lower", short="MAE"),
        "rmse": Name("root mean square error", "lower", short="RMSE"),
        "mape": Name("mean error in percent", "lower", percent=True, short="MAPE"),
        "mase": Name("scaled error (MASE)", "lower"),
        "naive_mae": Name("seasonal-naive error", ""),
        "skill": Name("skill over seasonal-naive"),
    }

    mae: float
    rmse: float
    mape: float | None
    mase: float | None = None
    naive_mae: float | None = None
    skill: float | None = None
    season: int
    block: int
    series: int
    steps: list[StepFigures]

    def plots(self) -> dict[str, Plot]:
        """Return what draws the error at each step."""
        from lepton_ai.ml.evaluation import value_plots

        return {"error by step": lambda: value_plots.horizon(self)}

    def tables(self) -> list[Columns]:
        """Return the figures of each step."""
        head = ["step", "MAE", "interval", "RMSE", "MAPE", "seasonal-naive MAE"]
        rows = [
            [
                str(item.step),
                written(item.mae),
                between(item.intervals.get("mae")),
                written(item.rmse),
                written(item.mape, percent=True),
                written(item.naive_mae),
            ]
            for item in self.steps
        ]
        return [Columns("By step", head, rows, range(6))]

    def about(self) -> str:
        """Return the horizon and the number of series."""
        season = f", season {self.season}" if self.naive_mae is not None else ""
        return f"{len(self.steps)} steps of {self.series} series{season}"


class ForecastMeasure:
    """The figures of forecasts; missing truth is left out."""

    def __init__(
        self, truth: Floats, answers: Floats, naive: Floats | None, scale: Floats | None
    ) -> None:
        """Prepare what every weighting shares.

        Args:
            truth: (rows, steps, series), NaN where missing.
            answers: (rows, steps, series).
            naive: the naive forecast, NaN where there is none.
            scale: the error by which each series is scaled (series,).
        """
        known = np.isfinite(truth)
        size = np.where(known, np.abs(answers - truth), 0.0)
        some = known & (truth != 0)
        share = np.divide(size, np.abs(truth), out=np.zeros_like(size), where=some)
        self._sums = {
            "count": known.sum(axis=2),
            "size": size.sum(axis=2),
            "square": (size**2).sum(axis=2),
            "some": some.sum(axis=2),
            "share": share.sum(axis=2),
        }
        if naive is not None:
            both = known & np.isfinite(naive)
            off = np.where(both, np.abs(naive - truth), 0.0)
            self._sums["naive_count"] = both.sum(axis=2)
            self._sums["naive"] = off.sum(axis=2)
            self._sums["beside"] = np.where(both, size, 0.0).sum(axis=2)
        if scale is not None:
            self._sums["scaled"] = (size / scale).sum(axis=2)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures (draws,), and by step (draws, steps) under ``step_`` and the name."""
        sums = {name: weights @ part for name, part in self._sums.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            by_step = _figures(sums)
            whole = _figures({name: part.sum(axis=1) for name, part in sums.items()})
        return whole | {f"step_{name}": value for name, value in by_step.items()}


def assess_forecast(
    truth: Any,
    answers: Any,
    *,
    naive: Any = None,
    history: Any = None,
    season: int = 1,
    slices: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
    block: int | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ForecastEvaluation:
    """Measure forecasts of several steps, of one series or many.

    Args:
        truth: what came (rows, steps) or (rows, steps, series), rows in the order of time; NaN
            where it is missing.
        answers: the forecasts, in the same shape.
        naive: the seasonal-naive forecasts in the same shape; see `seasonal_naive`.
        history: the series of the training (times,) or (times, series), for the scaled error.
        season: steps of a season.
        slices: columns whose values part the rows, such as the hour.
        block: rows that follow each other and are resampled together, since windows overlap and
            errors persist; by default the steps, or the cube root of the rows where that is more.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: shapes differ, nothing is known of the truth, or a forecast is not finite.
    """
    true, given = _three("the truth", truth), _three("the forecasts", answers)
    beside = None if naive is None else _three("the naive forecasts", naive)
    for what, part in (("forecasts", given), ("naive forecasts", beside)):
        if part is not None and part.shape != true.shape:
            raise InvalidInput(f"the truth is {true.shape}, the {what} {part.shape}")
    if not np.isfinite(given).all() or not np.isfinite(true).any():
        raise InvalidInput(
            f"{np.count_nonzero(~np.isfinite(given))} forecasts are not finite, and "
            f"{np.count_nonzero(np.isfinite(true))} true values are known"
        )
    rows, steps, series = true.shape
    scale = None if history is None else naive_scale(history, season)
    if scale is not None and scale.shape != (series,):
        raise InvalidInput(f"the history holds {len(scale)} series, the truth {series}")
    length = block if block is not None else max(steps, block_of(rows))
    resampling = Resampling.of(
        rows, block=length, resamples=resamples, confidence=confidence, seed=seed
    )

    def of(chosen: NDArray[np.int64]) -> ForecastMeasure:
        return ForecastMeasure(
            true[chosen], given[chosen], None if beside is None else beside[chosen], scale
        )

    measure = of(np.arange(rows))
    once = {name: value[0] for name, value in measure(resampling.once()).items()}
    draws = resampling.draws(measure)
    figures = {n: _known(v) for n, v in once.items() if v.ndim == 0}
    names = ForecastEvaluation.names
    return ForecastEvaluation(
        mae=float(once["mae"]),
        rmse=float(once["rmse"]),
        mape=figures["mape"],
        mase=figures.get("mase"),
        naive_mae=figures.get("naive_mae"),
        skill=figures.get("skill"),
        rows=rows,
        groups=None,
        confidence=confidence,
        intervals=intervals({n: v for n, v in draws.items() if n in names}, confidence),
        season=season,
        block=resampling.block,
        series=series,
        steps=[_step(place, once, draws, confidence) for place in range(steps)],
        slices=measure_slices(slices, of, resampling, names, "mae"),
    )


def seasonal_naive(windows: Any, steps: int, season: int = 1) -> Floats:
    """Return the forecast that repeats the last season: (rows, steps, series).

    Args:
        windows: the history before each forecast, (rows, times) or (rows, times, series).
        steps: how many steps ahead.
        season: steps of a season; 1 repeats the last value.

    Raises:
        InvalidInput: a window is shorter than a season.
    """
    given = _three("the windows", windows)
    if not 1 <= season <= given.shape[1]:
        raise InvalidInput(
            f"season={season} does not fit into windows of {given.shape[1]} times; it must lie "
            "within one"
        )
    last = given[:, given.shape[1] - season :]
    return last[:, np.arange(steps) % season]


def repeated_season(
    values: Floats, origins: NDArray[np.int64], steps: int, season: int = 1
) -> Floats:
    """Return the seasonal-naive forecast within series: (origins, steps, series).

    Args:
        values: the series (times, series).
        origins: the last time that each forecast knows.
        steps: how many steps ahead.
        season: steps of a season. NaN where the series began later than a season ago.

    Raises:
        InvalidInput: the season is below 1.
    """
    if season < 1:
        raise InvalidInput(f"season must be a whole number of steps from 1; got {season}")
    ahead = np.arange(1, steps + 1)
    place = origins[:, None] + ahead - season * -(-ahead // season)
    found: Floats = np.where((place >= 0)[:, :, None], values[np.maximum(place, 0)], np.nan)
    return found


def naive_scale(history: Any, season: int = 1) -> Floats:
    """Return the mean absolute error of each training series' seasonal-naive forecast (series,).

    Args:
        history: (times,) or (times, series), NaN where missing.
        season: steps of a season.

    Raises:
        InvalidInput: the history is shorter than two seasons, or a series repeats itself exactly.
    """
    given = np.asarray(history, dtype=np.float64)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or len(given) <= season or season < 1:
        raise InvalidInput(f"a season of {season} needs a longer history; got {given.shape}")
    off = np.abs(given[season:] - given[:-season])
    known = np.isfinite(off)
    with np.errstate(invalid="ignore"):
        scale: Floats = np.where(known, off, 0).sum(axis=0) / known.sum(axis=0)
    if not (scale > 0).all():
        place = int(np.argmin(scale > 0))
        raise InvalidInput(
            f"series {place} of the history repeats itself exactly, or is missing, so that no "
            "error can be scaled by its own; leave it out"
        )
    return scale


def _figures(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    count = sums["count"]
    found = {
        "mae": sums["size"] / count,
        "rmse": np.sqrt(sums["square"] / count),
        "mape": sums["share"] / sums["some"],
    }
    if "naive" in sums:
        found["naive_mae"] = sums["naive"] / sums["naive_count"]
        found["skill"] = 1 - sums["beside"] / sums["naive"]
    if "scaled" in sums:
        found["mase"] = sums["scaled"] / count
    return found


def _step(
    place: int, once: Mapping[str, Floats], draws: Mapping[str, Floats], confidence: float
) -> StepFigures:
    ends = {
        name: interval(draws[f"step_{name}"][:, place], confidence)
        for name in ("mae", "rmse", "mape", "naive_mae")
        if f"step_{name}" in draws
    }
    naive = once.get("step_naive_mae")
    return StepFigures(
        place + 1,
        _known(once["step_mae"][place]),
        _known(once["step_rmse"][place]),
        _known(once["step_mape"][place]),
        {name: pair for name, pair in ends.items() if pair is not None},
        None if naive is None else _known(naive[place]),
    )


def _three(what: str, values: Any) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    given = given[:, :, None] if given.ndim == 2 else given
    if given.ndim != 3 or not given.size:
        raise InvalidInput(
            f"{what} must be (rows, steps) or (rows, steps, series); got {given.shape}"
        )
    return given


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
