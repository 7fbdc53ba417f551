"""Series: the windows of a table that a forecaster is measured on, and the naive forecast."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.columns import columns_of, numbers
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.ml.evaluation.forecasting import repeated_season
from lepton_ai.ml.evaluation.tried import Tried
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Forecast

__all__ = ["history_of", "season_of", "windows_of_series"]

Floats = NDArray[np.float64]

_DAY = np.timedelta64(1, "D")


def windows_of_series(
    model: Model, columns: Mapping[str, NDArray[Any]], slices: Sequence[str], season: int | None
) -> Tried:
    """Return each window of a table's series that has a whole horizon after it.

    The naive forecast looks back a season within the whole table, not only within the window.

    Args:
        model: a forecaster.
        columns: of the table: a row for each moment, a column for each series.
        slices: columns whose value at a window's last step parts the windows.
        season: steps of a season; those of a day where moments tell them, else 1.

    Raises:
        InvalidInput: a column is missing, or the table is shorter than a window and a horizon.
    """
    outcome, window = model.description.outcome, model.predictor.preparation.window
    assert isinstance(outcome, Forecast)
    values = _values(outcome.names, columns)
    stamps = _stamps(model, columns)
    order = np.arange(len(values)) if stamps is None else np.argsort(stamps, kind="stable")
    values = values[order]
    last = np.arange(window - 1, len(values) - outcome.steps)
    if not len(last):
        raise InvalidInput(
            f"{model.ref} needs {window} steps of history and {outcome.steps} of what came; the "
            f"test data has {len(values)}"
        )
    known = {name: column[order] for name, column in columns.items()}
    needed = {*outcome.names, *model.description.hidden, model.predictor.preparation.clock}
    steps = season_of(None if stamps is None else stamps[order]) if season is None else season
    coming = sliding_window_view(values, outcome.steps, axis=0)
    return Tried(
        matrix=model.features({n: c for n, c in known.items() if n in needed})[last],
        truth=np.moveaxis(coming[last + 1], 2, 1),
        where="the series",
        slices={name: known[name][last] for name in slices},
        naive=repeated_season(values, last, outcome.steps, steps),
        season=steps,
    )


def history_of(model: Model) -> Floats | None:
    """Return the series that a forecaster learned from (times, series), where they are stored."""
    outcome = model.description.outcome
    assert isinstance(outcome, Forecast)
    try:
        train = model.training_data()
    except NotFound:
        return None
    if isinstance(train, ImageSet):
        return None
    columns = columns_of(train.to_polars())
    stamps = _stamps(model, columns)
    values = _values(outcome.names, columns)
    return values if stamps is None else values[np.argsort(stamps, kind="stable")]


def season_of(stamps: NDArray[Any] | None) -> int:
    """Return the steps of a day, 1 where moments don't tell them."""
    if stamps is None or stamps.dtype.kind != "M" or len(stamps) < 2:
        return 1
    step = stamps[1] - stamps[0]
    if step <= np.timedelta64(0) or step >= _DAY or _DAY % step != np.timedelta64(0):
        return 1
    return int(_DAY // step)


def _values(names: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> Floats:
    missing = [name for name in names if name not in columns]
    if missing:
        raise InvalidInput(f"the series {missing} are no columns of the test data: {list(columns)}")
    return np.stack([numbers(name, columns[name]) for name in names], axis=1)


def _stamps(model: Model, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    time = model.description.time
    return None if time is None else columns.get(time)
