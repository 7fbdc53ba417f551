"""Space: the columns that contributions are given to, and the prototypes they are compared with.

A coalition of columns keeps the row's own values in these columns and has a prototype's in all
others. Where each feature comes from one column, features are exchanged instead of columns, which
gives the same at less cost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import dates
from lepton_ai.data.encoders import Impute, Project, Standardise
from lepton_ai.ml.explanation.basis import Basis, ColumnSummary, Value
from lepton_ai.ml.preparation import Preparation

__all__ = ["ArraySpace", "Space", "TableSpace", "space_of", "unscaled"]

Matrix = NDArray[np.float64]
Masks = NDArray[np.bool_]
Owner = NDArray[np.int64]

_DAY = 86_400_000_000
# Random coalitions that must agree before features are taken to come from one column each.
_TRIED = 32
_MOST_PATCHES = 8


class Space:
    """What the explanations of one model are about.

    Attributes:
        names: of the columns or regions that contributions are given to.
        background: features of the prototypes (prototypes, features).
        shares: of the training rows that each prototype stands for (prototypes,).
        owner: which of ``names`` each feature belongs to (features,), where that is known.
        shape: how the places of a row fold, for images and series.
    """

    names: tuple[str, ...]
    background: Matrix
    shares: Matrix
    owner: Owner | None
    shape: tuple[int, ...] | None = None

    def features(self, rows: Sequence[Any]) -> Matrix:
        """Return features (rows, features) of rows as this space holds them."""
        raise NotImplementedError

    def shown(self, row: Any) -> dict[str, Value]:
        """Return the values of a row by the name of the column."""
        return {}

    def owner_for(self, row: Any) -> Owner | None:
        """Return which name each feature belongs to, for one row."""
        return self.owner

    def mixed(self, row: Any, masks: Masks) -> Matrix:
        """Return the features of coalitions (coalitions * prototypes, features)."""
        owner = self.owner_for(row)
        if owner is None:
            return self._mixed_rows(row, masks)
        kept = masks[:, owner][:, None, :]
        mixed = np.where(kept, self.features([row]), self.background)
        return mixed.reshape(-1, self.background.shape[1])

    def _mixed_rows(self, row: Any, masks: Masks) -> Matrix:
        raise NotImplementedError


class TableSpace(Space):
    """Records of named columns."""

    def __init__(self, preparation: Preparation, basis: Basis) -> None:
        self._preparation = preparation
        self.columns: dict[str, ColumnSummary] = {each.name: each for each in basis.columns}
        self.names = tuple(self.columns)
        self.shares = basis.shares
        self.prototypes = {
            name: _column(each, each.prototypes) for name, each in self.columns.items()
        }
        self.background = preparation.table(self.prototypes)
        self.owner = self._owner()

    def records(self) -> list[dict[str, Any]]:
        """Return the prototypes as records."""
        rows = zip(*self.prototypes.values(), strict=True)
        return [dict(zip(self.names, row, strict=True)) for row in rows]

    def _owner(self) -> Owner | None:
        encoding = self._preparation.encoding
        if self._preparation.front is not None:
            return None
        places = {name: place for place, name in enumerate(self.names)}
        owner = [places[step.column] for step in encoding.columns for _ in step.features()]
        for step in encoding.steps:
            if isinstance(step, Project):
                return None
            if isinstance(step, Impute):
                owner += [owner[place] for place in step.indicators]
        return np.array(owner)

    def features(self, rows: Sequence[Any]) -> Matrix:
        """Return features (rows, features) of records."""
        return self._preparation.table(list(rows))

    def shown(self, row: Mapping[str, Any]) -> dict[str, Value]:
        """Return the values of a record by column."""
        return {name: _plain(row.get(name)) for name in self.names}

    def owner_for(self, row: Any) -> Owner | None:
        """Return which column each feature belongs to; behind a recipe found by trying."""
        if self.owner is not None or self._preparation.front is None:
            return self.owner
        if any(isinstance(step, Project) for step in self._preparation.encoding.steps):
            return None
        return self._probed(row)

    def _probed(self, row: Any) -> Owner | None:
        """Return whose each feature is behind a recipe, or None where some are of several columns.

        A feature belongs to the one column that changes it; random coalitions then have to come to
        the features that follow from that.
        """
        count, own = len(self.names), self.features([row])
        alone = self._mixed_rows(row, np.eye(count, dtype=bool))
        moved = alone.reshape(count, len(self.shares), -1) != self.background
        changes = moved.any(axis=1)
        if (changes.sum(axis=0) > 1).any():
            return None
        owner: Owner = changes.argmax(axis=0)
        rng = np.random.default_rng(0)
        masks = rng.random((_TRIED, count)) < 0.5
        masks = np.concatenate([masks, np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)])
        kept = masks[:, owner][:, None, :]
        wanted = np.where(kept, own, self.background).reshape(-1, own.shape[1])
        return owner if np.array_equal(self._mixed_rows(row, masks), wanted) else None

    def _mixed_rows(self, row: Mapping[str, Any], masks: Masks) -> Matrix:
        count = len(self.shares)
        mixed = {}
        for place, name in enumerate(self.names):
            own = _column(self.columns[name], [row.get(name)])
            kept = np.repeat(masks[:, place], count)
            mixed[name] = np.where(kept, own, np.tile(self.prototypes[name], len(masks)))
        return self._preparation.table(mixed)


class ArraySpace(Space):
    """Rows of numbers of one shape: images, rows without names, windows of series."""

    def __init__(self, preparation: Preparation, basis: Basis) -> None:
        assert basis.arrays is not None
        self._preparation = preparation
        self.window = preparation.window
        self.shape = preparation.shape
        assert self.shape is not None
        self.shares = basis.shares
        self._rows = basis.arrays.values
        self.background = self.features(list(self._rows))
        steps = preparation.encoding.steps
        self.projected = any(isinstance(step, Project) for step in steps) and not self.window
        self.places, self.names = self._regions()
        self.owner = None if self.projected else self._owner()

    def _regions(self) -> tuple[Owner, tuple[str, ...]]:
        """Return the region of each place (places,), and the regions' names."""
        shape = self.shape
        assert shape is not None
        if self.window:
            sensors = self._preparation.feature_names[-shape[1] :]
            return np.tile(np.arange(shape[1]), shape[0]), tuple(sensors)
        if len(shape) == 1:
            return np.arange(shape[0]), tuple(f"x{place}" for place in range(shape[0]))
        space = self.picture_shape
        counts = [min(_MOST_PATCHES, side) for side in space[-2:]]
        rows = np.arange(space[-2]) * counts[0] // space[-2]
        columns = np.arange(space[-1]) * counts[1] // space[-1]
        plane = rows[:, None] * counts[1] + columns
        # Planes of a volume and channels of a colour are no regions of their own.
        whole = np.broadcast_to(plane, space)
        if len(shape) > len(space):
            whole = np.broadcast_to(whole[..., None], shape)
        names = [
            f"rows {_span(rows, r)}, columns {_span(columns, c)}"
            for r in range(counts[0])
            for c in range(counts[1])
        ]
        return whole.reshape(-1), tuple(names)

    def _owner(self) -> Owner:
        owner = self.places
        if self.window:
            return owner
        for step in self._preparation.encoding.steps:
            if isinstance(step, Impute):
                owner = np.concatenate([owner, owner[list(step.indicators)]])
        return owner

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """The shape of an image without its channels; of a series (steps, sensors)."""
        shape = self.shape
        assert shape is not None
        meta = self._preparation.meta
        return shape[:-1] if meta is not None and meta.channels > 1 and len(shape) > 2 else shape

    def features(self, rows: Sequence[Any]) -> Matrix:
        """Return features (rows, features) of rows of numbers (places,)."""
        matrix = np.asarray(rows, dtype=np.float64)
        if self.window:
            return matrix
        return self._preparation.arrays(matrix.reshape(len(matrix), *self.shape))  # type: ignore[misc]

    def shown(self, row: Any) -> dict[str, Value]:
        """Return the number of each place; of a series those of the last step; of images none."""
        if self.shape is not None and len(self.shape) == 1:
            return dict(zip(self.names, map(_plain, np.asarray(row).tolist()), strict=True))
        if self.window:
            last = self._unscaled(np.asarray(row))[-len(self.names) :]
            return dict(zip(self.names, last.tolist(), strict=True))
        return {}

    def unprepared(self, features: Matrix) -> Matrix:
        """Return rows (rows, places) that come to these features (rows, features).

        Of features that are components, the rows without what the components left out.
        """
        rows = np.asarray(features, dtype=np.float64)
        if self.window:
            return rows
        for step in reversed(self._preparation.encoding.steps):
            if isinstance(step, Project):
                rows = rows @ step.components.values + step.mean.values
            elif isinstance(step, Standardise):
                rows = rows * step.scale.values + step.mean.values
            else:
                rows = rows[:, : len(step.fill.values)]
        return rows

    def picture(self, row: Any) -> Matrix:
        """Return what a row looks like, 0 to 1, in the shape of its picture."""
        shape = self.shape
        assert shape is not None
        values = np.asarray(row, dtype=np.float64).reshape(shape)
        if self.window:
            low, high = values.min(axis=0), values.max(axis=0)
            span: Matrix = (values - low) / np.where(high > low, high - low, 1.0)
            return span
        if len(shape) > len(self.picture_shape):
            values = values.mean(axis=-1)
        low, high = values.min(), values.max()
        seen: Matrix = (values - low) / (high - low if high > low else 1.0)
        return seen

    def _unscaled(self, row: Matrix) -> Matrix:
        """Return the features of the last step in the user's own units."""
        assert self.shape is not None
        last: Matrix = row.reshape(self.shape)[-1].copy()
        for step in self._preparation.encoding.steps:
            if isinstance(step, Standardise):
                width = len(step.mean.values)
                last[:width] = last[:width] * step.scale.values + step.mean.values
        return last

    def _mixed_rows(self, row: Any, masks: Masks) -> Matrix:
        kept = masks[:, self.places][:, None, :]
        mixed = np.where(kept, np.asarray(row, dtype=np.float64), self._rows)
        return self.features(list(mixed.reshape(-1, self._rows.shape[1])))


