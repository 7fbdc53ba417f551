"""stored: evaluations as they are read back from the lineage."""

from collections.abc import Mapping
from typing import Any

from msgspec import convert

from lepton_ai.ml.evaluation.classification import ClassificationEvaluation
from lepton_ai.ml.evaluation.clustering import ClusteringEvaluation
from lepton_ai.ml.evaluation.detection import DetectionEvaluation
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.forecasting import ForecastEvaluation
from lepton_ai.ml.evaluation.regression import RegressionEvaluation
from lepton_ai.ml.evaluation.remaining_life import LifeEvaluation

__all__ = ["EVALUATIONS", "stored"]

EVALUATIONS: dict[str, type[Evaluation]] = {
    kind.task: kind
    for kind in (
        ClassificationEvaluation,
        RegressionEvaluation,
        LifeEvaluation,
        ForecastEvaluation,
        ClusteringEvaluation,
        DetectionEvaluation,
    )
}


def stored(told: Mapping[str, Any]) -> Evaluation:
    """Return an evaluation of what `Evaluation.to_dict` told.

    Args:
        told: with the key ``task``; those kept before there were other tasks have none.
    """
    task = told.get("task", ClassificationEvaluation.task)
    return convert({**told, "task": task}, EVALUATIONS[task])
