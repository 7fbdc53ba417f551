"""CatBoost's trees in their own binary form, read by its own library."""

from typing import Any

import numpy as np
from catboost import CatBoost
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["CatboostRuntime", "dumps"]

_MOST_BYTES = 2**30


class CatboostRuntime:
    """Oblivious trees, on one thread: the answers don't depend on the machine's load."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Read the trees.

        Raises:
            Refused: the file is too large.
        """
        if len(data) > _MOST_BYTES:
            raise Refused(f"the model has {len(data)} bytes; at most {_MOST_BYTES} are loaded")
        self._model = CatBoost().load_model(blob=data)
        self._asked = "Probability" if task is CLASSIFICATION else "RawFormulaVal"

    @property
    def features(self) -> int:
        """How many features a row has."""
        return len(self._model.feature_names_)

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
        asked = self._model.predict(matrix, prediction_type=self._asked, thread_count=1)
        given = np.asarray(asked, dtype=np.float64)
        return given if given.ndim == 2 else given[:, np.newaxis]


def dumps(estimator: Any) -> bytes:
    """Write a fitted estimator of CatBoost.

    Raises:
        Refused: it is none.
    """
    if not hasattr(estimator, "to_cbm"):
        raise Refused(f"a {type(estimator).__name__} has no CatBoost form")
    written: bytes = estimator.to_cbm()
    return written
