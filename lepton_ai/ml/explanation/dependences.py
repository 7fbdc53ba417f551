"""Dependence: how a model's answer changes with one column, over many rows.

Partial dependence (Friedman, 2001) sets the column to each value in all rows. Accumulated local
effects (Apley and Zhu, 2020) move each row only to the ends of the bin that its value lies in, so
that no row leaves the region where columns that go together were learned from.
"""

from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.columns import dates
from lepton_ai.ml.evaluation.shown import printable, written
from lepton_ai.ml.explanation.changes import check_columns
from lepton_ai.ml.explanation.output import output_of
from lepton_ai.ml.explanation.space import ArraySpace, TableSpace
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes

__all__ = ["Dependence", "dependence"]

Matrix = NDArray[np.float64]
Kind = Literal["partial", "ale"]

_TITLES = {"partial": "partial dependence", "ale": "accumulated local effects"}


class Dependence(Struct, frozen=True, kw_only=True):
    """The mean answer at values of one column.

    Attributes:
        model: its reference.
        kind: partial dependence, or accumulated local effects.
        column: that is changed.
        about: the class, cluster or value.
        space: of the answers.
        values: of the column, ascending; empty for text.
        categories: of a column of text or truth values.
        answers: the mean answer at each; accumulated effects have mean 0 over the rows.
        rows: how many rows are averaged over.
    """

    model: str
    kind: str
    column: str
    about: str
    space: str
    values: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    answers: tuple[float, ...]
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        return given

    def plots(self) -> dict[str, Any]:
        """Return the plot by name."""
        from lepton_ai.ml.explanation import plots

        return {"dependence": plots.dependence(self)}

    def __str__(self) -> str:
        at = self.categories or [f"{value:.6g}" for value in self.values]
        rows = [
            (printable(one), written(answer)) for one, answer in zip(at, self.answers, strict=True)
        ]
        title = f"{self.model}: {self.kind} of {self.about} ({self.space}) on {self.column}"
        return f"{printable(title)}\n{aligned((self.column, self.space), rows, (1,))}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture

        return picture(self.plots()["dependence"])


def dependence(
    model: Model,
    column: str,
    data: Any = None,
    *,
    about: str | None = None,
    kind: Kind = "partial",
    points: int = 20,
    rows: int = 500,
) -> Dependence:
    """Tell how a model's mean answer changes with one column.

    Args:
        model: to explain.
        column: of the user's data.
        data: rows to average over; by default the prototypes of the training.
        about: the class, cluster or series; by default the second of two classes, else the first.
        kind: ``partial`` or ``ale``; the latter is for columns of numbers and dates.
        points: values of the column, at quantiles of the data.
        rows: that are averaged over, at most.

    Raises:
        InvalidInput: there is no such column, or it has no order for ``ale``.
        AccessDenied: whoever acts sees the column masked.
    """
    if kind not in _TITLES:
        raise InvalidInput(f"kind must be partial or ale; got {kind!r}")
    if points < 2 or rows < 1:
        raise InvalidInput(f"points must be 2 or more and rows 1; got {points} and {rows}")
    space = model.explainer.space
    if isinstance(space, ArraySpace) and (space.shape is None or len(space.shape) > 1):
        raise InvalidInput("dependence is about a column; images and series have none")
    check_columns([column], space.names)
    model.require([column])
    chosen, shares = _rows(model, data, rows)
    outcome = model.description.outcome
    if about is None and isinstance(outcome, Classes) and len(outcome.names) == 2:
        about = outcome.names[1]
    elif about is None and outcome.names and model.task in ("classification", "clustering"):
        about = outcome.names[0]
    output = output_of(outcome, about, np.zeros(outcome.width))
    ordered, values = _values(space, column, chosen)
    if kind == "ale" and not ordered:
        raise InvalidInput(f"ale needs an order of values, which {column!r} has not; use partial")

    def asked(changed: list[Any]) -> Matrix:
        return output.of(model.predictor.run(space.features(changed)))

    common: dict[str, Any] = {
        "model": model.ref, "kind": _TITLES[kind], "column": column, "about": output.about,
        "space": output.space, "rows": len(chosen),
    }  # fmt: skip
    if not ordered:
        given = [float(shares @ asked(_with(space, chosen, column, value))) for value in values]
        return Dependence(categories=tuple(map(str, values)), answers=tuple(given), **common)
    grid = np.unique(np.quantile(np.asarray(values), np.linspace(0, 1, points)))
    if kind == "partial" or len(grid) < 2:
        given = [float(shares @ asked(_with(space, chosen, column, float(at)))) for at in grid]
        return Dependence(values=tuple(grid.tolist()), answers=tuple(given), **common)
    known = np.asarray(values)
    bins = np.clip(np.searchsorted(grid, known, side="left") - 1, 0, len(grid) - 2)
    present = [row for row in chosen if _read(space, column, row) is not None]
    weights = np.array(
        [w for w, row in zip(shares, chosen, strict=True) if _read(space, column, row) is not None]
    )
    low = asked(
        [
            _with(space, [row], column, float(grid[b]))[0]
            for row, b in zip(present, bins, strict=True)
        ]
    )
    high = asked(
        [
            _with(space, [row], column, float(grid[b + 1]))[0]
            for row, b in zip(present, bins, strict=True)
        ]
    )
    count = np.bincount(bins, weights, minlength=len(grid) - 1)
    effects = np.bincount(bins, weights * (high - low), minlength=len(grid) - 1)
    effects = np.divide(effects, count, out=np.zeros_like(effects), where=count > 0)
    curve = np.concatenate([[0.0], np.cumsum(effects)])
    centre = ((curve[1:] + curve[:-1]) / 2 * count).sum() / count.sum()
    return Dependence(
        values=tuple(grid.tolist()), answers=tuple((curve - centre).tolist()), **common
    )


