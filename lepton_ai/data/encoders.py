"""The steps of an encoding: what one column becomes, and what is done to the matrix they form.

All are plain structs with what was learned from the training rows; their arrays are kept to the
last bit. Everything is float64.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import linalg

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.columns import booleans, dates, numbers, texts

__all__ = [
    "Array",
    "Boolean",
    "Category",
    "Column",
    "Date",
    "Impute",
    "Matrix",
    "Number",
    "Project",
    "Standardise",
    "Step",
]

Matrix = NDArray[np.float64]


class Array(Struct, frozen=True, dict=True):
    """A float64 array as JSON can hold it exactly: little-endian bytes, in base64."""

    shape: tuple[int, ...]
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != 8 * math.prod(self.shape):
            raise ValueError(f"{len(self.data)} bytes are no float64 array of shape {self.shape}")

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Keep the values of an array."""
        return cls(values.shape, np.ascontiguousarray(values, dtype="<f8").tobytes())

    @cached_property
    def values(self) -> Matrix:
        """The array, read-only."""
        return np.frombuffer(self.data, dtype="<f8").reshape(self.shape)


class Number(Struct, frozen=True, tag="number"):
    """A column of numbers becomes one feature."""

    column: str

    def features(self) -> list[str]:
        """Return the names of the features."""
        return [self.column]

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> Matrix:
        """Return one feature; NaN where missing."""
        return _finite(self.column, numbers(self.column, values))


class Boolean(Struct, frozen=True, tag="boolean"):
    """A column of true and false becomes one feature of 1 and 0."""

    column: str

    def features(self) -> list[str]:
        """Return the names of the features."""
        return [self.column]

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> Matrix:
        """Return one feature; NaN where missing."""
        return booleans(self.column, values)


class Date(Struct, frozen=True, tag="date"):
    """A column of dates or times becomes one feature: days since 1970-01-01 in UTC."""

    column: str

    def features(self) -> list[str]:
        """Return the names of the features."""
        return [self.column]

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> Matrix:
        """Return one feature; NaN where missing."""
        return dates(self.column, values)


class Category(Struct, frozen=True, tag="category", dict=True):
    """A column of text becomes one feature of 0 or 1 for each category seen in training.

    Text not seen then is 0 in all of them. Missing values are a category of their own where
    training had some, else 0 in all as well.
    """

    column: str
    categories: tuple[str, ...]
    missing: bool = False

    @classmethod
    def fit(cls, column: str, values: NDArray[Any], limit: int) -> Self:
        """Learn the categories; of more than ``limit``, the most frequent, ties by name."""
        counts = Counter(texts(values))
        missing = counts.pop(None, 0) > 0
        frequent = sorted(counts, key=lambda text: (-counts[text], text))[:limit]
        return cls(column, tuple(sorted(text for text in frequent if text is not None)), missing)

    @cached_property
    def _places(self) -> dict[str | None, int]:
        places: dict[str | None, int] = {text: at for at, text in enumerate(self.categories)}
        return places | ({None: len(places)} if self.missing else {})

    def features(self) -> list[str]:
        """Return the names of the features."""
        names = [f"{self.column}={text}" for text in self.categories]
        return names + ([f"missing({self.column})"] if self.missing else [])

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> Matrix:
        """Return one column for each feature."""
        places = self._places
        encoded = np.zeros((len(values), len(places)))
        for row, text in enumerate(texts(values)):
            place = places.get(text)
            if place is not None:
                encoded[row, place] = 1.0
        return encoded


Column = Number | Boolean | Date | Category


class Impute(Struct, frozen=True, tag="impute", dict=True):
    """Fill what is missing (NaN) by a value for each feature: the median of training.

    ``indicators`` are the features in which training had gaps; each adds a feature that is 1
    where the value was missing, after all others.
    """

    fill: Array
    indicators: tuple[int, ...] = ()

    @classmethod
    def fit(cls, matrix: Matrix, names: Sequence[str]) -> Self:
        """Learn the medians and where gaps occur."""
        gaps = np.isnan(matrix)
        empty = [names[place] for place in np.flatnonzero(gaps.all(axis=0)).tolist()]
        if empty:
            raise InvalidInput(f"the feature(s) {empty} hold no value at all; leave them out")
        gappy = gaps.any(axis=0)
        fill = np.median(matrix, axis=0) if len(matrix) else np.zeros(matrix.shape[1])
        for place in np.flatnonzero(gappy):
            fill[place] = np.nanmedian(matrix[:, place])
        return cls(Array.of(fill), tuple(np.flatnonzero(gappy).tolist()))

    def width(self, features: int) -> int:
        """Return how many features come out of so many; `Corrupt` if the arrays do not fit."""
        _check(self.fill.shape == (features,) and all(0 <= i < features for i in self.indicators))
        return features + len(self.indicators)

    def features(self, names: Sequence[str]) -> list[str]:
        """Return the names after this step."""
        return [*names, *(f"missing({names[place]})" for place in self.indicators)]

    def apply(self, matrix: Matrix) -> Matrix:
        """Return the matrix without gaps, with the indicators appended."""
        gaps = np.isnan(matrix)
        filled = np.where(gaps, self.fill.values, matrix) if gaps.any() else matrix
        if not self.indicators:
            return filled
        return np.concatenate([filled, gaps[:, self.indicators]], axis=1)


