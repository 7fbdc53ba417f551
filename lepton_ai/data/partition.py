"""Partition: which whole groups make up a test side of a wanted size and class shares.

Groups with the same class counts are alike, so the search runs over such *signatures*: how many
groups of each go to the test side. A start by error diffusion is improved by moving and swapping
groups while that helps. Nothing depends on the order of a hash or on a thread.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["partition"]

_CANDIDATES = 300  # signatures among which swaps are tried: 300 x 300 pairs a round
_ROUNDS = 1000


def partition(
    groups: NDArray[np.intp], labels: NDArray[np.intp], test_count: int, seed: int
) -> NDArray[np.bool_]:
    """Choose the test side; no group is torn apart and neither side is empty.

    In this order: its size comes as close to ``test_count`` as moving or swapping one group
    allows; a class that occurs in a single group stays in training, and one with several
    occurs on both sides; the class shares are those of the whole.

    Args:
        groups: group number of each item, 0 to g - 1, with g of 2 or more; all occur.
        labels: class number of each item, 0 to k - 1.
        test_count: how many items to choose, 1 to n - 1.
        seed: 0 to 2**32 - 1.

    Returns:
        bool array (n,), true for the test side.
    """
    signature_of, counts = _signatures(groups, labels)
    available = np.bincount(signature_of)
    # NEP 19 freezes what RandomState gives for a seed, in all versions of NumPy.
    random = np.random.RandomState(seed)
    chosen = _Search(counts, available, test_count).run(random.permutation(len(counts)))
    order = random.permutation(len(signature_of))
    order = order[np.argsort(signature_of[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(available)[:-1]])
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order)) - np.repeat(starts, available)
    in_test: NDArray[np.bool_] = rank < chosen[signature_of]
    return in_test[groups]


def _signatures(
    groups: NDArray[np.intp], labels: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the signature number of each group, and the (signatures, classes) counts."""
    order = np.lexsort((labels, groups))
    sorted_labels = labels[order]
    sizes = np.bincount(groups)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    classes = int(labels.max()) + 1
    signature_of = np.empty(len(sizes), dtype=np.intp)
    rows: list[NDArray[np.int64]] = []
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        members = sorted_labels[starts[same][:, None] + np.arange(size)]
        unique, inverse = np.unique(members, axis=0, return_inverse=True)
        signature_of[same] = inverse.reshape(-1) + len(rows)
        rows.extend(np.bincount(row, minlength=classes) for row in unique)
    return signature_of, np.array(rows, dtype=np.int64)


