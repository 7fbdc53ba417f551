"""Summing: the basis of explanations, made of training rows while they are at hand."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from lepton_ai.data.columns import Columns, booleans, dates, kind_of, numbers, texts
from lepton_ai.data.encoders import Array, Boolean, Category, Number
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.explanation.basis import Basis, ColumnSummary, Kind
from lepton_ai.ml.explanation.terms import Terms
from lepton_ai.ml.preparation import Preparation

__all__ = ["FEWEST", "basis_of", "sum_up"]

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

FEWEST = 10
"""Rows (or groups, where they are known) behind a prototype and a category that is kept."""

_MOST_PROTOTYPES = 32
_MOST_ROWS = 4000
_FEWEST_ROWS = 300
_MOST_CELLS = 2**21
_MOST_IMAGES = 512
# A category stands in a prototype where so many of its rows share it.
_SHARED = 5
_MOST_CATEGORIES = 50
# Of images, whose prototypes are images themselves.
_MOST_NUMBERS = 2**15


def sum_up(
    examples: Examples, preparation: Preparation, matrix: Matrix, terms: Terms | None, seed: int
) -> Basis:
    """Return the basis of explanations of a model that learned from these examples.

    Args:
        examples: the training rows.
        preparation: that made their features.
        matrix: the features (rows, features).
        terms: the model's own mathematics.
        seed: of the clustering.
    """
    belongs = None
    if examples.groups is not None:
        belongs = np.unique(np.asarray(examples.groups, dtype=str), return_inverse=True)[1]
    if preparation.window:
        return basis_of(matrix, terms, seed=seed, belongs=belongs)
    if isinstance(examples.dataset, ImageSet):
        chosen = _evenly(len(matrix), _MOST_IMAGES)
        images = examples.dataset.take(chosen).with_transforms(preparation.transforms)
        pixels = np.concatenate([batch.reshape(len(batch), -1) for batch in images.batches()])
        return basis_of(
            matrix[chosen],
            terms,
            seed=seed,
            arrays=pixels.astype(np.float64),
            belongs=None if belongs is None else belongs[chosen],
        )
    if examples.columns is None:
        return basis_of(matrix, terms, seed=seed, arrays=examples.matrix)
    kinds: dict[str, str] = {}
    names = [step.column for step in preparation.encoding.columns]
    if preparation.front is not None:
        kinds = dict(preparation.front.kinds)
        names = [name for name in kinds if name not in preparation.front.optional]
    else:
        kinds = {
            step.column: _KINDS.get(type(step), "date") for step in preparation.encoding.columns
        }
    columns = {name: examples.columns[name] for name in names}
    return basis_of(matrix, terms, seed=seed, columns=columns, kinds=kinds, belongs=belongs)


_KINDS = {Number: "number", Boolean: "boolean", Category: "text"}


def basis_of(
    matrix: Matrix,
    terms: Terms | None,
    *,
    seed: int,
    columns: Columns | None = None,
    kinds: Mapping[str, str] | None = None,
    arrays: Matrix | None = None,
    belongs: Codes | None = None,
) -> Basis:
    """Sum up training rows by k-means over their standardised features.

    Args:
        matrix: features of the rows (rows, features).
        terms: the model's own mathematics.
        seed: of the clustering.
        columns: for tables, the columns that records have.
        kinds: of these columns, where their types don't tell: what an encoding took them for.
        arrays: for other data, the same rows as the encoding reads them (rows, places).
        belongs: the group (patient) of each row, where that is known: groups are then counted,
            not rows, for many rows of one person are that person.
    """
    # Of wide rows fewer: their clusters take as long as a model.
    fewer = max(_FEWEST_ROWS, _MOST_CELLS // matrix.shape[1])
    chosen = _evenly(len(matrix), min(_MOST_ROWS, fewer))
    most = _MOST_PROTOTYPES
    if columns is None:
        arrays = matrix if arrays is None else arrays
        most = max(2, min(most, _MOST_NUMBERS // arrays.shape[1]))
    whose = np.arange(len(matrix)) if belongs is None else belongs
    members = _clusters(matrix[chosen], most, seed, whose[chosen])
    weights = tuple(len(rows) / len(chosen) for rows in members)
    mean = Array.of(matrix.mean(axis=0))
    if columns is not None:
        return Basis(
            rows=len(matrix),
            weights=weights,
            mean=mean,
            terms=terms,
            columns=tuple(
                _summary(name, column, (kinds or {}).get(name), chosen, members, whose)
                for name, column in columns.items()
            ),
        )
    assert arrays is not None
    # Single precision, for a bundle full of pixels need not be large.
    centres = np.stack([np.nanmean(arrays[chosen][rows], axis=0) for rows in members])
    rounded = centres.astype(np.float32).astype(np.float64)
    return Basis(
        rows=len(matrix), weights=weights, mean=mean, terms=terms, arrays=Array.of(rounded)
    )


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.int64)


def _clusters(matrix: Matrix, most: int, seed: int, whose: Codes) -> list[Codes]:
    """Return the rows of each cluster; one of too few rows or groups joins the nearest."""
    deviation = matrix.std(axis=0)
    scaled = (matrix - matrix.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    count = min(most, _distinct(scaled, most), max(1, len(np.unique(whose)) // FEWEST))
    with threadpool_limits(1):
        found = KMeans(count, n_init=1, max_iter=50, random_state=seed).fit(scaled)
    labels, centres = found.labels_.copy(), found.cluster_centers_.copy()
    while True:
        names = np.unique(labels)
        sizes = np.array([len(np.unique(whose[labels == name])) for name in names])
        small = int(sizes.argmin())
        if sizes[small] >= FEWEST or len(names) == 1:
            break
        others = np.delete(names, small)
        away = ((centres[others] - centres[names[small]]) ** 2).sum(axis=1)
        near = others[int(away.argmin())]
        labels[labels == names[small]] = near
        centres[near] = scaled[labels == near].mean(axis=0)
    return [np.flatnonzero(labels == name) for name in names]


def _distinct(matrix: Matrix, most: int) -> int:
    """Return how many rows differ, or ``most`` where there are as many."""
    seen = {row.tobytes() for row in matrix[: 4 * most]}
    return most if len(seen) >= most else min(most, len({row.tobytes() for row in matrix}))


def _summary(
    name: str,
    column: NDArray[Any],
    kind: str | None,
    chosen: NDArray[np.int64],
    members: list[Codes],
    whose: Codes,
) -> ColumnSummary:
    kind = kind or kind_of(name, column)
    if kind in ("number", "date", "time"):
        return _measured(name, column, "number" if kind == "number" else "date", chosen, members)
    if kind == "boolean":
        values: list[Any] = [None if np.isnan(v) else bool(v) for v in booleans(name, column)]
    else:
        values = list(texts(column))
    picked = [values[row] for row in chosen]
    pairs = set(zip(values, whose.tolist(), strict=True))
    counts = Counter(value for value, _ in sorted(pairs, key=str) if isinstance(value, str))
    kept = [text for text, count in counts.most_common() if count >= FEWEST]
    return ColumnSummary(
        name,
        "boolean" if kind == "boolean" else "text",
        tuple(_commonest([picked[row] for row in rows]) for rows in members),
        categories=tuple(kept[:_MOST_CATEGORIES]),
    )


def _measured(
    name: str,
    column: NDArray[Any],
    kind: Kind,
    chosen: NDArray[np.int64],
    members: list[Codes],
) -> ColumnSummary:
    values = numbers(name, column) if kind == "number" else dates(name, column)
    known = values[np.isfinite(values)]
    if not len(known):
        return ColumnSummary(name, kind, (None,) * len(members))
    low, middle, high = np.quantile(known, (0.01, 0.5, 0.99))
    spread = float(np.median(np.abs(known - middle)))
    picked = values[chosen]
    return ColumnSummary(
        name,
        kind,
        tuple(_mean(picked[rows]) for rows in members),
        low=float(low),
        high=float(high),
        spread=spread or float(known.std()),
        whole=bool((known % 1 == 0).all()),
    )


def _mean(values: Matrix) -> float | None:
    known = values[np.isfinite(values)]
    # Most rows of the group decide whether a value is there at all.
    return float(known.mean()) if 2 * len(known) >= len(values) and len(known) else None


def _commonest(values: list[Any]) -> Any:
    counts = Counter(values)
    value, count = min(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return value if count >= _SHARED else None
