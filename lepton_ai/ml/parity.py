"""The parity gate: whether an exported model answers as the trained one does."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.metrics import winners
from lepton_ai.ml.runtimes.runtime import Runtime

__all__ = ["TOLERANCE", "Parity", "compare", "mixed_rows"]

# The largest difference that passes: of a probability, or of a value as a share of how far the
# values spread. The graphs calculate in float32: faithful exports of the zoo stay under 1e-5,
# unfaithful ones (distance-weighted neighbours, float32 scaling) are off by 1e-2 and more.
TOLERANCE = 1e-4

_BLOCK = 4096


class Parity(Struct, frozen=True):
    """What the gate measured.

    Attributes:
        rows: how many rows were compared.
        difference: the largest absolute difference of a share, or of a value divided by the
            standard deviation of the values.
        labels: rows whose label differs, although the trained model's two best classes lie
            further apart than the tolerance.
        ties: rows whose label differs because those two lie within the tolerance.
        shares: whether answers are shares, which come to labels; else they are values.
    """

    rows: int
    difference: float
    labels: int
    ties: int
    shares: bool = True

    @property
    def passed(self) -> bool:
        """Whether the exported model may be served."""
        return bool(self.difference <= TOLERANCE) and self.labels == 0

    def __str__(self) -> str:
        of = "of a probability" if self.shares else "of a value, in standard deviations,"
        labels = f", {self.labels} other labels" if self.shares else ""
        return (
            f"{self.rows} rows, largest difference {of} {self.difference:.2g} "
            f"(at most {TOLERANCE:g}){labels}"
        )


def compare(
    reference: Runtime,
    candidate: Runtime,
    blocks: Sequence[NDArray[np.float64]],
    *,
    shares: bool = True,
) -> Parity:
    """Compare two forms of one model.

    Args:
        reference: the trained estimator.
        candidate: the exported form.
        blocks: feature matrices (rows, features): training rows, then held-out rows.
        shares: whether the answers are shares of classes or clusters; else they are values.
    """
    rows = labels = ties = 0
    difference = 0.0
    scale = 1.0 if shares else _spread(reference.run(blocks[0][:_BLOCK]))
    for block in blocks:
        for start in range(0, len(block), _BLOCK):
            part = block[start : start + _BLOCK]
            expected, given = reference.run(part), candidate.run(part)
            gap = np.abs(expected - given) / scale
            # A NaN from the exported form must fail, not vanish in a maximum.
            difference = max(difference, float(np.where(np.isnan(gap), np.inf, gap).max()))
            rows += len(part)
            if not shares:
                continue
            other = winners(expected) != winners(given)
            best = np.sort(expected[other], axis=1)[:, -2:]
            tied = int((best[:, 1] - best[:, 0] <= TOLERANCE).sum()) if other.any() else 0
            ties, labels = ties + tied, labels + int(other.sum()) - tied
    return Parity(rows, difference, labels, ties, shares)


def _spread(values: NDArray[np.float64]) -> float:
    """The standard deviation of values; of equal ones, their size."""
    return float(values.std()) or float(np.abs(values).max(initial=0)) or 1.0


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
