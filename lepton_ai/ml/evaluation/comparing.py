"""compare_models: two registered models on the same rows, in the form that is served."""

from collections.abc import Callable, Sequence
from typing import Any

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.comparison import (
    Comparison,
    compare_classification,
    compare_regression,
)
from lepton_ai.ml.evaluation.measuring import truth_as_labels, truth_as_numbers
from lepton_ai.ml.evaluation.tried import Tried, read, trained_on, warn_of
from lepton_ai.ml.model import Model

__all__ = ["compare_models"]


def compare_models(
    first: Model,
    second: Model,
    test: Any,
    target: Any = None,
    *,
    groups: str | None = None,
    time: str | None = None,
    positive: str | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two models of one task on rows that neither was trained on.

    Each reads its own features of the rows, so that models with other recipes and columns can be
    compared, as long as the rows have what both need.

    Args:
        first: a classifier or a regressor.
        second: another one, of the same task and classes.
        test: labelled data, as for `evaluate`.
        target: the column of the truth, unless that of the first model's training.
        groups: the column that says which rows belong together; whole groups are resampled.
        time: the column of the order of rows, which are then resampled in blocks.
        positive: of two classes, the one to look for.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Returns:
        Every figure of both, the interval of the difference, and tests.

    Raises:
        InvalidInput: the models do different things, or the data does not fit.

    Warns:
        SeenInTraining: one of the models was trained on some of the rows.
    """
    task = first.description.task
    if second.description.task != task or task not in _TASKS:
        raise InvalidInput(
            f"{first.ref} does {task}, {second.ref} does {second.description.task}; two models of "
            f"one task can be compared: {', '.join(_TASKS)}"
        )
    if sorted(first.classes) != sorted(second.classes) and task == "classification":
        raise InvalidInput(
            f"{first.ref} tells {list(first.classes)} apart, {second.ref} tells "
            f"{list(second.classes)}; compare models of the same classes"
        )
    every = {field.name for model in (first, second) for field in model.signature.inputs}
    every |= {name for model in (first, second) for name in model.description.hidden}
    tried = [read(model, test, target, groups, (), time, every) for model in (first, second)]
    for model, rows in zip((first, second), tried, strict=True):
        warn_of(model, len(rows.matrix), *trained_on(model, test, rows))
    options = {"resamples": resamples, "confidence": confidence, "seed": seed}
    return _TASKS[task]((first, second), tried, positive, options)


def _classification(
    models: tuple[Model, Model],
    tried: Sequence[Tried],
    positive: str | None,
    options: dict[str, Any],
) -> Comparison:
    first, second = (
        model.predictor.run(rows.matrix) for model, rows in zip(models, tried, strict=True)
    )
    classes = models[0].classes
    called = tuple(
        model.predictor.labels(answers)
        for model, answers in zip(models, (first, second), strict=True)
    )
    return compare_classification(
        truth_as_labels(tried[0]).tolist(),
        first,
        second[:, [models[1].classes.index(label) for label in classes]],
        classes,
        names=(models[0].ref, models[1].ref),
        called=(called[0], called[1]),
        positive=positive,
        groups=tried[0].groups,
        block=tried[0].block,
        **options,
    )


def _regression(
    models: tuple[Model, Model],
    tried: Sequence[Tried],
    positive: str | None,
    options: dict[str, Any],
) -> Comparison:
    first, second = (
        model.predictor.run(rows.matrix) for model, rows in zip(models, tried, strict=True)
    )
    truth = truth_as_numbers(tried[0])
    return compare_regression(
        truth.reshape(len(truth), -1),
        first,
        second,
        names=(models[0].ref, models[1].ref),
        groups=tried[0].groups,
        block=tried[0].block,
        **options,
    )


_TASKS: dict[str, Callable[..., Comparison]] = {
    "classification": _classification,
    "regression": _regression,
    "forecasting": _regression,
}