def space_of(preparation: Preparation, basis: Basis) -> TableSpace | ArraySpace:
    """Return the space of a model's explanations."""
    if basis.arrays is not None:
        return ArraySpace(preparation, basis)
    return TableSpace(preparation, basis)


def unscaled(preparation: Preparation, feature: int, value: float) -> float:
    """Return a standardised feature's value in the user's own units."""
    for step in preparation.encoding.steps:
        if isinstance(step, Standardise) and feature < len(step.mean.values):
            value = value * float(step.scale.values[feature]) + float(step.mean.values[feature])
    return value


def _column(summary: ColumnSummary, values: Sequence[Any]) -> NDArray[Any]:
    """Return values of a column as the preparation reads them."""
    if summary.kind == "number":
        return np.array([np.nan if value is None else _number(summary, value) for value in values])
    if summary.kind == "date":
        days = np.array(
            [value if type(value) is float else dates(summary.name, [value])[0] for value in values]
        )
        moments = np.where(np.isnan(days), 0, np.round(days * _DAY)).astype("datetime64[us]")
        moments[np.isnan(days)] = np.datetime64("NaT")
        return moments
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _number(summary: ColumnSummary, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise InvalidInput(f"column {summary.name!r} holds numbers; got {value!r}")
    return float(value)


def _plain(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | float):
        return None if value != value else value
    return float(value) if isinstance(value, int) else str(value)


def _span(places: Owner, number: int) -> str:
    found = np.flatnonzero(places == number)
    return f"{found[0]}-{found[-1]}"
