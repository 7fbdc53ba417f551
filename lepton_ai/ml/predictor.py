"""Predictor: a model bundle, checked and loaded; what evaluation and serving run."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.images.image import ImageMeta
from lepton_ai.ml.bundle.bundle import Bundle
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.ml.outcome import Classes, Outcome
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.runtimes.runtime import Runtime, load_runtime
from lepton_ai.ml.task import TASKS
from lepton_ai.storage import Node, Workspace

__all__ = ["Predictor"]


class Predictor:
    """Features in, answers out; may be used from several threads at once.

    Attributes:
        signature: what the model takes and gives.
        outcome: what the answers mean.
        preparation: what turns records or images into features.
        format: the form of the model, such as ``onnx``.
    """

    def __init__(
        self,
        signature: Signature,
        outcome: Outcome,
        preparation: Preparation,
        runtime: Runtime,
        model_format: str,
    ) -> None:
        self.signature = signature
        self.outcome = outcome
        self.preparation = preparation
        self.format = model_format
        self._runtime = runtime

    @classmethod
    def load(cls, workspace: Workspace, node: Node) -> Self:
        """Load a model, after its signature and the digests of its files were checked.

        Raises:
            Corrupt: the bundle was altered, or is not signed by this workspace.
        """
        bundle = Bundle(workspace, node)
        description = bundle.description()
        preparation = Preparation.from_json(bundle.read("encoding.json"))
        model_format, data = bundle.model()
        return cls(
            description.signature,
            description.outcome,
            preparation,
            load_runtime(model_format, data, TASKS[description.task]),
            model_format,
        )

    def features(self, records: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return the features (rows, features) of records: mappings from column name to value.

        Raises:
            InvalidInput: a value is missing, unknown or of the wrong type.
        """
        return self.preparation.table(records)

    def features_of_series(
        self, series: Sequence[Sequence[Mapping[str, Any]]]
    ) -> NDArray[np.float64]:
        """Return the features (series, features) of series, each the records of its last steps.

        Raises:
            InvalidInput: a series is empty, or a value is missing, unknown or of the wrong type.
        """
        return self.preparation.series(series)

    def features_from_images(
        self, arrays: Sequence[NDArray[Any]], metas: Sequence[ImageMeta]
    ) -> NDArray[np.float64]:
        """Return the features (images, features) of decoded images and what their headers say.

        Raises:
            InvalidInput: an image cannot be brought to the shape of training.
        """
        return self.preparation.images(arrays, metas)

    def features_from_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return the features (rows, features) of the tensors that the signature names.

        Raises:
            InvalidInput: a name is missing or unknown, or a shape does not fit.
        """
        return self.preparation.tensors(tensors)

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to features (rows, features)."""
        answers = self._runtime.run(matrix)
        return self.outcome.settled(answers) if isinstance(self.outcome, Classes) else answers

    @property
    def task(self) -> str:
        """What the model is for, such as ``classification``."""
        return str(self.outcome.__struct_config__.tag)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the answers' columns, where each has one."""
        return self.outcome.names

    def labels(self, answers: NDArray[np.float64]) -> list[str]:
        """Return the label of each row, or nothing where answers are values."""
        return self.outcome.labels(answers)