def _rows(model: Model, data: Any, most: int) -> tuple[list[Any], Matrix]:
    space = model.explainer.space
    if data is None:
        if isinstance(space, TableSpace):
            return space.records(), space.shares
        assert model.explainer.basis.arrays is not None
        return list(model.explainer.basis.arrays.values), space.shares
    every, _ = model.rows(data)
    if not every:
        raise InvalidInput("the data has no row to average over")
    places = np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).astype(int))
    return [every[place] for place in places], np.full(len(places), 1 / len(places))


def _values(space: TableSpace | ArraySpace, column: str, rows: list[Any]) -> tuple[bool, list[Any]]:
    """Return whether a column's values have an order, and which there are."""
    if isinstance(space, ArraySpace):
        return True, [float(row[space.names.index(column)]) for row in rows]
    summary = space.columns[column]
    known = [value for row in rows if (value := _read(space, column, row)) is not None]
    if summary.kind in ("number", "date"):
        if not known:
            raise InvalidInput(f"column {column!r} has no value in these rows")
        return True, known
    if summary.kind == "boolean":
        return False, [False, True]
    return False, list(summary.categories) or sorted(set(map(str, known)))


def _read(space: TableSpace | ArraySpace, column: str, row: Any) -> Any:
    """Return a row's value, dates as days; None where it is missing."""
    if isinstance(space, ArraySpace):
        return float(row[space.names.index(column)])
    value = row.get(column)
    if space.columns[column].kind == "date":
        day = float(dates(column, [value])[0])
        return None if np.isnan(day) else day
    return None if value is None or value != value else value


def _with(space: TableSpace | ArraySpace, rows: list[Any], column: str, value: Any) -> list[Any]:
    """Return rows with one value changed."""
    if isinstance(space, ArraySpace):
        place = space.names.index(column)
        changed = []
        for row in rows:
            other = np.array(row, dtype=np.float64)
            other[place] = value
            changed.append(other)
        return changed
    if space.columns[column].kind == "date":
        value = np.datetime64(round(value * 86_400_000_000), "us").item()
    return [{**row, column: value} for row in rows]
