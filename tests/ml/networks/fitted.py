"""A small fitted network of each family, for tests of what is done with them."""

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_digits

from lepton_ai.ml.networks.autoencoder import Autoencoder
from lepton_ai.ml.networks.residual import ResidualClassifier, ResidualRegressor
from lepton_ai.ml.networks.tabular import (
    PerceptronClassifier,
    TableConvolutionRegressor,
)

QUICK: dict[str, Any] = {"random_state": 0, "threads": 1, "epochs": 1, "width": 8}

# name -> (class, parameters, task)
FAMILIES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "image classifier": (
        ResidualClassifier,
        {"shape": (8, 8), "members": 2, "per_image": True},
        "classification",
    ),
    "volume regressor": (
        ResidualRegressor,
        {"shape": (4, 4, 4), "norm": "group", "pool": 2},
        "regression",
    ),
    "table classifier": (PerceptronClassifier, {}, "classification"),
    "table regressor": (TableConvolutionRegressor, {}, "regression"),
    "anomaly detector": (Autoencoder, {}, "detection"),
}


@cache
def fitted(name: str) -> tuple[Any, np.ndarray, str]:
    """A fitted network, the features that it answers, and its task."""
    family, parameters, task = FAMILIES[name]
    load = load_diabetes if name == "table regressor" else load_digits
    features, target = load(return_X_y=True)
    features = features[:400].astype(np.float32).astype(np.float64)
    estimator = family(**QUICK, **parameters).fit(features, target[:400])
    return estimator, features, task


@cache
def exported(name: str) -> bytes:
    """The ONNX form of a fitted network."""
    data: bytes = fitted(name)[0].to_onnx()
    return data
