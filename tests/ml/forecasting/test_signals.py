import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting import running_mean, settled_mean, smoothed

RECORD = np.array([[4.0], [8.0], [0.0], [2.0]])


def test_smoothing_by_hand() -> None:
    # Weights 1; 1/3, 2/3; 1/7, 2/7, 4/7 of the steps so far, newest last.
    expected = [4, 20 / 3, 20 / 7, (4 + 16 + 0 + 16) / 15]
    np.testing.assert_allclose(smoothed(RECORD, 0.5)[:, 0], expected)


def test_smoothing_is_that_of_polars() -> None:
    values = np.random.default_rng(0).normal(size=200)
    other = pl.Series(values).ewm_mean(alpha=0.07).to_numpy()
    np.testing.assert_allclose(smoothed(values[:, np.newaxis], 0.07)[:, 0], other)


def test_means_by_hand() -> None:
    assert running_mean(RECORD)[:, 0].tolist() == [4, 6, 4, 3.5]
    assert settled_mean(RECORD, 2)[:, 0].tolist() == [4, 6, 6, 6]
    assert settled_mean(RECORD, 9)[:, 0].tolist() == [4, 6, 4, 3.5]


@pytest.mark.parametrize(
    "channel",
    [lambda r: smoothed(r, 0.3), running_mean, lambda r: settled_mean(r, 5)],
    ids=["smoothed", "running", "settled"],
)
def test_no_step_depends_on_a_later_one(channel: object) -> None:
    record = np.random.default_rng(1).normal(size=(30, 2))
    assert callable(channel)
    np.testing.assert_array_equal(channel(record[:17]), channel(record)[:17])


def test_weights_and_steps_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="above 0 and at most 1"):
        smoothed(RECORD, 1.5)
    with pytest.raises(InvalidInput, match="got 0"):
        settled_mean(RECORD, 0)
