from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from sklearn.base import clone

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting import histories
from lepton_ai.ml.networks import weights
from lepton_ai.ml.networks.recurrent import (
    RecurrentClassifier,
    RecurrentRegressor,
    RemainingLifeRegressor,
)
from lepton_ai.ml.networks.temporal import TemporalClassifier, TemporalRegressor, dilations

STEPS, CHANNELS = 12, 2
QUICK: dict[str, Any] = {
    "shape": (STEPS, CHANNELS),
    "random_state": 0,
    "threads": 1,
    "learning_rate": 1e-2,
    "batch_size": 32,
    "width": 16,
}
CLASSIFIERS = [
    RecurrentClassifier(**QUICK, epochs=15),
    RecurrentClassifier(**QUICK, epochs=15, cell="gru"),
    TemporalClassifier(**QUICK, epochs=8),
]
REGRESSORS = [
    RecurrentRegressor(**QUICK, epochs=15),
    RecurrentRegressor(**QUICK, epochs=15, cell="gru"),
    TemporalRegressor(**QUICK, epochs=10),
]


def courses(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy courses, and how steeply the first channel rises against the second."""
    rng = np.random.default_rng(seed)
    slopes = rng.normal(size=(rows, 1, CHANNELS))
    series = slopes * np.linspace(0, 3, STEPS)[:, np.newaxis] + rng.normal(size=(rows, 1, 1))
    series = series + 0.2 * rng.normal(size=series.shape)
    return series.reshape(rows, -1), slopes[:, 0, 0] - slopes[:, 0, 1]


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=["lstm", "gru", "convolution"])
def test_rising_courses_are_told_from_falling_ones(estimator: Any) -> None:
    features, slope = courses(500, 0)
    asked, truth = courses(200, 1)
    assert clone(estimator).fit(features, slope > 0).score(asked, truth > 0) > 0.92


@pytest.mark.parametrize("estimator", REGRESSORS, ids=["lstm", "gru", "convolution"])
def test_the_slope_is_measured_and_served_as_onnx_and_as_weights(estimator: Any) -> None:
    features, slope = courses(500, 0)
    asked, truth = courses(200, 1)
    fitted = clone(estimator).fit(features, slope)
    found = fitted.predict(asked)
    assert fitted.score(asked, truth) > 0.93
    session = ort.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    for rows in (1, 200):
        (served,) = session.run(["values"], {"X": asked[:rows].astype(np.float32)})
        np.testing.assert_allclose(served[:, 0], found[:rows], atol=1e-5)
    again = weights.loads(weights.dumps(fitted))
    np.testing.assert_array_equal(again.predict(asked), found)


def worn(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Machines that wear faster and faster until they fail, and the life left in each step."""
    rng = np.random.default_rng(seed)
    rows, left = [], []
    for _ in range(count):
        life = int(rng.integers(25, 60))
        remaining = np.arange(life)[::-1]
        wear = np.exp(-remaining / 10)[:, np.newaxis] * [3, -2]
        rows.append(histories(wear + 0.1 * rng.normal(size=(life, CHANNELS)), STEPS))
        left.append(remaining)
    return np.concatenate(rows), np.concatenate(left).astype(float)


def test_remaining_life_is_told_up_to_the_longest_and_never_beyond() -> None:
    features, life = worn(0)
    asked, truth = worn(1)
    fitted = RemainingLifeRegressor(**QUICK, epochs=20, longest=20).fit(features, life)
    found = fitted.predict(asked)
    assert 0 <= found.min() <= found.max() <= 20
    capped = np.minimum(truth, 20)
    assert np.sqrt(np.mean((found - capped) ** 2)) < 0.35 * capped.std()
    assert np.abs(found - truth)[truth < 5].mean() < 1.5
    again = weights.loads(weights.dumps(fitted))
    np.testing.assert_array_equal(again.predict(asked), found)


def test_a_negative_life_is_refused() -> None:
    features, life = worn(0, count=2)
    with pytest.raises(InvalidInput, match="never negative; y holds -5"):
        RemainingLifeRegressor(**QUICK).fit(features, life - 5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cell": "rnn"}, "cell 'rnn' is unknown; known: lstm, gru"),
        ({"width": 0}, "width and depth"),
        ({"dropout": 1.0}, "dropout"),
        ({"longest": 0.0}, "longest must be above 0"),
        ({"shape": (3, 2, 4)}, r"shape=\(steps, channels\)"),
    ],
)
def test_parameters_without_a_use_are_refused(parameters: dict[str, Any], message: str) -> None:
    features, slope = courses(30, 0)
    with pytest.raises(InvalidInput, match=message):
        RemainingLifeRegressor(**QUICK | parameters).fit(features, np.abs(slope))


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (5, [1]), (6, [1, 2]), (14, [1, 2, 4])])
def test_the_last_step_sees_the_first_one(steps: int, expected: list[int]) -> None:
    # Two layers of three taps see 4 steps back per unit of dilation: 5, 13, 29 steps in all.
    assert dilations(steps) == expected


def test_a_temporal_network_without_a_width_is_refused() -> None:
    features, slope = courses(30, 0)
    with pytest.raises(InvalidInput, match="width must be 1 or more"):
        TemporalRegressor(**QUICK | {"width": 0}).fit(features, slope)
