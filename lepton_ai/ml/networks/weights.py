"""Fitted networks in the safetensors form: tensors, and a JSON text that names their module.

For models whose ONNX form the parity gate refuses, and to learn on from. Only networks of the
table here are built, with parameters that are plain data; the module is laid out without memory
first, and takes the file's tensors only where every name and shape agrees.
"""

import json
from dataclasses import fields
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.ml.networks.graph import Graph
from lepton_ai.ml.networks.network import Network
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["NETWORKS", "WeightsRuntime", "dumps", "loads"]

_HERE = "lepton_ai.ml.networks"
# What a file may name, and where it lies.
NETWORKS = {
    "Autoencoder": f"{_HERE}.autoencoder:Autoencoder",
    "GraphForecaster": f"{_HERE}.forecaster:GraphForecaster",
    "PerceptronClassifier": f"{_HERE}.tabular:PerceptronClassifier",
    "PerceptronRegressor": f"{_HERE}.tabular:PerceptronRegressor",
    "RecurrentClassifier": f"{_HERE}.recurrent:RecurrentClassifier",
    "RecurrentRegressor": f"{_HERE}.recurrent:RecurrentRegressor",
    "RemainingLifeRegressor": f"{_HERE}.recurrent:RemainingLifeRegressor",
    "ResidualClassifier": f"{_HERE}.residual:ResidualClassifier",
    "ResidualRegressor": f"{_HERE}.residual:ResidualRegressor",
    "TableConvolutionClassifier": f"{_HERE}.tabular:TableConvolutionClassifier",
    "TableConvolutionRegressor": f"{_HERE}.tabular:TableConvolutionRegressor",
    "TemporalClassifier": f"{_HERE}.temporal:TemporalClassifier",
    "TemporalRegressor": f"{_HERE}.temporal:TemporalRegressor",
}

_KEY = "network"
_MOST_BYTES = 2**30
_MOST_TEXT = 2**20
# Of a parameter of size, such as a width or a number of layers.
_LARGEST = 4096
_MOST_COLUMNS = 2**24
_ANSWERED_AT_ONCE = 1024

# They belong to the machine or to the learning alone, and need not be plain data.
_LEFT_OUT = frozenset({"checkpoint", "device", "progress", "random_state", "threads"})
# What a fit sets besides the graph, and of which type it is.
_FITTED: dict[str, type] = {
    "n_features_in_": int,
    "classes_": list,
    "offset_": float,
    "_flat": bool,
}
_LABELS = (str, int, float, bool)


class WeightsRuntime:
    """A network, rebuilt from its safetensors form."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Rebuild the network.

        Raises:
            Refused: as `loads`, or the network answers another task.
        """
        self._graph = loads(data).graph_
        if self._graph.kind != task.output:
            raise Refused(
                f"the network gives {self._graph.kind}; a {task.noun} gives {task.output}"
            )

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to a float matrix (rows, features).

        Raises:
            InvalidInput: the matrix has another number of columns.
        """
        features = len(self._graph.mean)
        if matrix.ndim != 2 or matrix.shape[1] != features:
            raise InvalidInput(
                f"the model takes {features} features a row, not an array of {matrix.shape}"
            )
        rows = torch.from_numpy(matrix.astype(np.float32))
        with torch.inference_mode():
            parts = [self._graph(part) for part in torch.split(rows, _ANSWERED_AT_ONCE)]
        answers: NDArray[np.float64] = torch.cat(parts).numpy().astype(np.float64)
        return answers


def dumps(estimator: Any) -> bytes:
    """Write a fitted network, the same bytes for the same network.

    Raises:
        Refused: it is no network of the table, or a parameter of its module is no plain data.
    """
    name = type(estimator).__name__
    if name not in NETWORKS or not isinstance(estimator, load(NETWORKS[name], extra="deep")):
        raise Refused(f"a {type(estimator).__qualname__} is never stored as weights of a network")
    check_is_fitted(estimator, "graph_")
    tensors = {key: value.contiguous() for key, value in estimator.graph_.state_dict().items()}
    parameters = {}
    for key, value in estimator.get_params(deep=False).items():
        if key in _LEFT_OUT:
            continue
        if isinstance(value, np.ndarray):
            tensors[f"parameter.{key}"] = torch.tensor(value)
        elif _is_plain(value):
            parameters[key] = value
        elif key not in _of_learning():
            raise Refused(f"the parameter {key}={value!r} of a {name} is no plain data")
    text = json.dumps(
        {
            "name": name,
            "parameters": parameters,
            "outputs": estimator.graph_.outputs,
            "fitted": {
                key: np.asarray(getattr(estimator, key)).tolist()
                for key in _FITTED
                if hasattr(estimator, key)
            },
        },
        sort_keys=True,
    )
    return safetensors.torch.save(tensors, metadata={_KEY: text})


def loads(data: bytes) -> Any:
    """Rebuild a fitted network from `dumps`.

    Raises:
        Refused: the file is too large or names anything outside the table, a parameter is
            unknown or too large, or the tensors don't fit the module.
    """
    if len(data) > _MOST_BYTES:
        raise Refused(f"the network has {len(data)} bytes; at most {_MOST_BYTES} are loaded")
    said = _said(data)
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except SafetensorError as error:
        raise Refused(f"the network's tensors cannot be read: {error}") from error
    name = said.get("name")
    if not isinstance(name, str) or name not in NETWORKS:
        raise Refused(f"a network named {name!r} is never loaded; known: {', '.join(NETWORKS)}")
    made: type[Network] = load(NETWORKS[name], extra="deep")
    parameters = _parameters(made, said.get("parameters"), tensors)
    outputs = _count(said.get("outputs"), "answers it gives")
    fitted = _fitted(said.get("fitted"))
    features = _count(fitted.get("n_features_in_"), "features it takes")
    try:
        estimator: Any = made(**parameters)
        estimator._check()
        # On this device a tensor is a shape without memory, however large.
        with torch.device("meta"):
            graph = estimator._empty_graph(features, outputs)
    except Exception as error:
        # A value of a wrong kind fails in as many ways as there are parameters.
        raise Refused(f"the network's parameters cannot be used: {error}") from error
    estimator.graph_ = _filled(graph, tensors)
    if graph.kind == "probabilities" and len(fitted.get("classes_", ())) != outputs:
        raise Refused(f"the network has {outputs} classes, and not a label for each")
    for key, value in fitted.items():
        setattr(estimator, key, np.asarray(value) if isinstance(value, list) else value)
    return estimator


def _said(data: bytes) -> dict[str, Any]:
    """Return the JSON text of the file's header."""
    length = int.from_bytes(data[:8], "little")
    if length > min(_MOST_TEXT, len(data)):
        raise Refused(f"the network's header has {length} bytes; at most {_MOST_TEXT} are read")
    try:
        said = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"the file does not say which network it holds: {error}") from error
    if not isinstance(said, dict):
        raise Refused("the file does not say which network it holds")
    return said


