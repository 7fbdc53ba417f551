"""ONNX models through ONNX Runtime."""

import math
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.runtimes.operators import check_operators
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["OnnxRuntime"]

_MOST_BYTES = 2**30
_MOST_NODES = 100_000
_MOST_ELEMENTS = 2**28
# Nearest neighbours compare each row with each training row: a bound on the memory.
_BLOCK = 4096
_DEEPEST = 4
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
# ORT numbers its levels of logging; below errors it reports its own optimisations.
_ERRORS_ONLY = 3


class OnnxRuntime:
    """A session on one thread, whose answers don't depend on the machine's load.

    One row of a forest takes some ten microseconds, which more threads only slow down;
    parallel requests each run on the caller's own thread, without the interpreter's lock.
    """

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Check the graph, then load it.

        Raises:
            Refused: the graph is too large, names external files, or uses other operators
                than the ONNX standard's.
        """
        inspect(data)
        onnxruntime = _library()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or task.output not in {output.name for output in outputs}:
            raise Refused(
                f"the ONNX model must have one input and an output named {task.output!r}; it has "
                f"{[i.name for i in inputs]} and {[o.name for o in outputs]}"
            )
        self._outputs = [task.output]
        self._input = inputs[0].name
        self._width = inputs[0].shape[1]

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a float matrix (rows, features).

        Raises:
            InvalidInput: the matrix has another number of columns.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self._width:
            raise InvalidInput(
                f"the model takes {self._width} features a row, not an array of {matrix.shape}"
            )
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        if len(rows) <= _BLOCK:
            return self._block(rows)
        starts = range(0, len(rows), _BLOCK)
        return np.concatenate([self._block(rows[start : start + _BLOCK]) for start in starts])

    def _block(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        (given,) = self._session.run(self._outputs, {self._input: rows})
        result: NDArray[np.float64] = given.astype(np.float64)
        return result if result.ndim == 2 else result[:, np.newaxis]


def _library() -> Any:
    """Import ONNX Runtime with its telemetry off: nothing of a workspace leaves the machine.

    The official builds tell their maker of their use, by a device id and over the network, unless
    this variable is set before they are loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    library = import_module("onnxruntime")
    # The rest of what can be silenced where the caller had imported it already.
    library.disable_telemetry_events()
    return library


def inspect(data: bytes) -> None:
    """Refuse a graph that is too large or reaches outside its own bytes.

    Raises:
        Refused: see the limits at the head of this module.
    """
    if len(data) > _MOST_BYTES:
        raise Refused(f"the ONNX model has {len(data)} bytes; at most {_MOST_BYTES} are loaded")
    model = onnx.ModelProto()
    model.ParseFromString(data)
    foreign = {item.domain for item in model.opset_import} - _DOMAINS
    if foreign or model.functions:
        raise Refused(f"the ONNX model uses operators outside the standard: {sorted(foreign)}")
    nodes = 0
    for graph in _graphs(model.graph):
        check_operators(graph)
        nodes += len(graph.node)
        if nodes > _MOST_NODES:
            raise Refused(f"the ONNX model has more than {_MOST_NODES} operators")
        for tensor in _tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise Refused(f"the ONNX tensor {tensor.name!r} lies in an external file")
            if math.prod(map(abs, tensor.dims)) > _MOST_ELEMENTS or min(tensor.dims, default=0) < 0:
                raise Refused(f"the ONNX tensor {tensor.name!r} is too large: {tensor.dims}")


def _graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """The graph and every graph nested in the attributes of its operators."""
    if depth > _DEEPEST:
        raise Refused(f"the ONNX model has graphs in graphs, more than {_DEEPEST} deep")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            nested = [attribute.g] if attribute.HasField("g") else []
            for inner in (*nested, *attribute.graphs):
                yield from _graphs(inner, depth + 1)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    if graph.sparse_initializer:
        raise Refused("the ONNX model holds sparse tensors, which no model of the platform has")
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise Refused("the ONNX model holds sparse tensors; no model of the platform does")
