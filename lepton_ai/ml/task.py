"""Tasks: what a model is for, and how an estimator of each answers.

A leaf. Every estimator takes a matrix and gives one: its answers, float64 (rows, width).
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "CLASSIFICATION",
    "CLUSTERING",
    "DETECTION",
    "FORECASTING",
    "REGRESSION",
    "TASKS",
    "Task",
    "task_named",
]

Matrix = NDArray[np.float64]


class Task(Struct, frozen=True):
    """One task.

    Attributes:
        name: in the field's words.
        noun: what a model of it is called.
        method: of a scikit-learn estimator, the one that gives the answers.
        output: what an ONNX graph calls them.
        labelled: whether rows are learned from with a target.
        sign: what the method's answers are multiplied by: scikit-learn's scores of anomalies
            are lower for what is stranger, ours are higher.
    """

    name: str
    noun: str
    method: str
    output: str
    labelled: bool
    sign: float = 1.0

    def answers(self, estimator: Any, matrix: Matrix) -> Matrix:
        """Return a fitted estimator's answers (rows, width) to features (rows, features)."""
        given = np.asarray(getattr(estimator, self.method)(matrix), dtype=np.float64)
        return self.sign * (given if given.ndim == 2 else given[:, np.newaxis])


CLASSIFICATION = Task("classification", "classifier", "predict_proba", "probabilities", True)
REGRESSION = Task("regression", "regressor", "predict", "values", True)
CLUSTERING = Task("clustering", "clusterer", "predict_proba", "probabilities", False)
DETECTION = Task("detection", "anomaly detector", "score_samples", "scores", False, sign=-1.0)
FORECASTING = Task("forecasting", "forecaster", "predict", "values", True)

TASKS = {
    task.name: task for task in (CLASSIFICATION, REGRESSION, CLUSTERING, DETECTION, FORECASTING)
}


def task_named(name: str) -> Task:
    """Return a task by its name.

    Raises:
        InvalidInput: there is none; the message lists them.
    """
    if name not in TASKS:
        raise InvalidInput(f"there is no task {name!r}; choose one of: {', '.join(TASKS)}")
    return TASKS[name]
