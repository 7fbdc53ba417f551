"""The ONNX form of a fitted graph, by torch's own exporter.

Only the exporter that traces by ``torch.export`` is used: the older one silently fixes branches
that depend on data. What it writes besides the graph (stack traces, paths, versions of libraries)
is dropped, so that the same weights give the same bytes.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lepton_ai.ml.export import NotExportable, name_by_place
from lepton_ai.ml.networks.graph import Graph

__all__ = ["export"]

# Of ONNX's standard operators; ONNX Runtime has run it since 1.14.
_OPERATORS = 18
# Two rows: with one, the tracer would take the number of rows for a constant.
_ROWS = 2


def export(graph: Graph) -> bytes:
    """Write a fitted graph as ONNX, the same bytes for the same weights.

    The model takes ``X``, float32 (rows, features), for any number of rows, and gives
    ``probabilities``, ``values`` or ``scores``, float32 (rows, k).

    Raises:
        NotExportable: an operator of the network has no ONNX form.
    """
    graph = graph.eval()
    example = torch.zeros(_ROWS, len(graph.mean))
    try:
        with _quiet(), torch.inference_mode(False):
            program: Any = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                external_data=False,
                input_names=["X"],
                output_names=[graph.kind],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
                opset_version=_OPERATORS,
                optimize=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise NotExportable(f"the network has no ONNX form: {error}") from error
    model = program.model_proto
    _strip(model)
    name_by_place(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _strip(model: Any) -> None:
    """Drop what tells of the machine and not of the model."""
    graph = model.graph
    graph.name = "network"
    # Shapes of inner values are for a reader; a runtime infers them.
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for field in ("producer_name", "producer_version", "domain", "model_version"):
        model.ClearField(field)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs and warns of what it does; none of it is for the caller to mend."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