class Standardise(Struct, frozen=True, tag="standardise", dict=True):
    """Subtract the mean and divide by the standard deviation (of the population) of training.

    Features that were constant are only centred; those kept as they are have mean 0 and scale 1.
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, matrix: Matrix, keep: Iterable[int] = ()) -> Self:
        """Learn mean and scale of every feature but those to keep as they are."""
        mean, scale = matrix.mean(axis=0), matrix.std(axis=0)
        constant = matrix.max(axis=0) == matrix.min(axis=0)
        # The mean of equal numbers may be off by a rounding error, which must not become ±1.
        mean[constant] = matrix[0, constant]
        scale[constant] = 1.0
        kept = list(keep)
        mean[kept], scale[kept] = 0.0, 1.0
        return cls(Array.of(mean), Array.of(scale))

    def width(self, features: int) -> int:
        """Return how many features come out of so many; `Corrupt` if the arrays do not fit."""
        _check(self.mean.shape == self.scale.shape == (features,))
        return features

    def features(self, names: Sequence[str]) -> list[str]:
        """Return the names after this step."""
        return list(names)

    def apply(self, matrix: Matrix) -> Matrix:
        """Return the standardised matrix."""
        scaled: Matrix = (matrix - self.mean.values) / self.scale.values
        return scaled


class Project(Struct, frozen=True, tag="project", dict=True):
    """Project onto the principal components of training (full SVD, no randomness).

    ``components`` is (k, d); each has its entry of largest magnitude positive, so the sign is
    settled. ``explained`` is each component's share of the variance.
    """

    mean: Array
    components: Array
    explained: Array

    @classmethod
    def fit(cls, matrix: Matrix, components: int | float) -> Self:
        """Learn the components: so many, or as many as explain that share of the variance.

        There can be no more than there are rows or features; asking for more gives these.
        """
        whole = isinstance(components, int)
        if isinstance(components, bool) or not (components >= 1 if whole else 0 < components < 1):
            raise InvalidInput(
                "components must be a whole number from 1, or a share of the variance between "
                f"0 and 1; got {components!r}"
            )
        mean = matrix.mean(axis=0)
        _, singular, rows = linalg.svd(matrix - mean, full_matrices=False)
        variance = singular**2
        explained = variance / variance.sum() if variance.any() else np.zeros_like(variance)
        count = (
            min(int(components), len(rows))
            if whole
            else int(np.searchsorted(np.cumsum(explained), components) + 1)
        )
        rows = rows[: min(count, len(rows))]
        largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
        rows = rows * np.where(largest < 0, -1.0, 1.0)[:, None]
        return cls(Array.of(mean), Array.of(rows), Array.of(explained[: len(rows)]))

    def width(self, features: int) -> int:
        """Return how many features come out of so many; `Corrupt` if the arrays do not fit."""
        kept = self.components.shape[0]
        _check(self.mean.shape == (features,) and self.components.shape == (kept, features))
        return kept

    def features(self, names: Sequence[str]) -> list[str]:
        """Return the names after this step."""
        return [f"component {number}" for number in range(1, self.components.shape[0] + 1)]

    def apply(self, matrix: Matrix) -> Matrix:
        """Return the components of each row."""
        projected: Matrix = (matrix - self.mean.values) @ self.components.values.T
        return projected


Step = Impute | Standardise | Project


def _check(fits: bool) -> None:
    if not fits:
        raise Corrupt("the encoding's arrays do not fit its columns")


def _finite(column: str, values: Matrix) -> Matrix:
    infinite = np.isinf(values)
    if infinite.any():
        raise InvalidInput(
            f"column {column!r} holds an infinite number in row {int(infinite.argmax())}; leave "
            "such values empty"
        )
    return values
