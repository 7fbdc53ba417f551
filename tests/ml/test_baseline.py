import numpy as np
import pytest

from lepton_ai.core.errors import Corrupt
from lepton_ai.ml.baseline import Baseline
from lepton_ai.ml.outcome import Classes


def measured(matrix: np.ndarray) -> Baseline:
    names = [f"f{n}" for n in range(matrix.shape[1])]
    codes = np.arange(len(matrix)) % 4 // 3
    answers = np.stack([1 - codes * 0.85, codes * 0.85], axis=1)
    return Baseline.of(matrix, names, codes, Classes(("no", "yes")), answers, "held-out")


def test_shares_of_classes_and_answers() -> None:
    baseline = measured(np.random.default_rng(0).normal(size=(400, 2)))
    assert baseline.rows == 400
    assert baseline.classes == {"no": 0.75, "yes": 0.25}
    assert baseline.predictions.labels == {"no": 0.75, "yes": 0.25}
    # 0.85 lies in the ninth of ten bins, 0 in the first; 1 belongs to the last.
    assert baseline.predictions.probabilities["yes"] == (0.75, *[0.0] * 7, 0.25, 0.0)
    assert baseline.predictions.probabilities["no"] == (0.0, 0.25, *[0.0] * 7, 0.75)
    assert baseline.predictions.rows == "held-out"


def test_bins_of_a_continuous_feature_are_deciles() -> None:
    column = np.random.default_rng(0).normal(3, 2, 1000)
    (feature,) = measured(column[:, None]).features
    assert (feature.mean, feature.deviation) == pytest.approx((column.mean(), column.std()))
    assert (feature.low, feature.high) == (column.min(), column.max())
    assert feature.edges == pytest.approx(np.quantile(column, np.arange(1, 10) / 10), abs=0.02)
    assert feature.shares == pytest.approx([0.1] * 10)


def test_bins_of_few_values_are_the_values() -> None:
    column = np.repeat([0.0, 1.0, 5.0], [50, 30, 20])
    (feature,) = measured(column[:, None]).features
    assert feature.edges == (0.5, 3.0)
    assert feature.shares == (0.5, 0.3, 0.2)
    (constant,) = measured(np.full((10, 1), 7.0)).features
    assert (constant.edges, constant.shares) == ((), (1.0,))


def test_a_value_that_is_often_makes_no_empty_bins() -> None:
    column = np.r_[np.zeros(700), np.random.default_rng(0).random(300) + 1]
    (feature,) = measured(column[:, None]).features
    assert feature.shares[0] == 0.7
    assert min(feature.shares) > 0.05
    assert sum(feature.shares) == pytest.approx(1)


def test_many_features_are_summed_up_by_row() -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 300))
    baseline = measured(matrix)
    names = [feature.name for feature in baseline.features]
    assert names == ["row mean", "row deviation", "row 5%", "row median", "row 95%"]
    observed = baseline.observe(matrix)
    assert observed.shape == (50, 5)
    assert observed[:, 0] == pytest.approx(matrix.mean(axis=1))
    assert observed[:, 3] == pytest.approx(np.median(matrix, axis=1))
    narrow = measured(matrix[:, :3])
    assert (narrow.observe(matrix[:, :3]) == matrix[:, :3]).all()


def test_it_survives_json() -> None:
    baseline = measured(np.random.default_rng(0).normal(size=(40, 2)))
    assert Baseline.from_json(baseline.to_json()) == baseline
    with pytest.raises(Corrupt):
        Baseline.from_json(b'{"rows": "many"}')
