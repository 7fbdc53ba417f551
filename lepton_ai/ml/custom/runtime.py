"""Custom models served: their own package on the state that was stored."""

import inspect
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.custom.estimator import CustomEstimator
from lepton_ai.ml.custom.package import Package, is_path
from lepton_ai.ml.custom.state import dumps as write
from lepton_ai.ml.custom.state import loads as read
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["CustomRuntime", "dumps"]

_MOST_COLUMNS = 2**24


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of its model beside the state."""

    path: str
    package: Package
    task: str
    features: int
    width: int
    noise: bool


class CustomRuntime:
    """A model of the user's own package."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Check that the package is the one of the training, import it, and give it its state.

        Raises:
            PackageDiffers: another version is installed, or a file of it changed.
            Refused: the file is no custom model, or one of another task.
        """
        said, state = read(data)
        try:
            head = msgspec.convert(said, _Head)
        except msgspec.ValidationError as error:
            raise Refused(f"the file does not say which package it is of: {error}") from error
        if not is_path(head.path) or not 0 < max(head.features, head.width) <= _MOST_COLUMNS:
            raise Refused(f"the file names {head.path!r}, which is no model that can be built")
        if head.task != task.name:
            raise Refused(f"a model of {head.task} is no {task.noun}")
        estimator = CustomEstimator(head.path, head.package, task)
        if inspect.isclass(estimator.made_of):
            estimator.model = _rebuilt(estimator.made_of, state)
        estimator.n_features_in_ = head.features
        estimator.width_, estimator.noise_ = head.width, head.noise
        self._estimator, self._task = estimator, task

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a float64 matrix (rows, features).

        Raises:
            InvalidInput: the matrix has another number of columns.
            CustomFailed: the model's code failed, or gave something that is no answer.
        """
        width = self._estimator.n_features_in_
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise InvalidInput(
                f"the model takes {width} features a row, not an array of {matrix.shape}"
            )
        return self._task.answers(self._estimator, matrix)


def dumps(estimator: Any) -> bytes:
    """Write a fitted custom model: its package's identity, and its state in safe forms.

    Raises:
        Refused: its state holds something that is never stored; the message says how to go on.
    """
    if not isinstance(estimator, CustomEstimator):
        raise Refused(f"a {type(estimator).__name__} is no custom model")
    head = _Head(
        estimator.path,
        estimator.package,
        estimator.task.name,
        estimator.n_features_in_,
        estimator.width_,
        bool(estimator.noise_),
    )
    return write(msgspec.to_builtins(head), _state(estimator))


def _state(estimator: CustomEstimator) -> dict[str, Any]:
    if not inspect.isclass(estimator.made_of):
        return {}
    model = estimator.model
    told = hasattr(model, "state")
    if told != hasattr(estimator.made_of, "from_state"):
        raise Refused(f"{estimator.path} must have both state() and from_state(state), or neither")
    if not told and not hasattr(model, "__dict__"):
        raise Refused(f"{estimator.path} has no attributes to store; give it state()")
    state = model.state() if told else vars(model)
    if type(state) is not dict or not all(isinstance(name, str) for name in state):
        raise Refused(f"state() of {estimator.path} must give a dict by name, not {state!r:.80}")
    return state


def _rebuilt(made_of: Any, state: dict[str, Any]) -> Any:
    if hasattr(made_of, "from_state"):
        return made_of.from_state(state)
    # The constructor is not run: a fitted model's attributes are all there is to it.
    model = made_of.__new__(made_of)
    vars(model).update(state)
    return model
