"""Fitted estimators of the whole zoo, for tests of what is done with them."""

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

from lepton_ai.ml import fitting, zoo

SETS = {"two classes": load_breast_cancer, "three classes": load_wine}

# The zoo's own tests cover the rest; these have been in every file of it.
CLASSICAL = (
    "svm",
    "random forest",
    "extra trees",
    "naive bayes",
    "decision tree",
    "k-nearest",
    "logistic regression",
    "multilayer perceptron",
    "histogram gradient boosting",
)

# Enough to be wrong in, and quick.
SMALL: dict[str, dict[str, Any]] = {
    "random forest": {"n_estimators": 20},
    "extra trees": {"n_estimators": 20},
    "histogram gradient boosting": {"max_iter": 20},
}


@cache
def fitted(name: str, data: str, **parameters: Any) -> tuple[Any, np.ndarray]:
    """A fitted estimator and the whole feature matrix; it learned from every other row.

    Features are float32 numbers, as those that the platform trains on.
    """
    matrix, codes = SETS[data](return_X_y=True)
    if zoo.find(name).scaled:
        matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    matrix = matrix.astype(np.float32).astype(np.float64)
    chosen = SMALL.get(name, {}) | parameters
    result = fitting.fit(zoo.find(name), matrix[::2], codes[::2], seed=0, parameters=chosen)
    return result.estimator, matrix
