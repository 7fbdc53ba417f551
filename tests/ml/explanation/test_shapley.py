"""Shapley values: against the definition, and the axioms that single them out."""

from itertools import permutations

import numpy as np
import pytest

from lepton_ai.ml.explanation.shapley import exact, sampled

WEIGHTS = np.array([1.0, -2.0, 0.5, 3.0])


def game(masks: np.ndarray) -> np.ndarray:
    """Weights, a bonus for the first two together; the last player but one does nothing."""
    held = masks.astype(float)
    alone = held[:, [0, 1, 3]] @ WEIGHTS[[0, 1, 3]]
    return np.stack([alone + 4 * held[:, 0] * held[:, 1] + 7, alone], axis=1)


def by_definition(players: int) -> np.ndarray:
    """The mean over all orders of what a player adds when its turn comes."""
    total = np.zeros((players, 2))
    orders = list(permutations(range(players)))
    for order in orders:
        held = np.zeros((1, players), dtype=bool)
        for player in order:
            before = game(held)[0]
            held[0, player] = True
            total[player] += game(held)[0] - before
    return total / len(orders)


def test_exact_values_are_those_of_the_definition() -> None:
    found = exact(game, 4)
    assert found.values == pytest.approx(by_definition(4))
    assert found.base == pytest.approx([7, 0])
    # The bonus is shared by halves; who does nothing gets nothing.
    assert found.values[:, 0] == pytest.approx([1 + 2, -2 + 2, 0, 3])
    assert (found.errors == 0).all()


def test_values_add_up_and_the_game_without_interaction_is_the_weights() -> None:
    found = exact(game, 4)
    everybody = game(np.ones((1, 4), dtype=bool))[0]
    assert found.base + found.values.sum(axis=0) == pytest.approx(everybody)
    assert found.values[:, 1] == pytest.approx([1, -2, 0, 3])


def test_equal_players_get_equal_values() -> None:
    def alike(masks: np.ndarray) -> np.ndarray:
        return (masks[:, :2].any(axis=1) * 2.0 + masks[:, 2])[:, None]

    assert exact(alike, 3).values[:, 0] == pytest.approx([1, 1, 1])


def test_sampled_values_are_within_their_errors_and_add_up() -> None:
    def deep(masks: np.ndarray) -> np.ndarray:
        held = masks.astype(float)
        worth = np.sin(held @ np.arange(1, 7)) + held[:, 0] * held[:, 3] * held[:, 5]
        return worth[:, None]

    truth, found = exact(deep, 6), sampled(deep, 6, 400, seed=0)
    off = np.abs(found.values - truth.values) / found.errors
    assert (off < 4).all()
    everybody = deep(np.ones((1, 6), dtype=bool))[0]
    assert found.base + found.values.sum(axis=0) == pytest.approx(everybody)
    assert (sampled(deep, 6, 40, seed=1).errors > 2 * found.errors).all()
    again = sampled(deep, 6, 400, seed=0)
    assert (again.values == found.values).all()


def test_one_pair_of_orders_is_exact_without_interactions_of_more_than_two() -> None:
    # An order and its reverse see each pair of players both ways round.
    assert sampled(game, 4, 2, seed=3).values == pytest.approx(by_definition(4))
