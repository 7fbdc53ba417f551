"""Sides: the features of both sides of a fold, prepared as the training side alone teaches.

Nothing that is learned from rows (medians, categories, scales, a whole recipe) has seen a row that
is asked about: the preparation is fitted anew in each fold, by the code that fits the model's own.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from lepton_ai.data.encoding import Encoding
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.preparing import fit_behind, fit_preparation
from lepton_ai.ml.selection.folds import Fold
from lepton_ai.ml.steps import windows_of
from lepton_ai.ml.weighing import even

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["Sides", "Source"]

Matrix = NDArray[np.float64]


class Sides(Struct, frozen=True, kw_only=True):
    """One fold, ready to be learned.

    Attributes:
        train: features that are learned from (rows, features).
        target: codes of the classes that occur there, counted without gaps, or values (rows,).
        present: of classes, which code each of these stands for.
        weights: of the training rows.
        groups: of the training rows.
        times: of the training rows.
        test: features that are asked about (rows, features).
        shape: how a row folds.
    """

    train: Matrix
    target: NDArray[Any]
    present: NDArray[np.int64] | None
    weights: Matrix | None
    groups: list[str] | None
    times: Matrix | None
    test: Matrix
    shape: tuple[int, ...] | None


class Source:
    """Makes the sides of folds out of examples."""

    def __init__(
        self,
        examples: Examples,
        target: NDArray[Any],
        *,
        classes: int,
        balanced: bool,
        recipe: "Recipe | None",
        kinds: Mapping[str, Any] | None,
        components: int | float | None,
        scaled: bool,
        window: int = 0,
    ) -> None:
        """Keep what the sides are made of.

        Args:
            examples: all rows.
            target: codes of the classes, or values (rows,).
            classes: how many, 0 for values.
            balanced: whether each class weighs the same in all.
            recipe: what columns go through first; it is fitted anew in each fold.
            kinds: of columns; see `Encoding.fit`.
            components: principal components; see `Encoding.fit`.
            scaled: whether features are standardised.
            window: steps of a series that a row is seen with; 0 for rows that stand alone.
        """
        self.examples = examples
        self.target = target
        self._classes = classes
        self._balanced = balanced
        self._recipe = recipe
        self._window = window
        self._options: dict[str, Any] = {"scaled": scaled, "components": components, "kinds": kinds}

    def sides(self, fold: Fold) -> Sides:
        """Return both sides of a fold.

        Raises:
            InvalidInput: the training side alone does not become a matrix.
        """
        train, left, test, shape = self._features(fold)
        rows = fold.train[left]
        target, present = self.target[rows], None
        if self._classes:
            present, target = np.unique(target, return_inverse=True)
        examples = self.examples
        weights = None if examples.weights is None else examples.weights[rows]
        if self._balanced:
            weights = even(weights, target)
        return Sides(
            train=train,
            target=target,
            present=present,
            weights=weights,
            groups=None if examples.groups is None else [examples.groups[row] for row in rows],
            times=None if examples.times is None else examples.times[rows],
            test=test,
            shape=shape,
        )

    def _features(
        self, fold: Fold
    ) -> tuple[Matrix, NDArray[np.int64], Matrix, tuple[int, ...] | None]:
        """Return the training features, which training rows they are of, and the test features."""
        every = np.arange(len(fold.train))
        examples = self.examples
        if self._arrays is not None:
            encoding = Encoding.fit(
                self._arrays[fold.train],
                standardise=self._options["scaled"],
                components=self._options["components"],
            )
            fitted = Preparation(encoding)
            train, test = (fitted.arrays(self._arrays[rows]) for rows in (fold.train, fold.test))
            return train, every, test, encoding.shape
        assert examples.columns is not None
        learned = replace(examples.take(fold.train), dataset=examples.dataset.take(fold.train))
        asked = {name: column[fold.test] for name, column in examples.columns.items()}
        if self._recipe is None:
            fitted, train = fit_preparation(learned, **self._options)
            left = every
        else:
            fitted, train, left = fit_behind(self._recipe, learned, **self._options)
        test = fitted.table(asked)
        if not self._window:
            return train, left, test, None
        shape = (self._window, train.shape[1])
        train, test = self._windows(train, fold.train[left], test, fold.test)
        return train, left, test, shape

    def _windows(
        self, train: Matrix, learned: NDArray[np.int64], test: Matrix, asked: NDArray[np.int64]
    ) -> tuple[Matrix, Matrix]:
        """Let each row be the window that ends at it; one that is asked about may begin earlier.

        Where the sides are parts of one series, what came before the asked rows is known when they
        are asked about; series of other groups are on one side as a whole.
        """
        examples = self.examples

        def seen(matrix: Matrix, rows: NDArray[np.int64]) -> Matrix:
            groups = None if examples.groups is None else [examples.groups[row] for row in rows]
            times = None if examples.times is None else examples.times[rows]
            return windows_of(matrix, self._window, groups, times)

        both = seen(np.concatenate([train, test]), np.concatenate([learned, asked]))
        return seen(train, learned), both[len(train) :]

    @cached_property
    def _arrays(self) -> NDArray[Any] | None:
        """The rows as arrays, where they are images or bare numbers."""
        if isinstance(self.examples.dataset, ImageSet):
            # Without scaling and projection nothing of it is learned: images are brought to one
            # shape, which the sizes in their headers decide.
            fitted, matrix = fit_preparation(
                self.examples, scaled=False, components=None, kinds=self._options["kinds"]
            )
            return matrix.reshape(len(matrix), *(fitted.encoding.shape or ()))
        return self.examples.matrix
