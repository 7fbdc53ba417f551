from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from lepton_ai.ml.networks.tabular import (
    PerceptronClassifier,
    PerceptronRegressor,
    TableConvolutionClassifier,
    TableConvolutionRegressor,
)

QUICK: dict[str, Any] = {"random_state": 0, "threads": 1, "learning_rate": 1e-2}


@pytest.mark.parametrize("family", [PerceptronClassifier, TableConvolutionClassifier])
def test_breast_cancer_is_told_from_harmless(family: Any) -> None:
    features, labels = load_breast_cancer(return_X_y=True)
    train, test, known, asked = train_test_split(features, labels, random_state=0)
    assert family(**QUICK, epochs=20).fit(train, known).score(test, asked) > 0.94


@pytest.mark.parametrize("family", [PerceptronRegressor, TableConvolutionRegressor])
def test_a_curve_of_two_columns_is_learned(family: Any) -> None:
    rng = np.random.default_rng(0)
    features = rng.uniform(-2, 2, size=(900, 3))
    values = features[:, 0] ** 2 - 2 * np.sin(2 * features[:, 1]) + 10
    estimator = family(**QUICK, epochs=20, batch_size=32, width=24).fit(
        features[:700], values[:700]
    )
    assert estimator.score(features[700:], values[700:]) > 0.9
