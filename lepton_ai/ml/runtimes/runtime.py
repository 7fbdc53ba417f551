"""Runtimes: what turns a bundle's model file into answers.

A row per format; an implementation is imported when a bundle of that format is loaded, so
that serving an ONNX model never imports scikit-learn.
"""

from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, LeptonError
from lepton_ai.core.optional import load
from lepton_ai.ml.runtimes.canary import objection
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["FORMATS", "Format", "Refused", "Runtime", "dump_native", "load_runtime"]


class Refused(Corrupt):
    """A model file asks for something that the platform never loads."""


class Runtime(Protocol):
    """A loaded model, safe to call from several threads at once."""

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a feature matrix (rows, features)."""
        ...


class Format(Struct, frozen=True):
    """One form that a model may have.

    Attributes:
        file: what holds it in a bundle.
        runtime: what loads it, written ``module:class``.
        writer: what writes a fitted estimator in it, written ``module:function``; ONNX has the
            parity gate for that.
        extra: that installs its library.
        frail: what a file of it begins with, where its library can end the process on bytes that
            are no model, so that another process reads them first.
    """

    file: str
    runtime: str
    writer: str = ""
    extra: str = "all"
    frail: bytes = b""


FORMATS = {
    "onnx": Format("model.onnx", "lepton_ai.ml.runtimes.onnx:OnnxRuntime"),
    "skops": Format(
        "model.skops",
        "lepton_ai.ml.runtimes.skops:SkopsRuntime",
        "lepton_ai.ml.runtimes.skops:dumps",
    ),
    "lightgbm": Format(
        "model.lightgbm.txt",
        "lepton_ai.ml.runtimes.lightgbm:LightgbmRuntime",
        "lepton_ai.ml.runtimes.lightgbm:dumps",
        extra="boost",
        frail=b"tree\n",
    ),
    "catboost": Format(
        "model.cbm",
        "lepton_ai.ml.runtimes.catboost:CatboostRuntime",
        "lepton_ai.ml.runtimes.catboost:dumps",
        extra="boost",
        frail=b"CBM1",
    ),
    "safetensors": Format(
        "model.safetensors",
        "lepton_ai.ml.networks.weights:WeightsRuntime",
        "lepton_ai.ml.networks.weights:dumps",
        extra="deep",
    ),
    "custom": Format(
        "model.custom.safetensors",
        "lepton_ai.ml.custom.runtime:CustomRuntime",
        "lepton_ai.ml.custom.runtime:dumps",
    ),
    "ensemble": Format(
        "model.ensemble",
        "lepton_ai.ml.selection.ensemble_runtime:EnsembleRuntime",
        "lepton_ai.ml.selection.ensemble:dumps",
    ),
}


def load_runtime(
    model_format: str, data: bytes, task: Task = CLASSIFICATION, *, trusted: bool = False
) -> Runtime:
    """Load a model file.

    Args:
        model_format: a key of :data:`FORMATS`.
        data: the file's bytes, whose digest and signature the caller has checked.
        task: of the model.
        trusted: whether this very process wrote it.

    Raises:
        Refused: the format is unknown, or the file holds something that is never loaded.
        Corrupt: the file is not of that format.
    """
    if model_format not in FORMATS:
        raise Refused(
            f"a model of format {model_format!r} cannot be loaded; known: {', '.join(FORMATS)}"
        )
    chosen = FORMATS[model_format]
    implementation: Any = load(chosen.runtime, extra=chosen.extra)
    if not data.startswith(chosen.frail):
        raise Corrupt(f"the file is no {model_format} model: it begins otherwise")
    if chosen.frail and not trusted and (wrong := objection(chosen.runtime, data, task)):
        raise Refused(f"the {model_format} model cannot be read: {wrong}")
    try:
        runtime: Runtime = implementation(data, task)
    except LeptonError:
        raise
    except Exception as error:
        # Whatever a parser raises on hostile bytes, a caller sees one error.
        raise Corrupt(f"the {model_format} model cannot be read: {error}") from error
    return runtime


def dump_native(model_format: str, estimator: Any) -> bytes:
    """Write a fitted estimator in a format of its own library.

    Raises:
        Refused: it holds something that is never stored.
    """
    chosen = FORMATS[model_format]
    written: bytes = load(chosen.writer, extra=chosen.extra)(estimator)
    return written
