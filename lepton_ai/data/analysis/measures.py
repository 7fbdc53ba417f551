"""Measures: how strongly two columns go together.

Arrays of numbers are float64 with NaN where missing, codes of categories are integers with -1
where missing; rows where either is missing are left out. Each measure is NaN where it is not
defined: fewer than two rows, or a column that is constant.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "between_groups",
    "contingency",
    "correlation_ratio",
    "cramers_v",
    "entropy",
    "mutual_information",
    "pearson",
    "pearson_matrix",
    "ranks",
    "spearman",
    "titled",
]

Numbers = NDArray[np.float64]
Codes = NDArray[np.intp]
_NAN = float("nan")


def pearson(x: Numbers, y: Numbers) -> float:
    """Return the product-moment correlation, -1 to 1."""
    known = ~(np.isnan(x) | np.isnan(y))
    a, b = _scaled(x[known]), _scaled(y[known])
    if a is None or b is None:
        return _NAN
    return float(np.clip(a @ b / a.size, -1.0, 1.0))


def spearman(x: Numbers, y: Numbers) -> float:
    """Return the rank correlation, ties at their mean rank, -1 to 1."""
    known = ~(np.isnan(x) | np.isnan(y))
    return pearson(ranks(x[known]), ranks(y[known]))


def ranks(values: Numbers) -> Numbers:
    """Return the rank of each value from 1, ties at the mean of theirs, NaN where missing."""
    result = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    _, codes, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    result[known] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return result


def pearson_matrix(columns: Numbers) -> Numbers:
    """Return the correlation of each column (n, k) with each, over the rows that both have."""
    known = ~np.isnan(columns)
    scaled = np.zeros(columns.shape)
    for place in range(columns.shape[1]):
        part = _scaled(columns[known[:, place], place])
        if part is not None:
            scaled[known[:, place], place] = part
    present = known.astype(np.float64)
    count = present.T @ present
    sums = scaled.T @ present
    squares = (scaled**2).T @ present
    with np.errstate(invalid="ignore", divide="ignore"):
        products = scaled.T @ scaled - sums * sums.T / count
        spreads = squares - sums**2 / count
        # What is left of rounding where a column is constant among the rows that both have.
        spreads[spreads < 1e-12 * np.maximum(squares, 1)] = 0
        matrix = products / np.sqrt(spreads * spreads.T)
    matrix[~np.isfinite(matrix)] = np.nan
    return np.clip(matrix, -1.0, 1.0)


def _scaled(values: Numbers) -> Numbers | None:
    """Return values with mean 0 and variance 1; None where they are constant."""
    if values.size < 2:
        return None
    most = np.abs(values).max()
    centred = values / most if most > 1e100 else values
    centred = centred - centred.mean()
    spread = np.sqrt(np.mean(centred**2))
    if not spread or (values == values[0]).all():
        return None
    result: Numbers = centred / spread
    return result


def contingency(a: Codes, b: Codes) -> NDArray[np.int64]:
    """Return how many rows have each pair of codes."""
    known = (a >= 0) & (b >= 0)
    a, b = a[known], b[known]
    if not a.size:
        return np.zeros((0, 0), dtype=np.int64)
    shape = (int(a.max()) + 1, int(b.max()) + 1)
    flat = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1])
    table = flat.reshape(shape).astype(np.int64)
    return table[table.any(axis=1)][:, table.any(axis=0)]


def titled(measure: str) -> str:
    """Return what people call a measure."""
    return {"cramer": "Cramér's V"}.get(measure, measure)


def cramers_v(table: NDArray[Any]) -> float:
    """Return Cramer's V of a contingency table, corrected for bias, 0 to 1.

    Source: W. Bergsma, A bias-correction for Cramer's V and Tschuprow's T, 2013.
    """
    total = table.sum()
    rows, columns = table.shape
    if total < 2 or min(rows, columns) < 2:
        return _NAN
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    phi2 = float(((table - expected) ** 2 / expected).sum() / total)
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (total - 1))
    few = min(rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1)) - 1
    if few <= 0:
        return _NAN
    return float(min(1.0, np.sqrt(phi2 / few)))


def correlation_ratio(codes: Codes, values: Numbers) -> float:
    """Return how much of the spread lies between groups, corrected for bias, 0 to 1.

    Source: T. L. Kelley, An unbiased correlation ratio measure, 1935: the root of epsilon squared.
    """
    between, groups, rows = between_groups(codes, values)
    if np.isnan(between) or rows <= groups:
        return _NAN
    return float(np.sqrt(max(0.0, 1 - (1 - between) * (rows - 1) / (rows - groups))))


def between_groups(codes: Codes, values: Numbers) -> tuple[float, int, int]:
    """Return the share of the variance that lies between groups, how many they are, and the rows.

    With many groups that are small, the share is large by chance.
    """
    known = (codes >= 0) & ~np.isnan(values)
    scaled, groups = _scaled(values[known]), codes[known]
    counts = np.bincount(groups)
    different = int(np.count_nonzero(counts))
    if scaled is None or different < 2:
        return _NAN, different, groups.size
    sums = np.bincount(groups, weights=scaled)
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    return min(1.0, between / scaled.size), different, groups.size


def mutual_information(table: NDArray[Any]) -> float:
    """Return the mutual information of a contingency table, in nats."""
    total = table.sum()
    if not total:
        return _NAN
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    seen = table > 0
    part = table[seen] / total
    return float(max(0.0, (part * np.log(table[seen] * total / expected[seen])).sum()))


def entropy(counts: NDArray[Any]) -> float:
    """Return the entropy of counts, in nats."""
    part = counts[counts > 0] / max(1, counts.sum())
    return float(-(part * np.log(part)).sum())
