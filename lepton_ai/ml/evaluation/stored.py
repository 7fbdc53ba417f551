"""stored: evaluations as they are read back from the lineage."""

from collections.abc import Mapping
from typing import Any

from msgspec import convert

from lepton_ai.ml.evaluation.classification import ClassificationEvaluation
from lepton_ai.ml.evaluation.evaluation import Evaluation

__all__ = ["EVALUATIONS", "stored"]

EVALUATIONS: dict[str, type[Evaluation]] = {kind.task: kind for kind in (ClassificationEvaluation,)}


def stored(told: Mapping[str, Any]) -> Evaluation:
    """Return an evaluation of what `Evaluation.to_dict` told.

    Args:
        told: with the key ``task``; those kept before there were other tasks have none.
    """
    task = told.get("task", ClassificationEvaluation.task)
    return convert({**told, "task": task}, EVALUATIONS[task])
