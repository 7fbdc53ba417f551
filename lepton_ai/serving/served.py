"""A model that is being served: what a replica holds for one endpoint."""

from msgspec import Struct

from lepton_ai.ml.predictor import Predictor

__all__ = ["Served"]


class Served(Struct, frozen=True):
    """One endpoint's model, verified and loaded.

    Attributes:
        endpoint: the name in the URL.
        deployment_id: the lineage node of the deployment.
        model_id: the lineage node of the model.
        model: the model's name.
        version: the model's version.
        predictor: what computes.
    """

    endpoint: str
    deployment_id: str
    model_id: str
    model: str
    version: int
    predictor: Predictor
