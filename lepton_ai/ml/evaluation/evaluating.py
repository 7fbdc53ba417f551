"""evaluate: measure a registered model, in the form that is served, on rows it has not seen."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.dataset import Dataset
from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.tried import Tried, read, shown, trained_on
from lepton_ai.ml.examples import class_names
from lepton_ai.ml.model import Model

__all__ = ["SeenInTraining", "evaluate"]

Answers = NDArray[np.float64]


class SeenInTraining(UserWarning):
    """The test data holds rows, or further rows of groups, that the model was trained on."""


class _Asked(Struct, frozen=True, kw_only=True):
    """What a caller asked of an evaluation; see `evaluate` for each word."""

    positive: str | None
    options: dict[str, Any]


def evaluate(
    model: Model,
    test: Any,
    target: Any = None,
    *,
    groups: str | None = None,
    slices: Sequence[str] = (),
    time: str | None = None,
    positive: str | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Measure a model on its task and keep the result in the lineage.

    Args:
        model: to measure, in the form that is served.
        test: data of the kind that the model was trained on. Images go through the model's own
            preprocessing, as at an endpoint.
        target: the column of the truth, unless that of the training; or the truth of rows of
            numbers. Clusters and anomalies can be measured without one.
        groups: the column that says which rows belong together, unless that of the training;
            intervals resample whole groups. Images are grouped by patient.
        slices: columns whose values part the rows; each part is measured too, and how far apart
            the parts lie. For images, what their headers say, such as ``modality``.
        time: the column of the order of rows, which are then resampled in blocks that follow
            each other.
        positive: of two classes, the one to look for; see `assess_classification`.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Returns:
        The evaluation of the model's task, which as a number is the chief figure.

    Raises:
        InvalidInput: the truth is missing or unknown to the model, or the data does not fit.

    Warns:
        SeenInTraining: the model was trained on some of the rows, or on others of their groups.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InvalidInput(
            "confidence must lie between 0 and 1 and resamples be at least 1; got "
            f"{confidence} and {resamples}"
        )
    tried = read(model, test, target, groups, slices, time)
    asked = _Asked(
        positive=positive,
        options={
            "groups": tried.groups,
            "slices": tried.slices,
            "resamples": resamples,
            "confidence": confidence,
            "seed": seed,
        },
    )
    measured = _TASKS[model.description.task](model, tried, asked)
    seen, shared = trained_on(model, test, tried)
    evaluation = msgspec.structs.replace(measured, model=model.ref, data=shown(test), seen=seen)
    if seen:
        warnings.warn(
            f"{seen} of {len(tried.matrix)} test rows equal rows that {model.ref} was trained on, "
            "so the figures flatter it; evaluate on the test side of split_data",
            SeenInTraining,
            stacklevel=2,
        )
    elif shared:
        warnings.warn(
            f"{shared} patients of the test data have other images that {model.ref} was trained "
            "on, so the figures may flatter it; split_data keeps patients together",
            SeenInTraining,
            stacklevel=2,
        )
    return _kept(model, test, evaluation, tried.matrix)


def _classification(model: Model, tried: Tried, asked: _Asked) -> Evaluation:
    return assess_classification(
        class_names(_truth(tried), tried.where).tolist(),
        model.predictor.run(tried.matrix),
        model.classes,
        positive=asked.positive,
        **asked.options,
    )


_TASKS: dict[str, Callable[[Model, Tried, _Asked], Evaluation]] = {
    "classification": _classification,
}


def _truth(tried: Tried) -> NDArray[Any]:
    if tried.truth is None:
        raise InvalidInput(
            f"{len(tried.matrix)} rows of {tried.where} need a label each to compare with: name "
            "their column by target=, or pass (X, y)"
        )
    return tried.truth


def _kept(model: Model, test: Any, evaluation: Evaluation, matrix: Answers) -> Evaluation:
    """Store an evaluation in the lineage; the same one again is the same node."""
    workspace = model.workspace
    parents = [(model.node.id, "model")]
    if isinstance(test, Dataset) and test.workspace is workspace:
        parents.append((test.record().id, "data"))
    content = hashlib.sha256(matrix.tobytes()).hexdigest()
    said = evaluation.to_dict()
    told = msgspec.json.encode([parents, content, said]).decode()
    with workspace.transaction() as transaction:
        node = transaction.node(
            "evaluation",
            model.name,
            facts={"evaluation": said, "content": content},
            parents=parents,
            id=f"evaluation_{workspace.keys.token(told)}",
        )
    return msgspec.structs.replace(evaluation, node=node.id)
