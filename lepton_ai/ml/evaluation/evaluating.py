"""evaluate: measure a registered model, in the form that is served, on rows it has not seen."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import columns_of
from lepton_ai.data.dataset import Dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.measuring import MEASURES, Asked
from lepton_ai.ml.evaluation.series import windows_of_series
from lepton_ai.ml.evaluation.tried import SeenInTraining, Tried, read, shown, trained_on, warn_of
from lepton_ai.ml.model import Model
from lepton_ai.ml.task import FORECASTING

__all__ = ["SeenInTraining", "evaluate"]

Answers = NDArray[np.float64]


def evaluate(
    model: Model,
    test: Any,
    target: Any = None,
    *,
    groups: str | None = None,
    slices: Sequence[str] = (),
    time: str | None = None,
    positive: str | None = None,
    limit: float | None = None,
    needed: float = 0.0,
    season: int | None = None,
    refits: int = 10,
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
        positive: of two classes, the one to look for; see `assess_classification`. Of labels of
            anomalies, the one that is an anomaly; by default what no name says is normal.
        limit: for a regressor of remaining life, the predicted life at which an alarm is raised:
            lead times are then measured, of units that ``groups`` names and ``time`` orders.
        needed: how much life must be left for an alarm to be of use.
        season: of forecasts, the steps of a season of the naive forecast that they are held
            against; those of a day where moments tell them, else 1.
        refits: how often a clustering is fitted anew, for its stability; 0 leaves that out.
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
    if model.description.task == FORECASTING.name:
        tried = _series(model, test, slices, season)
    else:
        tried = read(model, test, target, groups, slices, time)
    asked = Asked(
        positive=positive,
        limit=limit,
        needed=needed,
        refits=refits,
        options={"resamples": resamples, "confidence": confidence, "seed": seed},
    )
    measured = MEASURES[model.description.task](model, tried, asked)
    seen, shared = trained_on(model, test, tried)
    evaluation = msgspec.structs.replace(measured, model=model.ref, data=shown(test), seen=seen)
    warn_of(model, len(tried.matrix), seen, shared)
    return _kept(model, test, evaluation, tried.matrix)


def _series(model: Model, test: Any, slices: Sequence[str], season: int | None) -> Tried:
    if isinstance(test, ImageSet):
        raise InvalidInput(f"{model.ref} forecasts series, and {test.ref} holds images")
    columns = columns_of(test.to_polars() if isinstance(test, Table) else frame_of(test))
    return windows_of_series(model, columns, slices, season)


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
