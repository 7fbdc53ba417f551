"""Learning a forecast: the next steps of one or many series, from a table in wide form.

Each row is a moment, each column a series. The model chosen is tried beside the baselines of the
zoo on the last part of the series before it learns from all of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import columns_of, is_frame
from lepton_ai.data.encoding import Encoding
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.ml import zoo
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.fitting import Fitted, fit
from lepton_ai.ml.forecasting.windows import Windows, cut_windows
from lepton_ai.ml.learning import Learned, checkpoint_of, conclude
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Forecast
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.task import FORECASTING
from lepton_ai.ml.wish import Wish, settled
from lepton_ai.storage import Workspace

__all__ = ["learn_forecast"]

Matrix = NDArray[np.float64]

_DAY = np.timedelta64(1, "D")
# Of the windows, the last ones that the comparison with the baselines is made on.
_TRIED = 0.2


class _Series(Struct, frozen=True):
    """Evenly spaced series.

    Attributes:
        values: (steps, series).
        moments: of the steps, datetime64[us]; None where they are only counted.
        season: steps of a day, where moments tell one.
    """

    table: Table
    names: tuple[str, ...]
    values: Matrix
    moments: NDArray[np.datetime64] | None
    season: int | None


def learn_forecast(data: Any, wish: Wish) -> Model:
    """Train a forecaster and register it.

    Raises:
        UnknownModel: no forecaster has that name; the message lists the names.
        InvalidInput: the steps are not even, a value is missing, or the series are too short.
    """
    entry, parameters = settled(FORECASTING, wish)
    series = _series_of(data, wish)
    season = series.season
    clock = wish.time if season is not None else None
    columns = dict(zip(series.names, series.values.T, strict=True))
    encoding = Encoding.fit(columns, dict.fromkeys(columns, "number"), standardise=False)
    if encoding.skipped:
        raise InvalidInput(f"these series cannot be read: {encoding.skipped}; leave them out")
    preparation = Preparation(encoding, window=wish.window, clock=clock)
    given = columns if clock is None else {clock: series.moments, **columns}
    steps = preparation.table(given)
    windows = cut_windows(
        series.values,
        history=wish.window,
        horizon=wish.horizon,
        calendar=None if season is None else steps[:, len(columns) :],
    )
    moments = None if series.moments is None else series.moments[windows.origins - 1]
    place = series.table.workspace
    options: dict[str, Any] = {
        "seed": wish.seed,
        "task": FORECASTING,
        "times": moments,
        "shape": preparation.shape,
        "managed": {"season": season},
        "workers": wish.workers_in(place),
    }
    compared = _compared(entry, windows, wish.horizon, parameters, options)
    matrix = windows.features.astype(np.float64)
    target = windows.targets.astype(np.float64)
    examples = Examples(
        kind="table",
        dataset=series.table,
        labels=np.empty(0, dtype=str),
        columns=columns,
        beside=() if wish.time is None else (wish.time,),
        times=None if wish.time is None else np.arange(len(series.values), dtype=np.float64),
    )
    managed = options["managed"]
    options["managed"] = managed | {
        "checkpoint": checkpoint_of(examples, FORECASTING, wish, parameters)
    }
    fitted = fit(entry, matrix, target, parameters=parameters, **options)
    learned = Learned(
        examples=examples,
        preparation=preparation,
        matrix=matrix,
        target=target,
        fitted=fitted,
        outcome=Forecast(series.names, wish.horizon, season),
        notes=(compared,),
    )
    return conclude(FORECASTING, entry, learned, wish, parameters)


def _compared(
    entry: zoo.Entry,
    windows: Windows,
    horizon: int,
    parameters: dict[str, Any],
    options: dict[str, Any],
) -> str:
    """Fit the model and the baselines to the first windows, and say how far off each is after."""
    rows = len(windows.features)
    first = int(rows * (1 - _TRIED))
    # A window whose horizon reaches into the last part has seen what it is tried on.
    learned = first - horizon
    if learned < 2:
        return "too few windows to try the model on later ones before it learned from all"
    matrix, target = windows.features.astype(np.float64), windows.targets.astype(np.float64)
    times = options["times"]
    early = options | {"times": None if times is None else times[:learned]}
    errors = {}
    season, steps = options["managed"]["season"], options["shape"][0]
    # A history shorter than the season does not hold what was a season ago.
    repeated = {"seasonal naive": {"cycle": season}} if season and season <= steps else {}
    beside: dict[str, dict[str, Any]] = {"persistence": {}, "ridge forecast": {}, **repeated}
    for name, usual in ({entry.name: parameters} | beside).items():
        each = zoo.find(name, FORECASTING.name)
        chosen = parameters if name == entry.name else usual
        made: Fitted = fit(each, matrix[:learned], target[:learned], parameters=chosen, **early)
        given = FORECASTING.answers(made.estimator, matrix[first:])
        errors[name] = float(np.abs(given - target[first:]).mean())
    shown = ", ".join(f"{name} {error:.4g}" for name, error in errors.items())
    return f"mean absolute error on the last {rows - first} windows, learned before them: {shown}"


def _series_of(data: Any, wish: Wish) -> _Series:
    if wish.window < 1 or wish.horizon < 1:
        raise InvalidInput(
            "a forecaster needs history= and horizon=, whole numbers of steps from 1; got "
            f"{wish.window} and {wish.horizon}"
        )
    table = data
    if not isinstance(data, Table):
        if not is_frame(data):
            raise InvalidInput(
                "a forecast is learned from a table or a frame with a column for each series; got "
                f"{type(data).__name__}"
            )
        workspace = wish.workspace or Workspace.open()
        table = read_table(data, name=wish.name or "series", workspace=workspace)
    columns = columns_of(table.to_polars())
    names = _names(wish.target, columns, wish.time)
    order, moments = np.arange(len(next(iter(columns.values())))), None
    if wish.time is not None:
        if wish.time not in columns:
            raise InvalidInput(f"time={wish.time!r} is no column; they are: {', '.join(columns)}")
        stamps = columns[wish.time]
        order = np.argsort(stamps, kind="stable")
        _check_even(stamps[order], wish.time)
        moments = stamps[order].astype("datetime64[us]") if stamps.dtype.kind == "M" else None
    values = np.stack([_numbers(name, columns[name]) for name in names], axis=1)[order]
    return _Series(table, names, values, moments, _season(wish.season, moments))


def _names(target: Any, columns: dict[str, Any], time: str | None) -> tuple[str, ...]:
    if target is None:
        found = [n for n, c in columns.items() if n != time and c.dtype.kind in "fiu"]
    else:
        found = [target] if isinstance(target, str) else list(target)
    missing = [name for name in found if name not in columns]
    if missing or not found or not isinstance(found, Sequence):
        raise InvalidInput(
            f"target={target!r} must name columns of numbers, one for each series; the columns "
            f"are: {', '.join(columns)}. A long table of (moment, series, value) is made wide by "
            "frame.pivot('series', index='moment', values='value')"
        )
    return tuple(found)


def _numbers(name: str, column: NDArray[Any]) -> Matrix:
    if column.dtype.kind not in "fiub":
        raise InvalidInput(f"the series {name!r} holds no numbers")
    values = column.astype(np.float64)
    gaps = ~np.isfinite(values)
    if gaps.any():
        raise InvalidInput(
            f"the series {name!r} has {int(gaps.sum())} gaps, the first at row "
            f"{int(gaps.argmax())}; fill them first, such as by the recipe step "
            "Impute(method='forward')"
        )
    return values


def _check_even(stamps: NDArray[Any], time: str) -> None:
    if len(stamps) < 2:
        raise InvalidInput("a series needs two steps or more")
    gaps = np.diff(stamps)
    if len(np.unique(gaps)) > 1:
        usual = np.median(gaps.astype(np.int64)).astype(gaps.dtype)
        odd = int((gaps != usual).argmax())
        raise InvalidInput(
            f"the steps of {time!r} are not even: {gaps[odd]} follow row {odd}, and {usual} most "
            "others; bring them to one spacing, such as by the recipe step Calendar"
        )


def _season(asked: str | int | None, moments: NDArray[np.datetime64] | None) -> int | None:
    """Return the steps of a day, where a season is asked for and moments tell it."""
    if asked is None:
        return None
    if moments is None:
        if asked == "auto":
            return None
        raise InvalidInput("a season is of days: name a column of moments by time=")
    step = moments[1] - moments[0]
    if step > np.timedelta64(0) and _DAY % step == np.timedelta64(0) and step < _DAY:
        steps = int(_DAY // step)
        if asked != "auto" or len(moments) >= 2 * steps:
            return steps
    if asked == "auto":
        return None
    raise InvalidInput(f"steps of {step} make no whole day; pass season=None")
