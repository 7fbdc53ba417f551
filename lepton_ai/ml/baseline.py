"""Baseline: what features and answers looked like in training, to notice later drift."""

from collections import Counter
from typing import Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt
from lepton_ai.ml.outcome import Classes, Clusters, Forecast, Outcome, Values

__all__ = ["Baseline", "FeatureBaseline", "Predictions"]

Floats = NDArray[np.float64]

_BINS = 10
_MOST_FEATURES = 256
# Of many features (pixels) each row is summed up instead, by figures that shift with brightness,
# contrast and exposure; a table of thousands of histograms would help nobody.
_ROW_FIGURES = ("row mean", "row deviation", "row 5%", "row median", "row 95%")


class FeatureBaseline(Struct, frozen=True):
    """One feature over the training rows.

    Attributes:
        edges: where bins meet, ascending; the first and last bin are open. They are the inner
            deciles, or lie between the values of a feature that has few.
        shares: of the rows in each bin (one more than edges); bin i holds
            ``edges[i - 1] < x <= edges[i]``.
    """

    name: str
    mean: float
    deviation: float
    low: float
    high: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Predictions(Struct, frozen=True):
    """The model's answers on rows of the time of training.

    Attributes:
        rows: which rows: ``held-out`` ones where they were known, else ``training``.
        labels: share of the rows that were given each class.
        probabilities: for each class, the share of the rows in ten equal bins of its probability.
        values: of answers that are values, their distribution, one for each column.
    """

    rows: str
    labels: dict[str, float] = {}
    probabilities: dict[str, tuple[float, ...]] = {}
    values: tuple[FeatureBaseline, ...] = ()


class Baseline(Struct, frozen=True):
    """Reference statistics of a model.

    Attributes:
        rows: how many training rows.
        classes: share of the training rows in each class, where rows have one.
        features: one for each feature, or, of more than 256, for figures that sum up a row; see
            :meth:`observe`.
        target: of a regression's target, its distribution.
    """

    rows: int
    classes: dict[str, float]
    predictions: Predictions
    features: tuple[FeatureBaseline, ...]
    target: FeatureBaseline | None = None

    @classmethod
    def of(
        cls,
        matrix: Floats,
        names: list[str],
        target: NDArray[np.int64] | Floats | None,
        outcome: Outcome,
        answers: Floats,
        answered: str,
    ) -> Self:
        """Measure the training rows.

        Args:
            matrix: features (rows, features).
            names: of the features.
            target: the code of each row's class, or its value; None where there is none.
            outcome: what the answers mean.
            answers: the model's answers (any rows, width).
            answered: which rows those are: ``held-out`` or ``training``.
        """
        classes: dict[str, float] = {}
        measured: FeatureBaseline | None = None
        if isinstance(outcome, Classes) and target is not None:
            shares = np.bincount(target.astype(np.int64), minlength=outcome.width) / len(target)
            classes = dict(zip(outcome.names, shares.tolist(), strict=True))
        elif isinstance(outcome, Values) and target is not None:
            measured = _feature(outcome.names[0], target.reshape(-1).astype(np.float64))
        wide = matrix.shape[1] > _MOST_FEATURES
        columns = _row_figures(matrix) if wide else matrix
        features = zip(_ROW_FIGURES if wide else names, columns.T, strict=True)
        return cls(
            rows=len(matrix),
            classes=classes,
            predictions=_predictions(outcome, answers, answered),
            features=tuple(_feature(name, column) for name, column in features),
            target=measured,
        )

    def observe(self, matrix: Floats) -> Floats:
        """Return what :attr:`features` describes of new rows, as (rows, len(features)).

        Args:
            matrix: the model's features (rows, features), as a predictor makes them.
        """
        summed = tuple(feature.name for feature in self.features) == _ROW_FIGURES
        return _row_figures(matrix) if summed else matrix

    def to_json(self) -> bytes:
        """Return the baseline as JSON; equal baselines give equal bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a baseline back.

        Raises:
            Corrupt: the bytes are no baseline.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Corrupt(f"not a baseline: {error}") from error


def _predictions(outcome: Outcome, answers: Floats, answered: str) -> Predictions:
    if isinstance(outcome, Classes | Clusters):
        labels = Counter(outcome.labels(answers))
        places = np.clip((answers * _BINS).astype(np.int64), 0, _BINS - 1)
        return Predictions(
            answered,
            {name: labels[name] / len(answers) for name in outcome.names},
            {name: _shares(places[:, code], _BINS) for code, name in enumerate(outcome.names)},
        )
    if isinstance(outcome, Forecast):
        # One distribution a series: its steps have nearly the same.
        by_series = outcome.predicted(answers).reshape(-1, len(outcome.names)).T[:_MOST_FEATURES]
        values = tuple(map(_feature, outcome.names, by_series))
        return Predictions(answered, values=values)
    name = outcome.names[0] if isinstance(outcome, Values) else "score"
    return Predictions(answered, values=(_feature(name, answers[:, 0]),))


def _feature(name: str, column: Floats) -> FeatureBaseline:
    values = np.unique(column)
    if len(values) <= _BINS:
        edges = (values[1:] + values[:-1]) / 2
    else:
        inner = np.arange(1, _BINS) / _BINS
        edges = np.unique(np.quantile(column, inner, method="inverted_cdf"))
        edges = edges[edges < values[-1]]
    return FeatureBaseline(
        name=name,
        mean=float(column.mean()),
        deviation=float(column.std()),
        low=float(values[0]),
        high=float(values[-1]),
        edges=tuple(edges.tolist()),
        shares=_shares(np.searchsorted(edges, column), len(edges) + 1),
    )


def _row_figures(matrix: Floats) -> Floats:
    low, middle, high = np.quantile(matrix, (0.05, 0.5, 0.95), axis=1)
    return np.stack([matrix.mean(axis=1), matrix.std(axis=1), low, middle, high], axis=1)


def _shares(places: NDArray[np.int64], bins: int) -> tuple[float, ...]:
    counts = np.bincount(places, minlength=bins)
    return tuple((counts / len(places)).tolist())
