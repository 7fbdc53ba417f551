import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.autoencoder import Autoencoder


def test_what_breaks_a_pattern_is_strange() -> None:
    """Rows on a plane of two dimensions within six; the anomalies lie beside it."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 6))
    usual = rng.normal(size=(600, 2)) @ plane + rng.normal(size=(600, 6)) * 0.05
    beside = rng.permuted(usual[:50], axis=1)
    estimator = Autoencoder(
        code=2, epochs=30, learning_rate=1e-2, random_state=0, threads=1, contamination=0.05
    ).fit(usual[:500])
    scores = -estimator.score_samples(np.vstack([usual[500:], beside]))
    assert roc_auc_score(np.repeat([0, 1], [100, 50]), scores) > 0.9
    assert (estimator.predict(usual[:500]) == -1).mean() == pytest.approx(0.05, abs=0.002)


def test_a_digit_never_seen_is_stranger() -> None:
    features, labels = load_digits(return_X_y=True)
    known = labels != 0
    estimator = Autoencoder(epochs=20, random_state=0, threads=1, shape=(8, 8))
    estimator.fit(features[known][:1200])
    scores = -estimator.score_samples(np.vstack([features[known][1200:], features[~known]]))
    unseen = np.repeat([0, 1], [known.sum() - 1200, (~known).sum()])
    assert roc_auc_score(unseen, scores) > 0.7


@pytest.mark.parametrize("parameters", [{"contamination": 0.7}, {"code": 0}])
def test_what_cannot_be_is_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Autoencoder(**parameters).fit(np.random.default_rng(0).normal(size=(20, 3)))
