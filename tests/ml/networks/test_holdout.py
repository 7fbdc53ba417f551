import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.holdout import hold_out


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_each_class_gives_its_share() -> None:
    classes = np.repeat([0, 1], [180, 20])
    learned, held = hold_out(200, 0.1, rng(), classes=classes)
    assert np.bincount(classes[held]).tolist() == [18, 2]
    assert sorted([*learned, *held]) == list(range(200))


def test_groups_stay_whole() -> None:
    groups = np.repeat(np.arange(25), 4)
    learned, held = hold_out(100, 0.2, rng(), groups=groups)
    assert len(held) == 20
    assert not set(groups[learned]) & set(groups[held])


def test_the_last_part_of_time_is_held_out_and_equal_times_together() -> None:
    times = np.array([np.datetime64("2024-01-01") + day // 3 for day in range(99)])[::-1]
    learned, held = hold_out(99, 0.2, rng(), times=times)
    assert times[learned].max() < times[held].min()
    assert len(held) == 21


def test_groups_in_time_are_held_out_by_their_last_row() -> None:
    groups = np.repeat(np.arange(10), 10)
    times = np.tile(np.arange(10), 10) + groups * 3
    _, held = hold_out(100, 0.2, rng(), groups=groups, times=times)
    assert set(groups[held]) == {8, 9}


@pytest.mark.parametrize("share", [0, 0.04])
def test_a_part_too_small_to_measure_is_not_held_out(share: float) -> None:
    learned, held = hold_out(200, share, rng())
    assert len(learned) == 200
    assert len(held) == 0


def test_one_group_is_learned_from_whole() -> None:
    learned, held = hold_out(100, 0.2, rng(), groups=np.zeros(100))
    assert (len(learned), len(held)) == (100, 0)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="from 0 to below 1"):
        hold_out(100, share, rng())


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one value a row: 100; got 3"):
        hold_out(100, 0.1, rng(), groups=np.arange(3))
