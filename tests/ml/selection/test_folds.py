from typing import Any

import numpy as np
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.selection.folds import Plan, plan

CODES = np.arange(60) % 3


def made(rows: int = 60, **options: Any) -> Plan:
    defaults: dict[str, Any] = {"codes": None, "groups": None, "times": None, "seed": 0}
    return plan(rows, **defaults | options)


@pytest.mark.parametrize("codes", [None, CODES])
def test_every_row_is_asked_about_once_and_never_learned_from(codes: Any) -> None:
    found = made(codes=codes, repeats=2)
    assert len(found.repeats) == 2
    assert found.asked.tolist() == list(range(60))
    for folds in found.repeats:
        assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(60))
        for fold in folds:
            assert not set(fold.train.tolist()) & set(fold.test.tolist())
    first, again = (folds[0].test.tolist() for folds in found.repeats)
    assert first != again


def test_classes_have_their_share_in_each_fold() -> None:
    for fold in made(codes=CODES).repeats[0]:
        assert np.bincount(CODES[fold.test]).tolist() == [4, 4, 4]


@pytest.mark.parametrize("codes", [None, CODES])
def test_groups_stay_whole(codes: Any) -> None:
    groups = [f"patient {row // 4}" for row in range(60)]
    found = made(codes=codes, groups=groups)
    assert "whole groups" in found.kind
    for fold in found.repeats[0]:
        train, test = ({groups[row] for row in side.tolist()} for side in (fold.train, fold.test))
        assert not train & test


def test_fewer_groups_than_folds_give_as_many_folds() -> None:
    found = made(groups=[str(row % 3) for row in range(60)])
    assert len(found.repeats[0]) == 3
    assert found.notes == ("3 groups give 3 folds",)


def test_later_rows_are_asked_by_earlier_ones() -> None:
    times = np.random.default_rng(0).permutation(60).astype(float)
    found = made(times=times, repeats=3)
    # There is one way to divide rows in time.
    assert len(found.repeats) == 1
    assert len(found.repeats[0]) == 5
    for fold in found.repeats[0]:
        assert times[fold.train].max() < times[fold.test].min()
    # The first block is learned from only.
    assert len(found.asked) == 50


def test_a_moment_is_not_torn_apart() -> None:
    times = np.repeat([1.0, 2.0, 3.0], 20)
    found = made(times=times)
    assert [len(fold.test) for fold in found.repeats[0]] == [20, 20]
    assert found.notes == ("the moments give 2 folds",)


def test_in_time_groups_of_the_asked_rows_are_not_learned_from() -> None:
    groups = [str(row % 6) for row in range(60)]
    times = np.arange(60) // 10
    groups = [
        f"{time}-{group}" if time % 2 else group for time, group in zip(times, groups, strict=True)
    ]
    for fold in made(times=times.astype(float), groups=groups).repeats[0]:
        assert not {groups[r] for r in fold.train} & {groups[r] for r in fold.test}


def test_a_class_in_one_row_is_noted() -> None:
    codes = np.array([0] * 30 + [1] * 29 + [2])
    found = made(codes=codes)
    assert "1 of 5 folds learn without a class" in found.notes[0]


def test_many_rows_are_asked_about_once_in_part() -> None:
    found = made(50_000, repeats=3)
    assert len(found.repeats) == len(found.repeats[0]) == 1
    assert len(found.asked) == 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 3}, "4 rows at least"),
        ({"groups": ["one"] * 60}, "belong to one group"),
        ({"times": np.zeros(60)}, "of one moment"),
        ({"times": np.arange(60.0), "groups": ["one"] * 60}, "from the first to the last moment"),
    ],
)
def test_what_cannot_be_divided_says_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        made(**options)
