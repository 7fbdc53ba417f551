"""Figures of a partition of rows, under many weightings of them at a time."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.probabilities import indicator

__all__ = ["AgreementMeasure", "SeparationMeasure"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class SeparationMeasure:
    """Davies-Bouldin and Calinski-Harabasz under weights: centres move with the draw."""

    def __init__(self, matrix: Floats, codes: Codes) -> None:
        """Prepare what every weighting shares.

        Args:
            matrix: of the rows that are in a cluster (rows, features), centred.
            codes: the cluster of each, from 0 without gaps (rows,).
        """
        self._parts = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
        self._matrix = matrix
        self._squares = np.square(matrix).sum(axis=1)

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures, each (draws,); NaN where fewer than two clusters are drawn."""
        shape = (len(weights), len(self._parts))
        mass, square = np.zeros(shape), np.zeros(shape)
        centres = np.zeros((*shape, self._matrix.shape[1]))
        reach = np.zeros(shape)
        for place, rows in enumerate(self._parts):
            drawn, points, squares = weights[:, rows], self._matrix[rows], self._squares[rows]
            mass[:, place] = drawn.sum(axis=1)
            square[:, place] = drawn @ squares
            total = np.maximum(mass[:, place], 1e-300)[:, None]
            centre = centres[:, place] = drawn @ points / total
            far = squares - 2 * centre @ points.T + np.square(centre).sum(axis=1)[:, None]
            reach[:, place] = (drawn * np.sqrt(np.maximum(far, 0))).sum(axis=1) / total[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "davies_bouldin": _davies_bouldin(mass, centres, reach),
                "calinski_harabasz": _calinski_harabasz(mass, square, centres),
            }


class AgreementMeasure:
    """How two partitions of the rows agree, under weights: adjusted Rand, mutual information."""

    def __init__(self, first: Codes, second: Codes) -> None:
        self._shape = (int(first.max()) + 1, int(second.max()) + 1)
        self._pairs = indicator(first * self._shape[1] + second, self._shape[0] * self._shape[1])

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return both figures, each (draws,)."""
        table = np.asarray(weights @ self._pairs).reshape(-1, *self._shape)
        rows, columns, total = table.sum(axis=2), table.sum(axis=1), weights.sum(axis=1)
        both, first, second = (_two(part).sum(axis=1) for part in (_flat(table), rows, columns))
        whole = _two(total)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = first * second / whole
            most = (first + second) / 2
            rand = np.where(most == expected, 1.0, (both - expected) / (most - expected))
            entropies = [_entropy(part / total[:, None]) for part in (rows, columns, _flat(table))]
            shared = entropies[0] + entropies[1] - entropies[2]
            mean = (entropies[0] + entropies[1]) / 2
            information = np.where(mean > 0, np.maximum(shared, 0) / mean, 1.0)
        return {"adjusted_rand": rand, "mutual_information": information}


def _davies_bouldin(mass: Floats, centres: Floats, reach: Floats) -> Floats:
    there = mass > 0
    apart = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=3)
    ratio = (reach[:, :, None] + reach[:, None]) / apart
    pair = there[:, :, None] & there[:, None] & ~np.eye(mass.shape[1], dtype=bool)
    worst = np.where(pair, ratio, -np.inf).max(axis=2)
    count = there.sum(axis=1)
    total = np.where(there & (count[:, None] > 1), worst, 0).sum(axis=1)
    return np.where(count > 1, total / count, np.nan)


def _calinski_harabasz(mass: Floats, square: Floats, centres: Floats) -> Floats:
    total = mass.sum(axis=1)
    count = (mass > 0).sum(axis=1)
    middle = np.einsum("dk,dkf->df", mass, centres) / total[:, None]
    norms = np.square(centres).sum(axis=2)
    within = (square - mass * norms).sum(axis=1)
    between = (mass * norms).sum(axis=1) - total * np.square(middle).sum(axis=1)
    return np.where(count > 1, between * (total - count) / (within * (count - 1)), np.nan)


def _flat(table: Floats) -> Floats:
    return table.reshape(len(table), -1)


def _two(counts: Floats) -> Floats:
    pairs: Floats = counts * (counts - 1) / 2
    return pairs


def _entropy(shares: Floats) -> Floats:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    result: Floats = -(shares * logs).sum(axis=1)
    return result
