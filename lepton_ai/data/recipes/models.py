"""Models that fill gaps, kept as numbers: a ridge regression, and the nearest training rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw

from lepton_ai.data.recipes.step import Frame

__all__ = ["by_neighbours", "kept", "ridge", "sample"]


def sample(frame: Frame, names: Sequence[str], most: int) -> Any:
    """Return the first rows that are not all empty, as numbers (rows, columns), NaN for gaps."""
    known = nw.any_horizontal(*(~nw.col(name).is_null() for name in names), ignore_nulls=False)
    chosen = frame.filter(known).head(most)
    columns = (nw.col(name).cast(nw.Float64) for name in names)
    return chosen.select(*columns).collect("polars").to_numpy()


def ridge(
    matrix: Any,
    names: Sequence[str],
    targets: Sequence[str],
    predictors: Sequence[str],
    means: Mapping[str, Any],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return, for each column to fill, the means and weights of the predictors.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12 (1970), by scikit-learn: penalty of
    1 on standardised predictors, whose gaps count as their means.

    Args:
        matrix: training rows (rows, columns), NaN for gaps.
        names: of its columns.
        means: of all training rows, by name.
    """
    import numpy as np
    from sklearn.linear_model import Ridge

    centre = np.array([float(means[name]) for name in names])
    gaps = np.isnan(matrix)
    known = np.where(gaps, centre, matrix) - centre
    spread = known.std(axis=0)
    spread[spread == 0] = 1.0
    weights: dict[str, dict[str, tuple[float, float]]] = {}
    for target in targets:
        place = names.index(target)
        others = [names.index(name) for name in predictors if name != target]
        rows = ~gaps[:, place]
        if not others or not rows.any():
            weights[target] = {}
            continue
        left = known[rows][:, others] / spread[others]
        model = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
        model.fit(left, known[rows, place])
        weights[target] = {
            names[other]: (float(centre[other]), float(weight / spread[other]))
            for other, weight in zip(others, model.coef_, strict=True)
        }
    return weights


def kept(matrix: Any, names: Sequence[str]) -> dict[str, tuple[float | None, ...]]:
    """Return rows as columns of plain numbers, None for gaps."""
    columns = [
        tuple(None if value != value else value for value in column) for column in matrix.T.tolist()
    ]
    return dict(zip(names, columns, strict=True))


def by_neighbours(
    frame: Any, names: Sequence[str], examples: Mapping[str, Sequence[float | None]], nearest: int
) -> Any:
    """Return a Polars frame whose gaps hold the mean of the nearest training rows.

    Troyanskaya et al., "Missing value estimation methods for DNA microarrays", Bioinformatics 17
    (2001), by scikit-learn's KNNImputer, on columns of equal spread.
    """
    import numpy as np
    import polars as pl
    from sklearn.impute import KNNImputer

    columns = list(examples)
    gaps = frame.select(pl.any_horizontal(pl.col(list(names)).is_null())).to_series()
    if not gaps.any():
        return frame.with_columns(pl.col(list(names)).cast(pl.Float64))
    training = np.array([examples[name] for name in columns], dtype=np.float64).T
    spread = np.nanstd(training, axis=0)
    spread[~(spread > 0)] = 1.0
    model = KNNImputer(n_neighbors=min(nearest, len(training)), keep_empty_features=True)
    model.fit(training / spread)
    holed = frame.filter(gaps).select(pl.col(columns).cast(pl.Float64)).to_numpy()
    filled = model.transform(holed / spread) * spread
    done = frame.with_columns(pl.col(list(names)).cast(pl.Float64))
    places = np.flatnonzero(gaps.to_numpy())
    for name in names:
        values = done[name].to_numpy().copy()
        guessed = filled[:, columns.index(name)]
        values[places] = np.where(np.isnan(values[places]), guessed, values[places])
        done = done.with_columns(pl.Series(name, values))
    return done
