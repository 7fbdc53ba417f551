"""A user's class or function behind the contract of the zoo.

A class has ``fit`` and one of ``predict_proba``, ``predict`` and ``score_samples``; a function is
the ``predict`` of a model that needs no fit. Both get float64 features (rows, features); what they
give is checked each time, so that a wrong answer is an error here and never leaves.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, LeptonError
from lepton_ai.ml.custom.package import Package, import_from
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, CLUSTERING, DETECTION, FORECASTING, REGRESSION, Task

__all__ = ["CustomEstimator", "CustomFailed", "tasks_of"]

Matrix = NDArray[np.float64]

# task -> the methods that can answer it, the first that is there does
_ANSWER = {
    CLASSIFICATION.name: ("predict_proba", "predict"),
    REGRESSION.name: ("predict",),
    CLUSTERING.name: ("predict_proba", "predict"),
    DETECTION.name: ("score_samples",),
    FORECASTING.name: ("predict",),
}
# What the platform decides of every estimator; a custom one never sees them.
_HIDDEN = ("n_jobs", "threads", "verbose", "warm_start", "checkpoint", "progress")


class CustomFailed(LeptonError):
    """The code of a custom model failed, or gave something that is no answer."""


def tasks_of(thing: Any) -> tuple[str, ...]:
    """Return the tasks that a class or function can do: those it names, or by its methods."""
    said = getattr(thing, "tasks", None)
    if said is not None:
        return (said,) if isinstance(said, str) else tuple(said)
    if inspect.isfunction(thing):
        return tuple(name for name, methods in _ANSWER.items() if "predict" in methods)
    if not inspect.isclass(thing) or not hasattr(thing, "fit"):
        return ()
    return tuple(
        name for name, methods in _ANSWER.items() if any(hasattr(thing, each) for each in methods)
    )


class CustomEstimator:
    """An estimator made of what an import path names.

    Args:
        path: ``package.module:name``.
        package: that it must lie in.
        task: what for.

    Attributes:
        model: the fitted model, or the function.
        n_features_in_: features of a row.
        width_: columns of the answers.
        noise_: whether the last column of a clusterer is noise.

    Raises:
        Refused: it cannot be imported, or cannot do the task.
    """

    unexported = "a model of one's own is served by its own package"

    def __init__(self, path: str, package: Package, task: Task) -> None:
        self.path, self.package, self.task = path, package, task
        self.made_of = import_from(path, package)
        if task.name not in tasks_of(self.made_of):
            raise Refused(
                f"{path!r} does no {task.name}: that needs a class with fit and "
                f"{' or '.join(_ANSWER[task.name])}, or a function; it can do: "
                f"{', '.join(tasks_of(self.made_of)) or 'nothing'}"
            )
        self._parameters: dict[str, Any] = {}
        self._defaults = {} if self._is_function else _defaults(self.made_of)
        self.model: Any = self.made_of if self._is_function else None
        self.n_features_in_ = 0
        self.width_ = 1
        self.noise_ = False

    @property
    def _is_function(self) -> bool:
        return not inspect.isclass(self.made_of)

    def get_params(self, deep: bool = False) -> dict[str, Any]:
        """Return the parameters that a caller may set, with their values."""
        return self._defaults | self._parameters

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters for the next fit."""
        self._parameters |= parameters
        return self

    def fit(
        self,
        matrix: Matrix,
        target: NDArray[Any] | None = None,
        sample_weight: Matrix | None = None,
        groups: Any = None,
        times: Any = None,
    ) -> Self:
        """Fit the user's class; a function is only asked whether it answers.

        Raises:
            InvalidInput: rows are weighed, and the class knows no weights.
            CustomFailed: its code failed.
        """
        self.n_features_in_ = matrix.shape[1]
        if not self._is_function:
            self.model = self._called(self.made_of, **self._parameters)
            self._fit(matrix, target, {"sample_weight": sample_weight, "groups": groups,
                                       "times": times})  # fmt: skip
        elif sample_weight is not None:
            raise InvalidInput(f"{self.path} learns nothing; leave out sample_weight=")
        self._measure(matrix, target)
        return self

    def _fit(self, matrix: Matrix, target: Any, beside: Mapping[str, Any]) -> None:
        takes = inspect.signature(self.model.fit).parameters
        given = {name: value for name, value in beside.items() if value is not None}
        if "sample_weight" in given and "sample_weight" not in takes:
            raise InvalidInput(f"{self.path} cannot weigh rows; leave out sample_weight=")
        rows = (matrix,) if target is None else (matrix, target)
        fitting = self.model.fit
        self._called(fitting, *rows, **{n: value for n, value in given.items() if n in takes})

    def _measure(self, matrix: Matrix, target: Any) -> None:
        """Find how many columns answers have."""
        if self.task is CLASSIFICATION:
            self.width_ = int(np.max(target)) + 1
        elif target is not None:
            self.width_ = 1 if target.ndim == 1 else target.shape[1]
        elif self.task is CLUSTERING:
            given = np.asarray(self._ask(matrix))
            if given.ndim == 2:
                self.width_, self.noise_ = given.shape[1], bool(getattr(self.model, "noise_", 0))
            else:
                self.noise_ = bool((given < 0).any())
                self.width_ = int(given.max(initial=-1)) + 1 + self.noise_

    def predict_proba(self, matrix: Matrix) -> Matrix:
        """Return shares (rows, classes); where the model gives numbers of classes, 1 and 0."""
        given = np.asarray(self._ask(matrix))
        if given.ndim == 1:
            given = self._ones(given)
        shares = self._checked(given, len(matrix))
        if (shares < 0).any() or not np.allclose(shares.sum(axis=1), 1, atol=1e-3):
            raise CustomFailed(
                f"{self.path} gives probabilities that are negative or do not sum to 1"
            )
        return shares

    def predict(self, matrix: Matrix) -> Matrix:
        """Return values (rows, outputs)."""
        return self._checked(self._ask(matrix), len(matrix))

    def score_samples(self, matrix: Matrix) -> Matrix:
        """Return scores (rows, 1), lower for what is stranger, as scikit-learn has them."""
        return self._checked(self._ask(matrix), len(matrix))

    def _ask(self, matrix: Matrix) -> Any:
        if self._is_function:
            return self._called(self.model, matrix)
        methods = _ANSWER[self.task.name]
        method = next(name for name in methods if hasattr(self.model, name))
        return self._called(getattr(self.model, method), matrix)

    def _called(self, what: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return what(*given, **named)
        except LeptonError:
            raise
        except Exception as error:
            name = getattr(what, "__qualname__", "it")
            raise CustomFailed(f"{self.path} failed in {name}: {error!r}") from error

    def _ones(self, numbers: NDArray[Any]) -> Matrix:
        """Return 1 in the column of each row's class or cluster; noise is in the last one."""
        columns = self.width_ - self.noise_
        if numbers.dtype.kind not in "iufb" or (numbers % 1 != 0).any():
            raise CustomFailed(
                f"{self.path} answers with {numbers.dtype} such as {numbers[0]!r}; classes are "
                f"whole numbers from 0 to {columns - 1}, in the order of their names"
            )
        places = numbers.astype(np.int64)
        places = np.where((places < 0) & self.noise_, columns, places)
        if places.min(initial=0) < 0 or places.max(initial=0) >= self.width_:
            raise CustomFailed(
                f"{self.path} answers {places.min()} to {places.max()}; there are {columns} classes"
            )
        return np.eye(self.width_)[places]

    def _checked(self, given: Any, rows: int) -> Matrix:
        try:
            answers = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CustomFailed(f"{self.path} gives no numbers: {error}") from error
        answers = answers[:, np.newaxis] if answers.ndim == 1 else answers
        if answers.shape != (rows, self.width_) or not np.isfinite(answers).all():
            wrong = "with NaN or infinity" if answers.shape == (rows, self.width_) else ""
            raise CustomFailed(
                f"{self.path} gives an array {np.shape(given)} {wrong} for {rows} rows; it must "
                f"give {self.width_} finite numbers for each"
            )
        return answers


def _defaults(made_of: Any) -> dict[str, Any]:
    """Return the parameters of a class, with defaults that can be recorded."""
    if hasattr(made_of, "get_params"):
        known = made_of().get_params(deep=False)
    else:
        known = {
            name: None if each.default is each.empty else each.default
            for name, each in inspect.signature(made_of).parameters.items()
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        }
    return {
        name: value
        for name, value in known.items()
        if name not in _HIDDEN and (value is None or isinstance(value, bool | int | float | str))
    }
