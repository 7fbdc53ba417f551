"""The parity gate: whether an exported model answers as the trained one does."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.metrics import winners
from lepton_ai.ml.runtimes import Runtime

__all__ = ["TOLERANCE", "Parity", "compare", "mixed_rows"]

# The largest difference of a probability that passes. The graphs calculate in float32: faithful
# exports of the zoo stay under 1e-5, unfaithful ones (distance-weighted neighbours, float32
# scaling) are off by 1e-2 and more.
TOLERANCE = 1e-4

_BLOCK = 4096


class Parity(Struct, frozen=True):
    """What the gate measured.

    Attributes:
        rows: how many rows were compared.
        difference: the largest absolute difference of a class probability.
        labels: rows whose label differs, although the trained model's two best classes lie
            further apart than the tolerance.
        ties: rows whose label differs because those two lie within the tolerance.
    """

    rows: int
    difference: float
    labels: int
    ties: int

    @property
    def passed(self) -> bool:
        """Whether the exported model may be served."""
        return bool(self.difference <= TOLERANCE) and self.labels == 0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, largest difference of a probability {self.difference:.2g} "
            f"(at most {TOLERANCE:g}), {self.labels} other labels"
        )


def compare(
    reference: Runtime, candidate: Runtime, blocks: Sequence[NDArray[np.float64]]
) -> Parity:
    """Compare two forms of one model.

    Args:
        reference: the trained estimator.
        candidate: the exported form.
        blocks: feature matrices (rows, features): training rows, then held-out rows.
    """
    rows = labels = ties = 0
    difference = 0.0
    for block in blocks:
        for start in range(0, len(block), _BLOCK):
            part = block[start : start + _BLOCK]
            expected, given = reference.run(part), candidate.run(part)
            gap = np.abs(expected - given)
            # A NaN from the exported form must fail, not vanish in a maximum.
            difference = max(difference, float(np.where(np.isnan(gap), np.inf, gap).max()))
            other = winners(expected) != winners(given)
            best = np.sort(expected[other], axis=1)[:, -2:]
            tied = int((best[:, 1] - best[:, 0] <= TOLERANCE).sum()) if other.any() else 0
            rows, ties, labels = rows + len(part), ties + tied, labels + int(other.sum()) - tied
    return Parity(rows, difference, labels, ties)


def mixed_rows(matrix: NDArray[np.float64], rows: int, seed: int) -> NDArray[np.float64]:
    """Make rows that no training row equals, each feature from one of two random rows.

    Stands in for held-out rows where there are none: every value is one that occurs, so
    discrete features stay discrete, and the combinations are new.

    Args:
        matrix: training features (rows, features).
        rows: how many to make.
        seed: of the random choices.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.integers(len(matrix), size=(2, rows))
    choose = rng.random((rows, matrix.shape[1])) < 0.5
    mixed: NDArray[np.float64] = np.where(choose, matrix[first], matrix[second])
    return mixed
