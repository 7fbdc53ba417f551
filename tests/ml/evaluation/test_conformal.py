import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.conformal import (
    CrossConformal,
    ScaledConformal,
    SplitConformal,
    cross_conformal,
    scaled_conformal,
    split_conformal,
)


def uneven(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and predictions whose error grows with the prediction."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 10, rows)
    return values + rng.normal(size=rows) * values / 5, values


def test_the_reach_is_the_right_residual() -> None:
    # Of nine residuals at 80 %: the ceil(0.8 * 10) = 8th smallest.
    truth = np.array([3, -1, 4, -2, 5, 9, -6, 8, 7.0])
    found = split_conformal(truth, np.zeros(9), level=0.8)
    assert found == SplitConformal(0.8, (8.0,), 9)
    low, high = found.apply(np.array([10.0, 20.0]))
    assert (low.tolist(), high.tolist()) == ([2, 12], [18, 28])
    assert split_conformal(truth, np.zeros(9), level=0.9).reach == (9.0,)
    with pytest.raises(InvalidInput, match="at 95% need at least 19 rows"):
        split_conformal(truth, np.zeros(9), level=0.95)


@pytest.mark.parametrize("fit", [split_conformal, scaled_conformal])
def test_intervals_hold_the_truth_as_often_as_told(fit) -> None:
    held = []
    for seed in range(150):
        truth, values = uneven(400, seed)
        low, high = fit(truth[:200], values[:200], level=0.9).apply(values[200:])
        held.append(np.mean((low <= truth[200:]) & (truth[200:] <= high)))
    assert 0.89 < np.mean(held) < 0.92


def test_scaled_intervals_hold_it_for_small_and_large_alike() -> None:
    truth, values = uneven(8000, 0)
    shares = {}
    for fit in (split_conformal, scaled_conformal):
        low, high = fit(truth[:4000], values[:4000], level=0.9).apply(values[4000:])
        held = (low <= truth[4000:]) & (truth[4000:] <= high)
        large = values[4000:] > 7
        shares[fit.__name__] = held[large].mean(), held[~large].mean()
    assert shares["scaled_conformal"] == pytest.approx((0.9, 0.9), abs=0.025)
    assert shares["split_conformal"][0] < 0.83 < 0.93 < shares["split_conformal"][1]


def test_several_outputs_have_a_reach_each() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100, 2)) * [1, 10]
    found = split_conformal(truth, np.zeros((100, 2)))
    low, high = found.apply(np.ones((3, 2)))
    assert low.shape == (3, 2)
    assert (high - low)[0] == pytest.approx(2 * np.array(found.reach))
    assert found.reach[1] > 5 * found.reach[0]


def test_cv_plus_is_its_definition() -> None:
    rng = np.random.default_rng(1)
    truth, values, folds = rng.normal(size=30), rng.normal(size=30), np.arange(30) % 3
    found = cross_conformal(truth, values, folds, level=0.8)
    answers = rng.normal(size=(5, 3))
    low, high = found.apply(answers)
    residuals = np.abs(truth - values)
    for row in range(5):
        below = sorted(answers[row, folds[i]] - residuals[i] for i in range(30))
        above = sorted(answers[row, folds[i]] + residuals[i] for i in range(30))
        # ceil(0.8 * 31) = 25th from below of the upper ends, and from above of the lower.
        assert high[row] == above[24]
        assert low[row] == below[30 - 25]
    with pytest.raises(InvalidInput, match="answers of 3 folds"):
        found.apply(answers[:, :2])


def test_cv_plus_covers_with_models_of_the_folds() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(30):
        matrix = rng.normal(size=(150, 5))
        truth = matrix.sum(axis=1) + rng.normal(size=150)
        folds = np.arange(50) % 5
        models = [
            LinearRegression().fit(matrix[:50][folds != k], truth[:50][folds != k])
            for k in range(5)
        ]
        outside = np.array([models[k].predict(matrix[i : i + 1])[0] for i, k in enumerate(folds)])
        found = cross_conformal(truth[:50], outside, folds, level=0.9)
        answers = np.stack([model.predict(matrix[50:]) for model in models], axis=1)
        low, high = found.apply(answers)
        held.append(np.mean((low <= truth[50:]) & (truth[50:] <= high)))
    assert 0.88 < np.mean(held) < 0.95


def test_they_are_data() -> None:
    truth, values = uneven(200, 0)
    kinds = SplitConformal | ScaledConformal | CrossConformal
    for found in (
        split_conformal(truth, values),
        scaled_conformal(truth, values),
        cross_conformal(truth, values, np.arange(200) % 5),
    ):
        assert msgspec.json.decode(msgspec.json.encode(found), type=kinds) == found


@pytest.mark.parametrize("level", [0, 1, -1, 2])
def test_levels_are_shares(level: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        split_conformal(np.ones(5), np.ones(5), level=level)


def test_a_model_without_error_gives_intervals_of_next_to_no_width() -> None:
    values = np.arange(100.0)
    low, high = scaled_conformal(values, values).apply(values)
    assert (low <= values).all()
    assert (high - low).max() < 1e-9