def _count(value: Any, what: str) -> int:
    if type(value) is not int or value < 1:
        raise Refused(f"the network does not say how many {what}; it says {value!r}")
    if value > _MOST_COLUMNS:
        raise Refused(f"{value} is too large for the {what}; at most {_MOST_COLUMNS} are built")
    return value


def _fitted(given: Any) -> dict[str, Any]:
    """Check the fitted attributes of a file."""
    if not isinstance(given, dict) or not all(
        key in _FITTED
        and type(value) is _FITTED[key]
        and (type(value) is not list or all(type(item) in _LABELS for item in value))
        for key, value in given.items()
    ):
        raise Refused(f"the network's fitted attributes are {given!r}")
    return given


def _parameters(made: type[Network], given: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Check the parameters of a file, and take those that are arrays from its tensors."""
    known = {field.name for field in fields(made)} - _LEFT_OUT
    if not isinstance(given, dict) or not set(given) <= known or not _is_plain(given):
        raise Refused(f"a {made.__name__} does not have the parameters {given!r}")
    parameters: dict[str, Any] = {}
    for key, value in given.items():
        numbers = value if isinstance(value, list) else [value]
        if key not in _of_learning() and any(
            isinstance(number, int | float) and abs(number) > _LARGEST for number in numbers
        ):
            raise Refused(f"{key}={value!r} is too large; at most {_LARGEST} is built")
        parameters[key] = tuple(value) if isinstance(value, list) else value
    for key in [key for key in tensors if key.startswith("parameter.")]:
        field = key.removeprefix("parameter.")
        if field not in known:
            raise Refused(f"a {made.__name__} does not have the parameter {field!r}")
        parameters[field] = tensors.pop(key).numpy()
    return parameters


def _filled(graph: Graph, tensors: dict[str, Tensor]) -> Graph:
    wanted = {key: (value.shape, value.dtype) for key, value in graph.state_dict().items()}
    found = {key: (value.shape, value.dtype) for key, value in tensors.items()}
    if wanted != found:
        other = sorted(
            key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)
        )
        raise Refused(f"the network's tensors don't fit its module: {', '.join(other[:5])}")
    graph.load_state_dict(tensors, assign=True)
    return graph.eval().requires_grad_(False)


def _of_learning() -> frozenset[str]:
    """Parameters that every network has and that lay out no module."""
    return frozenset(field.name for field in fields(Network)) - {"shape", "members"} | {
        "class_weight",
        "label_smoothing",
        "loss",
    }


def _is_plain(value: Any) -> bool:
    """Tell whether JSON gives the value back as it is, but for tuples."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)
