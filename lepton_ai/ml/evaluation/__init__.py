"""Evaluation: how well a model answers, measured on rows that it has not seen.

`evaluating` measures a registered model on its task (`measuring`), on the rows that were `tried` or
the windows of `series`. Each task has a file of functions over arrays: `classification`,
`regression`, `remaining_life`, `forecasting`, `clustering`, `detection`; their figures, of many
resamples at a time, are computed in `probabilities`, `ranking`, `errors` and `partitions`.

What they share: `resampling` gives intervals, `slices` the figures of parts of the rows, `labels`
what is looked for. An `evaluation` is data (`figures`, `stored`); `rendering` shows one (`shown`),
`plots`, `value_plots` and `score_plots` draw on a `canvas`; `calibration` and `decision` are
curves.

Beside them: `thresholds` and `conformal` choose what is applied at an endpoint, as does
`recalibrating` (`recalibration`); `comparing` and `comparison` test two models on the same rows
(`paired_tests`).

A name is imported at its first use, because what serves a model needs the `metrics` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_ai.ml.evaluation.classification import (
        ClassificationEvaluation as ClassificationEvaluation,
    )
    from lepton_ai.ml.evaluation.classification import assess as assess
    from lepton_ai.ml.evaluation.classification import (
        assess_classification as assess_classification,
    )
    from lepton_ai.ml.evaluation.clustering import ClusteringEvaluation as ClusteringEvaluation
    from lepton_ai.ml.evaluation.clustering import assess_clustering as assess_clustering
    from lepton_ai.ml.evaluation.comparing import compare_models as compare_models
    from lepton_ai.ml.evaluation.comparison import Comparison as Comparison
    from lepton_ai.ml.evaluation.comparison import compare_classification as compare_classification
    from lepton_ai.ml.evaluation.comparison import compare_regression as compare_regression
    from lepton_ai.ml.evaluation.conformal import CrossConformal as CrossConformal
    from lepton_ai.ml.evaluation.conformal import ScaledConformal as ScaledConformal
    from lepton_ai.ml.evaluation.conformal import SplitConformal as SplitConformal
    from lepton_ai.ml.evaluation.conformal import cross_conformal as cross_conformal
    from lepton_ai.ml.evaluation.conformal import scaled_conformal as scaled_conformal
    from lepton_ai.ml.evaluation.conformal import split_conformal as split_conformal
    from lepton_ai.ml.evaluation.detection import DetectionEvaluation as DetectionEvaluation
    from lepton_ai.ml.evaluation.detection import assess_detection as assess_detection
    from lepton_ai.ml.evaluation.evaluating import SeenInTraining as SeenInTraining
    from lepton_ai.ml.evaluation.evaluating import evaluate as evaluate
    from lepton_ai.ml.evaluation.evaluation import Evaluation as Evaluation
    from lepton_ai.ml.evaluation.forecasting import ForecastEvaluation as ForecastEvaluation
    from lepton_ai.ml.evaluation.forecasting import assess_forecast as assess_forecast
    from lepton_ai.ml.evaluation.forecasting import seasonal_naive as seasonal_naive
    from lepton_ai.ml.evaluation.paired_tests import PairedTest as PairedTest
    from lepton_ai.ml.evaluation.paired_tests import corrected_t as corrected_t
    from lepton_ai.ml.evaluation.paired_tests import delong as delong
    from lepton_ai.ml.evaluation.paired_tests import mcnemar as mcnemar
    from lepton_ai.ml.evaluation.recalibrating import recalibrate as recalibrate
    from lepton_ai.ml.evaluation.recalibration import Isotonic as Isotonic
    from lepton_ai.ml.evaluation.recalibration import Platt as Platt
    from lepton_ai.ml.evaluation.recalibration import Recalibration as Recalibration
    from lepton_ai.ml.evaluation.recalibration import Temperature as Temperature
    from lepton_ai.ml.evaluation.regression import RegressionEvaluation as RegressionEvaluation
    from lepton_ai.ml.evaluation.regression import assess_regression as assess_regression
    from lepton_ai.ml.evaluation.remaining_life import LifeEvaluation as LifeEvaluation
    from lepton_ai.ml.evaluation.remaining_life import (
        assess_remaining_life as assess_remaining_life,
    )
    from lepton_ai.ml.evaluation.remaining_life import phm08_score as phm08_score
    from lepton_ai.ml.evaluation.thresholds import CostRule as CostRule
    from lepton_ai.ml.evaluation.thresholds import Threshold as Threshold
    from lepton_ai.ml.evaluation.thresholds import choose_threshold as choose_threshold

_PLACES = {
    "classification": ("ClassificationEvaluation", "assess", "assess_classification"),
    "clustering": ("ClusteringEvaluation", "assess_clustering"),
    "comparing": ("compare_models",),
    "comparison": ("Comparison", "compare_classification", "compare_regression"),
    "conformal": (
        "CrossConformal",
        "ScaledConformal",
        "SplitConformal",
        "cross_conformal",
        "scaled_conformal",
        "split_conformal",
    ),
    "detection": ("DetectionEvaluation", "assess_detection"),
    "evaluating": ("SeenInTraining", "evaluate"),
    "evaluation": ("Evaluation",),
    "forecasting": ("ForecastEvaluation", "assess_forecast", "seasonal_naive"),
    "paired_tests": ("PairedTest", "corrected_t", "delong", "mcnemar"),
    "recalibrating": ("recalibrate",),
    "recalibration": ("Isotonic", "Platt", "Recalibration", "Temperature"),
    "regression": ("RegressionEvaluation", "assess_regression"),
    "remaining_life": ("LifeEvaluation", "assess_remaining_life", "phm08_score"),
    "thresholds": ("CostRule", "Threshold", "choose_threshold"),
}
_MODULES = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
