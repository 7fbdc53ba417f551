"""Partitions: properties on random groups, the optimum by brute force, and hand-made cases."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from lepton_ai.data.partition import partition


def codes(values):
    return np.unique(np.asarray(values), return_inverse=True)[1]


@st.composite
def grouped(draw, most_groups=40, largest=6):
    sizes = draw(st.lists(st.integers(1, largest), min_size=2, max_size=most_groups))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=len(groups), max_size=len(groups))))
    count = draw(st.integers(1, len(groups) - 1))
    order = np.random.RandomState(draw(st.integers(0, 99))).permutation(len(groups))
    return groups[order], codes(labels[order]), count, draw(st.integers(0, 2**32 - 1))


@settings(deadline=None)
@given(grouped())
def test_groups_stay_whole_and_sizes_are_close(case):
    groups, labels, count, seed = case
    test = partition(groups, labels, count, seed)
    assert not set(groups[test]) & set(groups[~test])
    assert test.any()
    assert not test.all()
    largest = np.bincount(groups).max()
    lonely = {c for c in set(labels) if len(set(groups[labels == c])) == 1}
    free = [g for g in set(groups) if not lonely & set(labels[groups == g])]
    if np.isin(groups, free).sum() >= count:
        assert abs(test.sum() - count) <= max(1, largest)
        assert not lonely & set(labels[test])
    np.testing.assert_array_equal(test, partition(groups, labels, count, seed))


@settings(deadline=None, max_examples=50)
@given(grouped(most_groups=9))
def test_the_size_is_nearly_the_best_there_is(case):
    groups, labels, count, seed = case
    labels = np.zeros_like(labels)  # without classes only the size counts
    test = partition(groups, labels, count, seed)
    sizes = np.bincount(groups)
    best = min(
        abs(sizes[list(chosen)].sum() - count)
        for k in range(1, len(sizes))
        for chosen in combinations(range(len(sizes)), k)
    )
    assert abs(test.sum() - count) <= best + 1


@settings(deadline=None)
@example(labels=[0] * 9 + [1, 1, 2, 2], share=0.75, seed=0)
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=200), st.floats(0.05, 0.95),
    st.integers(0, 1000),
)  # fmt: skip
def test_single_items_are_stratified_exactly(labels, share, seed):
    labels = codes(labels)
    count = min(max(1, round(share * len(labels))), len(labels) - 1)
    test = partition(np.arange(len(labels)), labels, count, seed)
    totals = np.bincount(labels)
    alone = totals == 1
    # A class of several items has one on either side; what it cannot have, others have to take.
    due = totals[~alone] * count / len(labels)
    moved = np.maximum(due - (totals[~alone] - 1), 0) + np.maximum(1 - due, 0)
    if len(labels) - alone.sum() >= count:
        assert test.sum() == count
    for label, total in enumerate(totals):
        ours = (labels[test] == label).sum()
        if total > 1 and count >= 5 and len(labels) - count >= 5:
            assert 0 < ours < total
        assert abs(ours - total * count / len(labels)) <= 1 + alone.sum() + moved.sum()


def test_class_shares_are_as_close_as_scikit_learns():
    random = np.random.RandomState(0)
    groups = np.repeat(np.arange(400), random.randint(1, 4, 400))
    labels = (random.rand(400) < 0.3).astype(int)[groups]
    test = partition(groups, labels, round(len(groups) / 5), 0)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(groups, labels, groups)
    theirs = min(abs(labels[fold].mean() - labels.mean()) for _, fold in folds)
    assert abs(labels[test].mean() - labels.mean()) <= theirs + 1e-3
    assert test.sum() == round(len(groups) / 5)


def test_counts_per_class_are_scikit_learns_without_groups():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    test = partition(np.arange(100), labels, 20, 3)
    _, theirs = train_test_split(labels, test_size=20, stratify=labels, random_state=3)
    assert np.bincount(labels[test]).tolist() == np.bincount(theirs).tolist() == [10, 6, 4]


def test_seeds_give_different_sides_also_when_every_group_differs():
    groups = np.repeat(np.arange(40), np.arange(1, 41))  # no two groups of one size
    labels = np.arange(len(groups)) % 2
    sides = {
        tuple(partition(groups, labels, 164, seed).nonzero()[0].tolist()) for seed in range(10)
    }
    assert len(sides) == 10
    assert all(abs(len(side) - 164) <= 1 for side in sides)


def test_every_item_is_chosen_about_as_often():
    groups = np.repeat(np.arange(30), 2)
    labels = (groups % 3 == 0).astype(int)
    often = sum(partition(groups, labels, 12, seed).astype(int) for seed in range(300))
    assert np.abs(often / 300 - 0.2).max() < 0.1


def test_one_huge_group_stays_in_training():
    groups = np.repeat(np.arange(5), [80, 5, 5, 5, 5])
    test = partition(groups, np.zeros(100, dtype=int), 20, 0)
    assert test.tolist() == [False] * 80 + [True] * 20


def test_two_groups_are_parted_whatever_the_size():
    groups = np.repeat([0, 1], [50, 50])
    assert partition(groups, np.zeros(100, dtype=int), 1, 0).sum() == 50


def test_a_class_of_one_stays_in_training():
    labels = np.array([0] * 9 + [1])
    for seed in range(20):
        assert not partition(np.arange(10), labels, 2, seed)[9]


def test_all_classes_of_one_are_still_parted():
    assert partition(np.arange(5), np.arange(5), 2, 0).sum() == 2


def test_a_rare_class_is_on_both_sides():
    labels = np.array([0] * 98 + [1] * 2)
    for seed in range(10):
        test = partition(np.arange(100), labels, 10, seed)
        assert test.sum() == 10
        assert labels[test].sum() == 1


@pytest.mark.parametrize("classes", [1, 1000])
def test_large_sets_take_seconds_at_most(classes):
    groups = np.arange(300_000) // 3
    labels = (groups * 7919) % classes
    test = partition(groups, labels, 60_000, 0)
    assert test.sum() == 60_000
