"""Slices: the figures of parts of the rows, and how far apart they lie.

Of two classes the differences of three rates have names: demographic parity (of the share that is
called positive; Dwork et al., 2012), equal opportunity (of the recall) and equalised odds (the
larger of recall and false alarms; Hardt et al., 2016).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.figures import Difference, Slice, Slices
from lepton_ai.ml.evaluation.resampling import Measure, Resampling, exact, interval, intervals
from lepton_ai.ml.evaluation.shown import Name

__all__ = ["measure_slices"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_MOST = 50
_RANGES = 4
_PARITY = {"selection_rate": " (demographic parity)", "recall": " (equal opportunity)"}
_ODDS = ("recall", "specificity")


def measure_slices(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]] | None,
    of: Callable[[Rows], Measure],
    resampling: Resampling,
    names: Mapping[str, Name],
    chief: str,
    support: Callable[[Rows], Mapping[str, int]] = lambda rows: {},
) -> list[Slices]:
    """Return the figures of each value of each column.

    All slices are measured on the same draws, so that differences have their own intervals.

    Args:
        columns: the value of each row, by the name of the column. Numbers of more than ten values
            are cut into ranges at their quartiles. Missing values are a slice of their own.
        of: makes the measure of some rows.
        resampling: of all the rows.
        names: the figures to keep.
        chief: the figure by which the worst slice is found.
        support: how many units each share of some rows rests on; see `exact`.

    Raises:
        InvalidInput: a column has more than 50 values, or not one a row.
    """
    return [
        _column(name, values, of, resampling, names, chief, support)
        for name, values in (columns or {}).items()
    ]


def _column(
    column: str,
    values: Sequence[Any] | NDArray[Any],
    of: Callable[[Rows], Measure],
    resampling: Resampling,
    names: Mapping[str, Name],
    chief: str,
    support: Callable[[Rows], Mapping[str, int]],
) -> Slices:
    labels = _labels(column, values, len(resampling.units))
    found, counts = np.unique(labels, return_counts=True)
    if len(found) > _MOST:
        raise InvalidInput(
            f"the column {column!r} has {len(found)} values, and at most {_MOST} can be slices; "
            "put rare ones together first"
        )
    parts = [
        (str(found[n]), np.flatnonzero(labels == found[n]))
        for n in np.argsort(-counts, kind="stable")
    ]
    measures = [(rows, of(rows)) for _, rows in parts]
    drawn: list[list[dict[str, Floats]]] = [[] for _ in parts]
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in resampling.weights():
            for place, (rows, measure) in enumerate(measures):
                drawn[place].append(measure(weights[:, rows]))
    draws = [
        {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        for chunks in drawn
    ]
    once = [
        {n: v[0] for n, v in m(np.ones((1, len(rows)))).items() if v.ndim == 1}
        for rows, m in measures
    ]
    slices = [
        Slice(
            value,
            len(rows),
            {n: _known(v) for n, v in figures.items() if n in names},
            exact(
                {n: e for n, e in intervals(d, resampling.confidence).items() if n in names},
                support(rows),
                resampling.confidence,
            ),
        )
        for (value, rows), figures, d in zip(parts, once, draws, strict=True)
    ]
    gaps = _differences(slices, once, draws, resampling, names)
    return Slices(column, slices, gaps, _worst(slices, names, chief))


def _labels(column: str, values: Sequence[Any] | NDArray[Any], rows: int) -> NDArray[np.str_]:
    given = np.asarray(values)
    if given.shape != (rows,):
        raise InvalidInput(
            f"the slices of {column!r} need one value for each of {rows} rows; got {given.shape}"
        )
    if given.dtype.kind in "iuf" and len(np.unique(given)) > 10:
        return _ranges(given.astype(np.float64))
    return np.array(["missing" if _absent(v) else str(v) for v in given.tolist()], dtype=str)


def _ranges(values: Floats) -> NDArray[np.str_]:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _RANGES + 1)))
    texts = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(texts) - 1)
    return np.where(np.isnan(values), "missing", np.array(texts)[place])


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _differences(
    slices: Sequence[Slice],
    once: Sequence[Mapping[str, Floats]],
    draws: Sequence[Mapping[str, Floats]],
    resampling: Resampling,
    names: Mapping[str, Name],
) -> list[Difference]:
    fairness = "selection_rate" in names
    result = []
    for figure, name in names.items():
        values = np.array([float(part.get(figure, np.nan)) for part in once])
        if np.isfinite(values).sum() < 2:
            continue
        high, low = int(np.nanargmax(values)), int(np.nanargmin(values))
        result.append(
            Difference(
                name.title + (_PARITY.get(figure, "") if fairness else ""),
                figure,
                slices[high].value,
                slices[low].value,
                float(values[high] - values[low]),
                interval(draws[high][figure] - draws[low][figure], resampling.confidence),
            )
        )
    rates = [item for item in result if item.figure in _ODDS]
    if fairness and rates:
        # The difference of specificities is that of the rates of false alarms.
        largest = max(rates, key=lambda item: item.value)
        result.append(msgspec.structs.replace(largest, name="equalised odds"))
    return result


def _worst(slices: Sequence[Slice], names: Mapping[str, Name], chief: str) -> str | None:
    known = [(part.figures[chief], part.value) for part in slices]
    defined = [(value, label) for value, label in known if value is not None]
    if len(defined) < 2:
        return None
    choose = min if names[chief].better == "higher" else max
    return choose(defined, key=lambda item: item[0])[1]


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
