"""Shapley values of any game: exact over all coalitions, or by sampled permutations.

A leaf: a game is a function from coalitions to values.
"""

import math
from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Game", "Shares", "exact", "sampled"]

Matrix = NDArray[np.float64]
Masks = NDArray[np.bool_]
Game = Callable[[Masks], Matrix]
"""Gives the value of coalitions (coalitions, players): (coalitions, outputs)."""

_BLOCK = 256


class Shares(Struct, frozen=True):
    """Shapley values of one game.

    Attributes:
        base: the value of nobody (outputs,).
        values: of each player (players, outputs); base and values add up to that of everybody.
        errors: standard errors (players, outputs); zero where nothing was sampled.
    """

    base: Matrix
    values: Matrix
    errors: Matrix


def exact(game: Game, players: int) -> Shares:
    """Return the Shapley values over all 2 to the power of ``players`` coalitions."""
    numbers = np.arange(2**players)
    masks = (numbers[:, None] >> np.arange(players)) & 1 == 1
    worth = np.concatenate([game(masks[at : at + _BLOCK]) for at in range(0, len(masks), _BLOCK)])
    sizes = masks.sum(axis=1)
    ways = np.array([1 / (players * math.comb(players - 1, k)) for k in range(players)])
    values = np.empty((players, worth.shape[1]))
    for player in range(players):
        without = numbers[~masks[:, player]]
        gained = worth[without | (1 << player)] - worth[without]
        values[player] = ways[sizes[without]] @ gained
    return Shares(worth[0], values, np.zeros_like(values))


def sampled(game: Game, players: int, permutations: int, seed: int) -> Shares:
    """Return Shapley values over random orders of the players, each with its reverse.

    Orders and their reverses (Mitchell et al., 2022) cancel much of the chance; each pair is one
    draw of the standard errors. The values add up exactly, whatever the number of draws.

    Args:
        game: the game.
        players: how many there are.
        permutations: pairs of orders, at least 2.
        seed: of the orders.
    """
    rng = np.random.default_rng(seed)
    lower = np.tril(np.ones((players + 1, players), dtype=bool), -1)
    draws = []
    for _ in range(permutations):
        order = rng.permutation(players)
        pair = []
        for each in (order, order[::-1]):
            masks = np.zeros((players + 1, players), dtype=bool)
            masks[:, each] = lower
            worth = game(masks)
            gained = np.empty((players, worth.shape[1]))
            gained[each] = np.diff(worth, axis=0)
            pair.append(gained)
        draws.append((pair[0] + pair[1]) / 2)
    found = np.stack(draws)
    errors = found.std(axis=0, ddof=1) / math.sqrt(permutations)
    return Shares(game(np.zeros((1, players), dtype=bool))[0], found.mean(axis=0), errors)
