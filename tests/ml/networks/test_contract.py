"""scikit-learn's own checks over every network."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from lepton_ai.ml.networks.autoencoder import Autoencoder
from lepton_ai.ml.networks.forecaster import GraphForecaster
from lepton_ai.ml.networks.recurrent import (
    RecurrentClassifier,
    RecurrentRegressor,
    RemainingLifeRegressor,
)
from lepton_ai.ml.networks.residual import ResidualClassifier, ResidualRegressor
from lepton_ai.ml.networks.tabular import (
    PerceptronClassifier,
    PerceptronRegressor,
    TableConvolutionClassifier,
    TableConvolutionRegressor,
)
from lepton_ai.ml.networks.temporal import TemporalClassifier, TemporalRegressor

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"epochs": 8, "learning_rate": 2e-2, "batch_size": 64, "threads": 1}

# Where the contract cannot apply, and why.
IMPOSSIBLE = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight of two is one larger step, a row given twice two steps of other batches"
    ),
    "check_methods_subset_invariance": (
        "float32 sums differ in the seventh digit between batches of one row and of many"
    ),
}


OF_A_FAMILY: dict[type, dict[str, str]] = {
    # Its answers pool over places of a picture; columns of a table have none.
    ResidualRegressor: {
        "check_regressors_train": "a picture network learns little of unordered columns"
    },
    RemainingLifeRegressor: {
        "check_regressor_multioutput": "its targets are negative, and no life is"
    },
}


def impossible(estimator: Any) -> dict[str, str]:
    return IMPOSSIBLE | OF_A_FAMILY.get(type(estimator), {})


@parametrize_with_checks(
    [
        PerceptronClassifier(**QUICK),
        PerceptronRegressor(**QUICK | {"batch_size": 32}),
        TableConvolutionClassifier(**QUICK, width=16),
        TableConvolutionRegressor(**QUICK, width=16),
        ResidualClassifier(**QUICK, width=12),
        ResidualRegressor(**QUICK, width=8),
        Autoencoder(**QUICK),
        RecurrentClassifier(**QUICK, width=16),
        RecurrentRegressor(**QUICK | {"epochs": 2}, width=8, cell="gru"),
        RemainingLifeRegressor(**QUICK | {"epochs": 2}, width=8),
        TemporalClassifier(**QUICK, width=8),
        TemporalRegressor(**QUICK, width=16),
        GraphForecaster(**QUICK, width=16, channels=4),
    ],
    expected_failed_checks=impossible,
)
@pytest.mark.filterwarnings("ignore:.*SCIPY_ARRAY_API:UserWarning")
def test_the_network_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
