"""Measuring: for each task, how a model's answers become its evaluation."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import numbers
from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.evaluation.clustering import assess_clustering
from lepton_ai.ml.evaluation.detection import assess_detection
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.forecasting import assess_forecast
from lepton_ai.ml.evaluation.labels import anomalies_of
from lepton_ai.ml.evaluation.metrics import winners
from lepton_ai.ml.evaluation.regression import assess_regression
from lepton_ai.ml.evaluation.remaining_life import assess_remaining_life
from lepton_ai.ml.evaluation.series import history_of
from lepton_ai.ml.evaluation.tried import Tried
from lepton_ai.ml.examples import class_names
from lepton_ai.ml.fitting import fit
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Forecast, Scores, Values
from lepton_ai.ml.task import CLUSTERING
from lepton_ai.ml.zoo import find

__all__ = ["MEASURES", "Asked", "truth_as_labels", "truth_as_numbers"]

Floats = NDArray[np.float64]


class Asked(Struct, frozen=True, kw_only=True):
    """What a caller asked of an evaluation; see `evaluate` for each word.

    Attributes:
        options: those that every task takes: resamples, confidence, seed.
    """

    positive: str | None = None
    limit: float | None = None
    needed: float = 0.0
    refits: int = 10
    options: dict[str, Any] = {}


def _classification(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    outcome = model.description.outcome
    assert isinstance(outcome, Classes)
    answers = model.predictor.run(tried.matrix)
    return assess_classification(
        truth_as_labels(tried).tolist(),
        answers,
        model.classes,
        positive=outcome.positive if asked.positive is None else asked.positive,
        threshold=outcome.threshold if asked.positive in (None, outcome.positive) else None,
        # The labels that are served are the labels that are measured.
        called=outcome.labels(answers),
        groups=tried.groups,
        slices=tried.slices,
        block=tried.block,
        **asked.options,
    )


def _regression(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    if asked.limit is not None:
        return _remaining_life(model, tried, asked)
    values = model.predictor.run(tried.matrix)
    outcome = model.description.outcome
    around = None
    if isinstance(outcome, Values) and outcome.reach is not None and outcome.level is not None:
        around = (outcome.level, values - outcome.reach, values + outcome.reach)
    return assess_regression(
        truth_as_numbers(tried),
        values,
        intervals_at=around,
        outputs=model.classes,
        groups=tried.groups,
        slices=tried.slices,
        block=tried.block,
        **asked.options,
    )


def _remaining_life(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    return assess_remaining_life(
        truth_as_numbers(tried),
        model.predictor.run(tried.matrix),
        units=tried.groups,
        limit=float(asked.limit or 0),
        needed=asked.needed,
        slices=tried.slices,
        **asked.options,
    )


def _forecasting(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    outcome = model.description.outcome
    assert isinstance(outcome, Forecast)
    shape = (-1, outcome.steps, len(outcome.names))
    history = history_of(model)
    return assess_forecast(
        truth_as_numbers(tried).reshape(shape),
        model.predictor.run(tried.matrix).reshape(shape),
        naive=tried.naive,
        history=history,
        season=tried.season,
        slices=tried.slices,
        **asked.options,
    )


def _clustering(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    description = model.description
    entry = find(description.model_type, CLUSTERING.name)

    def anew(rows: Floats) -> Callable[[Floats], Any]:
        with warnings.catch_warnings():
            # That it does not settle was heard at the training.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = fit(
                entry,
                rows,
                None,
                seed=description.seed,
                parameters=description.parameters,
                task=CLUSTERING,
            )
        return lambda matrix: winners(CLUSTERING.answers(fitted.estimator, matrix))

    answers = model.predictor.run(tried.matrix)
    return assess_clustering(
        tried.matrix,
        description.outcome.labels(answers),
        known=None if tried.truth is None else class_names(tried.truth, tried.where),
        fit=anew if asked.refits else None,
        refits=asked.refits,
        groups=tried.groups,
        **asked.options,
    )


def _detection(model: Model, tried: Tried, asked: Asked) -> Evaluation:
    outcome = model.description.outcome
    truth = None
    if tried.truth is not None:
        truth = anomalies_of(class_names(tried.truth, tried.where), asked.positive)
    return assess_detection(
        model.predictor.run(tried.matrix)[:, 0],
        truth,
        threshold=outcome.threshold if isinstance(outcome, Scores) else None,
        groups=tried.groups,
        slices=tried.slices,
        block=tried.block,
        **asked.options,
    )


MEASURES: dict[str, Callable[[Model, Tried, Asked], Evaluation]] = {
    "classification": _classification,
    "regression": _regression,
    "forecasting": _forecasting,
    "clustering": _clustering,
    "detection": _detection,
}


def truth_as_labels(tried: Tried) -> NDArray[np.str_]:
    """Return the label of each row, as text (rows,).

    Raises:
        InvalidInput: there is none, or one is missing.
    """
    return class_names(_truth(tried), tried.where)


def truth_as_numbers(tried: Tried) -> Floats:
    """Return the true values, (rows,) or as they were given.

    Raises:
        InvalidInput: there are none, or they are no numbers.
    """
    truth = _truth(tried)
    return numbers(tried.where, truth) if truth.ndim == 1 else truth.astype(np.float64)


def _truth(tried: Tried) -> NDArray[Any]:
    if tried.truth is None:
        raise InvalidInput(
            f"{len(tried.matrix)} rows of {tried.where} need a label each to compare with: name "
            "their column by target=, or pass (X, y)"
        )
    return tried.truth
