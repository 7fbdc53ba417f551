"""LightGBM's trees in their text form, read by its own library."""

from typing import Any

import numpy as np
from lightgbm import Booster
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["LightgbmRuntime", "dumps"]

_MOST_BYTES = 2**30


class LightgbmRuntime:
    """A booster, on one thread: its answers don't depend on the machine's load."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Read the trees.

        Raises:
            Refused: the text is too long, or gives other answers than the task's.
        """
        if len(data) > _MOST_BYTES:
            raise Refused(f"the model has {len(data)} bytes; at most {_MOST_BYTES} are loaded")
        self._booster = Booster(model_str=data.decode())
        self._shares = task is CLASSIFICATION
        objective = self._booster.dump_model(num_iteration=1).get("objective", "")
        if self._shares != objective.startswith(("binary", "multiclass")):
            raise Refused(f"a model of the objective {objective!r} is no {task.noun}")

    @property
    def features(self) -> int:
        """How many features a row has."""
        return int(self._booster.num_feature())

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a float64 matrix (rows, features).

        Raises:
            InvalidInput: the matrix has another number of columns.
        """
        width = self.features
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise InvalidInput(
                f"the model takes {width} features a row, not an array of {matrix.shape}"
            )
        given = np.asarray(self._booster.predict(matrix, num_threads=1), dtype=np.float64)
        if given.ndim == 2:
            return given
        return np.stack([1 - given, given], axis=1) if self._shares else given[:, np.newaxis]


def dumps(estimator: Any) -> bytes:
    """Write a fitted estimator of LightGBM as text, the same for the same trees.

    Raises:
        Refused: it is none.
    """
    booster = getattr(estimator, "booster_", None)
    if not isinstance(booster, Booster):
        raise Refused(f"a {type(estimator).__name__} has no LightGBM form")
    text: str = booster.model_to_string()
    # The parameters of the training end the text; threads and paths among them are no part of it.
    return text.partition("\nparameters:")[0].encode() + b"\n"
