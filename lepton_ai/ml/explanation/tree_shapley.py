"""Exact Shapley values of trees, with a background of rows and groups of features as players.

For one row and one row of the background, a leaf is reached by a coalition exactly when every
player whose feature only the row brings there is in it, and every player whom only the background
brings there is not. Such a game has Shapley values in closed form, and those of a forest are their
sum over leaves and their mean over the background (the interventional TreeSHAP of Lundberg et
al., 2020, with groups of features in the place of single ones).
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.explanation.forest import Forest

__all__ = ["Paths", "paths_of", "tree_shapley"]

Matrix = NDArray[np.float64]

# A mask of the players on the way to a leaf is one number of so many bits.
_MOST_PLAYERS = 64
# Conditions that are looked at together: a bound on the memory.
_CHUNK = 200_000


class Paths(Struct, frozen=True):
    """The ways to the leaves: which conditions a row must meet to come to each.

    Conditions are sorted by leaf, then by player. Each leaf numbers the players on its way from 0.

    Attributes:
        node: of each condition (conditions,).
        low: whether the way goes low there (conditions,).
        segments: where the conditions of one player of one leaf begin (segments,).
        bit: the player's number in its leaf (segments,).
        starts: where the segments of a leaf begin (leaves,).
        players: the player of each number of each leaf (leaves, most); -1 where there is none.
        leaf: its node (leaves,).
    """

    node: NDArray[np.int64]
    low: NDArray[np.bool_]
    segments: NDArray[np.int64]
    bit: NDArray[np.uint64]
    starts: NDArray[np.int64]
    players: NDArray[np.int64]
    leaf: NDArray[np.int64]

    def met(self, goes_low: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """Return which players of each leaf bring a row there, as bits (rows, leaves)."""
        agree = goes_low[:, self.node] == self.low
        whole = np.logical_and.reduceat(agree, self.segments, axis=1)
        bits = whole.astype(np.uint64) << self.bit
        met: NDArray[np.uint64] = np.bitwise_or.reduceat(bits, self.starts, axis=1)
        return met


def paths_of(forest: Forest, owner: NDArray[np.int64]) -> list[Paths] | None:
    """Return the ways to the leaves of a forest in portions, or None where one is too long.

    Args:
        forest: the trees.
        owner: the player that each feature belongs to (features,).
    """
    ways: list[tuple[int, list[tuple[int, int, bool]]]] = []
    for root in forest.roots.tolist():
        ahead: list[tuple[int, list[tuple[int, int, bool]]]] = [(root, [])]
        while ahead:
            node, way = ahead.pop()
            feature = int(forest.feature[node])
            if feature < 0:
                if way:
                    ways.append((node, way))
                continue
            player = int(owner[feature])
            ahead.append((int(forest.low[node]), [*way, (player, node, True)]))
            ahead.append((int(forest.high[node]), [*way, (player, node, False)]))
    portions: list[Paths] = []
    portion: list[tuple[int, list[tuple[int, int, bool]]]] = []
    held = 0
    for leaf, way in ways:
        if len({player for player, _, _ in way}) > _MOST_PLAYERS:
            return None
        portion.append((leaf, sorted(way)))
        held += len(way)
        if held > _CHUNK:
            portions.append(_packed(portion))
            portion, held = [], 0
    if portion:
        portions.append(_packed(portion))
    return portions


def _packed(ways: list[tuple[int, list[tuple[int, int, bool]]]]) -> Paths:
    node: list[int] = []
    low: list[bool] = []
    segments: list[int] = []
    bit: list[int] = []
    starts: list[int] = []
    every: list[list[int]] = []
    for _, way in ways:
        starts.append(len(segments))
        players: list[int] = []
        for player, at, down in way:
            if not players or players[-1] != player:
                segments.append(len(node))
                bit.append(len(players))
                players.append(player)
            node.append(at)
            low.append(down)
        every.append(players)
    most = max(map(len, every))
    padded = [players + [-1] * (most - len(players)) for players in every]
    return Paths(
        np.array(node),
        np.array(low),
        np.array(segments),
        np.array(bit, dtype=np.uint64),
        np.array(starts),
        np.array(padded),
        np.array([leaf for leaf, _ in ways]),
    )


def tree_shapley(
    forest: Forest,
    portions: list[Paths],
    features: Matrix,
    background: Matrix,
    weights: Matrix,
    players: int,
) -> tuple[Matrix, Matrix]:
    """Return the mean scores of a background, and what each player adds to each row's.

    Args:
        forest: the trees.
        portions: of `paths_of`.
        features: the rows to explain (rows, features).
        background: (background, features).
        weights: of the background (background,), their sum is 1.
        players: how many there are.

    Returns:
        (scores,) and (rows, players, scores); base and contributions add up to a row's scores.
    """
    base = weights @ forest.scores(background)
    given = np.zeros((len(features), players, forest.values.shape[1]))
    low_rows, low_others = forest.goes_low(features), forest.goes_low(background)
    for paths in portions:
        rows, others = paths.met(low_rows), paths.met(low_others)
        sizes = (paths.players >= 0).sum(axis=1).astype(np.uint64)
        full = np.array([(1 << int(size)) - 1 for size in sizes], dtype=np.uint64)
        for row in range(len(features)):
            _add(given[row], paths, rows[row], others, full, forest.values[paths.leaf], weights)
    return base, given


def _add(
    given: Matrix,
    paths: Paths,
    row: NDArray[np.uint64],
    others: NDArray[np.uint64],
    full: NDArray[np.uint64],
    values: Matrix,
    weights: Matrix,
) -> None:
    """Add one row's contributions (players, scores)."""
    which, leaf = np.nonzero(((row | others) == full) & (row != others))
    if not len(which):
        return
    mine, theirs = row[leaf] & ~others[which, leaf], others[which, leaf] & ~row[leaf]
    with_row = np.bitwise_count(mine).astype(np.int64)
    without = np.bitwise_count(theirs).astype(np.int64)
    gain, loss = _shares(int(max(with_row.max(), without.max())))
    scaled = weights[which, None] * values[leaf]
    width = len(given)
    for number in range(paths.players.shape[1]):
        shift = np.uint64(number)
        inside = ((mine >> shift) & np.uint64(1)).astype(bool)
        outside = ((theirs >> shift) & np.uint64(1)).astype(bool)
        (taken,) = np.nonzero(inside | outside)
        if not len(taken):
            continue
        p, n = with_row[taken], without[taken]
        factor = np.where(inside[taken], gain[p, n], -loss[p, n])
        players = paths.players[leaf[taken], number]
        for score in range(given.shape[1]):
            added = factor * scaled[taken, score]
            given[:, score] += np.bincount(players, added, minlength=width)


def _shares(most: int) -> tuple[Matrix, Matrix]:
    """Return the Shapley value of a player who must be in, and who must be out, negated.

    Of a game that is worth 1 to the coalitions which hold all of p players and none of n others:
    (p - 1)! n! / (p + n)! and p! (n - 1)! / (p + n)!.
    """
    gain, loss = np.zeros((most + 1, most + 1)), np.zeros((most + 1, most + 1))
    for p in range(most + 1):
        for n in range(most + 1):
            ways = math.comb(p + n, p)
            gain[p, n] = 1 / (p * ways) if p else 0.0
            loss[p, n] = 1 / (n * ways) if n else 0.0
    return gain, loss
