"""Evaluation: how well a model answers, measured on rows that it has not seen.

`evaluating` measures a registered model, `classification` arrays of answers; `metrics` are the
figures, `figures` holds them as data, `plots` and `rendering` show them. A name is imported at its
first use, because what serves a model needs the metrics alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.ml.evaluation.classification import assess as assess
    from lepton_ai.ml.evaluation.evaluating import SeenInTraining as SeenInTraining
    from lepton_ai.ml.evaluation.evaluating import evaluate as evaluate
    from lepton_ai.ml.evaluation.evaluation import Evaluation as Evaluation

_NAMES = {
    "Evaluation": "evaluation",
    "SeenInTraining": "evaluating",
    "assess": "classification",
    "evaluate": "evaluating",
}

__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