class _Search:
    """The number of groups of each signature on the test side, and how to better it."""

    def __init__(
        self, counts: NDArray[np.int64], available: NDArray[np.intp], test_count: int
    ) -> None:
        self.counts = counts
        self.sizes = counts.sum(axis=1)
        self.available = available
        self.total = available @ counts
        self.test_count = test_count
        self.share = test_count / int(self.total.sum())
        self.groups_of_class = available @ (counts > 0)
        lonely = (counts[:, self.groups_of_class == 1] > 0).any(axis=1)
        self.limit = np.where(lonely, 0, available)
        if self.limit @ self.sizes < test_count or self.limit.sum() == 0:
            self.limit = available.copy()  # too few others: some class must miss training
        self.taken = np.zeros(len(counts), dtype=np.int64)

    def run(self, order: NDArray[np.intp]) -> NDArray[np.int64]:
        self._diffuse(order)
        self._improve()
        self._cover()
        self._fill()
        return self.taken

    @property
    def excess(self) -> int:
        return int(self.taken @ self.sizes) - self.test_count

    @property
    def skew(self) -> NDArray[np.float64]:
        skew: NDArray[np.float64] = self.taken @ self.counts - self.share * self.total
        return skew

    def _diffuse(self, order: NDArray[np.intp]) -> None:
        """Give each signature its share, rounded so that the errors so far cancel out.

        The order is random: by falling size, a seed would hardly matter to groups of many sizes.
        """
        error = np.zeros(self.counts.shape[1])
        for signature in order.tolist():
            row = self.counts[signature]
            exact = self.share * self.available[signature]
            low = min(int(exact), int(self.limit[signature]))
            high = min(low + 1, int(self.limit[signature]))
            costs = [
                _square(error + (taken - exact) * row)
                + float(error.sum() + (taken - exact) * row.sum()) ** 2
                for taken in (low, high)
            ]
            taken = low if costs[0] <= costs[1] else high
            self.taken[signature] = taken
            error += (taken - exact) * row

    def _improve(self) -> None:
        """Move or swap groups while the size, or at the same size the skew, gets better."""
        small = np.argsort(self.sizes, kind="stable")[:_CANDIDATES]
        rows = self.counts[small].astype(np.float64)
        products = rows @ rows.T
        norms = np.diag(products)
        sizes = self.sizes[small]
        for _ in range(_ROUNDS):
            excess, skew = self.excess, self.skew
            lean = rows @ skew
            add = np.where(self.taken[small] < self.limit[small], 0.0, np.inf)
            drop = np.where(self.taken[small] > 0, 0.0, np.inf)
            # The last row stands for adding nothing, the last column for dropping nothing.
            gap = np.abs(excess + _pad(sizes)[:, None] - _pad(sizes)[None, :])
            change = (
                _pad(add + 2 * lean + norms)[:, None]
                + _pad(drop - 2 * lean + norms)[None, :]
                - 2 * np.pad(products, (0, 1))
            )
            gap = np.where(np.isfinite(change), gap, np.inf)
            best = gap.min()
            if best > abs(excess):
                return
            change = np.where(gap == best, change, np.inf)
            added, dropped = np.unravel_index(int(change.argmin()), change.shape)
            if best == abs(excess) and change[added, dropped] > -1e-9:
                return
            if added < len(small):
                self.taken[small[added]] += 1
            if dropped < len(small):
                self.taken[small[dropped]] -= 1

    def _cover(self) -> None:
        """Swap groups of equal size so that classes with several groups are on both sides."""
        for label in np.flatnonzero(self.groups_of_class > 1).tolist():
            test = self.taken @ self.counts
            holders = self.counts[:, label] > 0
            if test[label] == 0:
                self._swap(holders, ~holders)
            elif test[label] == self.total[label]:
                self._swap(~holders, holders)

    def _swap(self, add: NDArray[np.bool_], drop: NDArray[np.bool_]) -> None:
        """Swap the pair of equal size that skews least and leaves no other class uncovered."""
        test = self.taken @ self.counts
        several = self.groups_of_class > 1
        uncovered = int((several & ((test == 0) | (test == self.total))).sum())
        best: tuple[float, int, int] | None = None
        for one in np.flatnonzero(add & (self.taken < self.limit)).tolist():
            same_size = self.sizes == self.sizes[one]
            for other in np.flatnonzero(drop & (self.taken > 0) & same_size).tolist():
                after = test + self.counts[one] - self.counts[other]
                left = int((several & ((after == 0) | (after == self.total))).sum())
                cost = _square(after - self.share * self.total)
                if left < uncovered and (best is None or cost < best[0]):
                    best = (cost, one, other)
        if best is not None:
            self.taken[best[1]] += 1
            self.taken[best[2]] -= 1

    def _fill(self) -> None:
        """Leave neither side without a group: the smallest one changes sides."""
        if not self.taken.any():
            self.taken[np.argmin(np.where(self.limit > 0, self.sizes, self.sizes.max() + 1))] = 1
        elif (self.taken == self.available).all():
            self.taken[np.argmin(self.sizes)] -= 1


def _square(values: NDArray[np.float64]) -> float:
    return float(values @ values)


def _pad(values: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.append(values, 0).astype(np.float64)
