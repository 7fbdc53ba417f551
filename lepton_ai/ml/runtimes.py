"""Runtimes: what turns a bundle's model file into probabilities.

A row per format; an implementation is imported when a bundle of that format is loaded, so
that serving an ONNX model never imports scikit-learn.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, LeptonError
from lepton_ai.core.optional import load

__all__ = ["FORMATS", "Refused", "Runtime", "load_runtime"]


class Refused(Corrupt):
    """A model file asks for something that the platform never loads."""


class Runtime(Protocol):
    """A loaded model, safe to call from several threads at once."""

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return class probabilities (rows, classes) of a feature matrix (rows, features)."""
        ...


# format -> (the file that holds it in a bundle, its implementation)
FORMATS = {
    "onnx": ("model.onnx", "lepton_ai.ml.onnx_runtime:OnnxRuntime"),
    "skops": ("model.skops", "lepton_ai.ml.skops_runtime:SkopsRuntime"),
}


def load_runtime(model_format: str, data: bytes) -> Runtime:
    """Load a model file.

    Args:
        model_format: a key of :data:`FORMATS`.
        data: the file's bytes, whose digest and signature the caller has checked.

    Raises:
        Refused: the format is unknown, or the file holds something that is never loaded.
        Corrupt: the file is not of that format.
    """
    if model_format not in FORMATS:
        raise Refused(
            f"a model of format {model_format!r} cannot be loaded; known: {', '.join(FORMATS)}"
        )
    implementation: Any = load(FORMATS[model_format][1], extra="all")
    try:
        runtime: Runtime = implementation(data)
    except LeptonError:
        raise
    except Exception as error:
        # Whatever a parser raises on hostile bytes, a caller sees one error.
        raise Corrupt(f"the {model_format} model cannot be read: {error}") from error
    return runtime
