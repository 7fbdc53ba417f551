"""Export of fitted estimators to ONNX: by skl2onnx, or by the estimator's own ``to_onnx``."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from lepton_ai.core.errors import LeptonError
from lepton_ai.core.optional import load
from lepton_ai.ml.task import CLASSIFICATION, DETECTION, Task

__all__ = ["NotExportable", "export", "name_by_place"]

# The newest operator sets that skl2onnx converts to and ONNX Runtime runs everywhere.
_OPERATORS = {"": 18, "ai.onnx.ml": 3}
_MLTOOLS_OPERATORS = 15


class NotExportable(LeptonError):
    """There is no ONNX form of this estimator."""


def export(estimator: Any, features: int, task: Task = CLASSIFICATION) -> bytes:
    """Write a fitted estimator as ONNX, the same bytes for the same estimator.

    The graph takes ``X``, float32 (rows, features), and gives the answers, float32 (rows, width),
    under the task's name for them, such as ``probabilities``. Only the estimator is exported:
    preprocessing stays in float64 outside, because float32 scaling moves values across the split
    thresholds of trees. Thresholds of boosted trees are rounded down to float32 in the estimator
    itself, which changes none of its answers on float32 features.

    Raises:
        NotExportable: the converter does not support the estimator or its parameters.
    """
    if hasattr(estimator, "unexported"):
        raise NotExportable(estimator.unexported)
    if hasattr(estimator, "to_onnx"):
        written: bytes = estimator.to_onnx()
        return written
    # Naive Bayes behind its own steps is exported with them.
    estimator = getattr(estimator, "pipeline_", estimator)
    convert = _CONVERTERS.get(type(estimator).__module__.partition(".")[0], _scikit_learn)
    try:
        with warnings.catch_warnings():
            # Converters read attributes that libraries deprecate; none is ours to mend.
            warnings.simplefilter("ignore")
            model = convert(estimator, features, task)
    except LeptonError:
        raise
    except Exception as error:
        # A converter fails in as many ways as there are estimators; the caller has one way on.
        said = str(error).strip().partition("\n")[0]
        raise NotExportable(f"{type(estimator).__name__} has no ONNX form: {said}") from error
    _name_outputs(model, task)
    if task is DETECTION:
        _turn_scores(model, float(np.ravel(estimator.offset_)[0]))
    name_by_place(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _scikit_learn(estimator: Any, features: int, task: Task) -> Any:
    _floor_thresholds(estimator)
    return to_onnx(
        estimator,
        initial_types=[("X", FloatTensorType([None, features]))],
        options={id(estimator): {"zipmap": False}} if task is CLASSIFICATION else None,
        target_opset=_OPERATORS,
        name=task.noun,
    )


def _lightgbm(estimator: Any, features: int, task: Task) -> Any:
    convert = load("onnxmltools:convert_lightgbm", extra="boost")
    types = [("X", load("onnxmltools.convert.common.data_types:FloatTensorType", extra="boost"))]
    booster = estimator._Booster
    estimator._Booster = _floored(booster)
    try:
        model = convert(
            estimator,
            initial_types=[(name, of([None, features])) for name, of in types],
            zipmap=False,
            target_opset=_MLTOOLS_OPERATORS,
            name=task.noun,
        )
    finally:
        estimator._Booster = booster
    # The label is declared as one value whatever the rows, of which ONNX Runtime warns each time.
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].Clear()
    return model


# An estimator's package -> what converts it, where that is not skl2onnx.
_CONVERTERS = {"lightgbm": _lightgbm}


def _turn_scores(model: Any, offset: float) -> None:
    """Make of the converter's scores ours: scikit-learn's decision is its score less the offset."""
    for node in model.graph.node:
        node.output[:] = ["decision" if name == "scores" else name for name in node.output]
    model.graph.initializer.append(
        numpy_helper.from_array(np.array(offset, dtype=np.float32), "offset")
    )
    model.graph.node.extend(
        [
            helper.make_node("Add", ["decision", "offset"], ["likeness"]),
            helper.make_node("Neg", ["likeness"], ["scores"]),
        ]
    )


def _name_outputs(model: Any, task: Task) -> None:
    """Call the answers what the task calls them, where the converter has a name of its own."""
    names = [value.name for value in model.graph.output]
    if task.output not in names and len(names) == 1:
        rename(model, {names[0]: task.output})


def rename(model: Any, names: Mapping[str, str]) -> None:
    """Give tensors of a graph other names, wherever they stand."""
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def without_maps(model: Any) -> None:
    """Let a classifier give its probabilities as a tensor instead of a list of maps."""
    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        (tensor,), (maps,) = node.input, node.output
        graph.node.remove(node)
        (declared,) = (value for value in graph.output if value.name == maps)
        graph.output.remove(declared)
        graph.output.append(
            helper.make_tensor_value_info(maps, onnx.TensorProto.FLOAT, [None, None])
        )
        rename(model, {tensor: maps})


def _floor_thresholds(estimator: Any) -> None:
    """Round histogram boosting's thresholds down to float32, in place.

    For a float32 number x and any t, x <= t exactly when x <= the largest float32 up to t. The
    converter rounds to the nearest, which sends a value that equals it the other way.
    """
    for stage in getattr(estimator, "_predictors", ()):
        for tree in stage:
            tree.nodes["num_threshold"] = _float32_below(tree.nodes["num_threshold"])


def _floored(booster: Any) -> Any:
    """Return LightGBM's trees with thresholds rounded down to float32; see `_floor_thresholds`."""
    lines = []
    for line in booster.model_to_string(num_iteration=-1).split("\n"):
        name, _, values = line.partition("=")
        if name == "threshold":
            line = "threshold=" + " ".join(map(repr, _float32_below(values.split()).tolist()))
        # The sizes of the trees' texts are no longer those; without them they are read in turn.
        if name != "tree_sizes":
            lines.append(line)
    return type(booster)(model_str="\n".join(lines))


def _float32_below(numbers: Any) -> NDArray[np.float64]:
    """Return the largest float32 numbers up to some float64 ones."""
    exact = np.asarray(numbers, dtype=np.float64)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > exact, below, nearest).astype(np.float64)


def name_by_place(model: Any) -> None:
    """Give each inner tensor and operator a name by its place, in the graph and its subgraphs.

    The converter draws some names from memory addresses, which differ between two runs, and
    lists operator sets in the order of a set of strings.
    """
    operators = sorted(model.opset_import, key=lambda item: str(item.domain))
    del model.opset_import[:]
    model.opset_import.extend(operators)
    kept = {value.name for value in (*model.graph.input, *model.graph.output)} | {""}
    names: dict[str, str] = {name: name for name in kept}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}")

    def visit(graph: Any) -> None:
        for value in (*graph.input, *graph.initializer, *graph.output, *graph.value_info):
            value.name = renamed(value.name)
        for number, node in enumerate(graph.node):
            node.name = f"{node.op_type}{number}"
            node.input[:] = [renamed(name) for name in node.input]
            node.output[:] = [renamed(name) for name in node.output]
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    attribute.g.name = f"{node.op_type}{number}"
                    visit(attribute.g)

    visit(model.graph)
