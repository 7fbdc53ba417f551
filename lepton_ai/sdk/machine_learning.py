"""Train, evaluate, register, deploy: models from first fit to live endpoint."""

from lepton_ai.ml.evaluation.comparing import compare_models
from lepton_ai.ml.evaluation.evaluating import SeenInTraining, evaluate
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.explanation.changes import WhatIf
from lepton_ai.ml.explanation.counterfactual import Counterfactual, counterfactuals
from lepton_ai.ml.explanation.dependences import Dependence, dependence
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.ml.explanation.importances import Importance, importance
from lepton_ai.ml.explanation.stabilities import Stability, stability
from lepton_ai.ml.model import Model
from lepton_ai.ml.pretrained.adding import pretrained
from lepton_ai.ml.pretrained.tuning import OtherUnits, fine_tune
from lepton_ai.ml.registry import get as get_model
from lepton_ai.ml.registry import models, set_alias
from lepton_ai.ml.reproducing import Reproduction, reproduce
from lepton_ai.ml.training import (
    train,
    train_classifier,
    train_clusterer,
    train_detector,
    train_forecaster,
    train_regressor,
)
from lepton_ai.serving.deployment import Deployment, deploy_model, deployment, undeploy_model

__all__ = [
    "Counterfactual",
    "Dependence",
    "Deployment",
    "Evaluation",
    "Explanation",
    "Importance",
    "Model",
    "OtherUnits",
    "Reproduction",
    "SeenInTraining",
    "Stability",
    "WhatIf",
    "compare_models",
    "counterfactuals",
    "dependence",
    "deploy_model",
    "deployment",
    "evaluate",
    "fine_tune",
    "get_model",
    "importance",
    "models",
    "pretrained",
    "reproduce",
    "set_alias",
    "stability",
    "train",
    "train_classifier",
    "train_clusterer",
    "train_detector",
    "train_forecaster",
    "train_regressor",
    "undeploy_model",
]
