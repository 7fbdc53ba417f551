"""Operators that an ONNX model may be made of, and how large the answers of some may grow.

Found by exporting every member of the zoo; a test holds the list to it. None of them loops without
end, draws random numbers, reads text or reaches outside the graph.
"""

import math
from collections.abc import Iterator
from typing import Any

from onnx import numpy_helper

from lepton_ai.ml.runtimes.runtime import Refused

__all__ = ["check_operators"]

_LEARNERS = {
    "ArrayFeatureExtractor", "LabelEncoder", "LinearClassifier", "LinearRegressor", "Normalizer",
    "SVMClassifier", "SVMRegressor", "Scaler", "TreeEnsembleClassifier", "TreeEnsembleRegressor",
}  # fmt: skip
_ARITHMETIC = {
    "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Div", "Equal", "Erf", "Exp",
    "Floor", "Greater", "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "Less", "LessOrEqual",
    "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Round",
    "Sign", "Sin", "Sqrt", "Sub", "Sum", "Tanh", "Where", "Xor",
}  # fmt: skip
_SHAPES = {
    "Concat", "Constant", "Flatten", "Gather", "GatherElements", "GatherND", "Reshape",
    "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
_REDUCTIONS = {
    "ArgMax", "ArgMin", "CumSum", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "TopK",
}  # fmt: skip
_LAYERS = {
    "AveragePool", "BatchNormalization", "Conv", "Dropout", "Einsum", "Elu", "GRU", "Gelu", "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish",
    "InstanceNormalization", "LSTM", "LayerNormalization", "LeakyRelu", "LogSoftmax", "MatMul",
    "MaxPool", "PRelu", "RNN", "Relu", "Scan", "Selu", "Sigmoid", "Softmax", "Softplus", "Trilu",
}  # fmt: skip
# What makes more of less, and which input says how much.
_SIZED = {"ConstantOfShape": 0, "Expand": 1, "OneHot": 1, "Pad": 1, "Tile": 1, "If": 0}

_ALLOWED = {
    "": _ARITHMETIC | _SHAPES | _REDUCTIONS | _LAYERS | _SIZED.keys(),
    "ai.onnx.ml": _LEARNERS,
}
# A size may be taken from the shape of the rows, and put together with plain numbers.
_OF_SIZES = _SHAPES | {"Cast", "Identity"}
_LARGEST = 2**24


def check_operators(graph: Any) -> None:
    """Refuse a graph with any other operator, or one that makes a large answer of a few bytes.

    Args:
        graph: of the model or of one of its operators, without those inside it.

    Raises:
        Refused: the message names the operator.
    """
    for node in graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if node.op_type not in _ALLOWED.get(domain, ()):
            raise Refused(
                f"the ONNX model uses {node.domain or 'ai.onnx'}.{node.op_type}, an operator "
                "outside the standard's that models are made of"
            )
    made = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        place = _SIZED.get(node.op_type)
        if place is not None and place < len(node.input):
            for size in _sizes(node.input[place], made, constants, set()):
                if size > _LARGEST:
                    raise Refused(f"the ONNX operator {node.op_type} makes {size} values")


def _sizes(
    name: str, made: dict[str, Any], constants: dict[str, Any], seen: set[str]
) -> Iterator[int]:
    """Yield the products of the plain numbers that a size is put together of."""
    if name in seen:
        return
    seen.add(name)
    if name in constants:
        yield _product(constants[name])
    elif name in made:
        node = made[name]
        if node.op_type == "Shape":
            return
        if node.op_type not in _OF_SIZES:
            raise Refused(f"an ONNX {node.op_type} calculates the size of an answer")
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield _product(attribute.t)
            yield math.prod(abs(number) for number in attribute.ints)
        for given in node.input:
            yield from _sizes(given, made, constants, seen)


def _product(tensor: Any) -> int:
    """Return the product of a small constant's numbers; a large one is no size."""
    if math.prod(tensor.dims) > 64:
        return 0
    return math.prod(abs(int(number)) or 1 for number in numpy_helper.to_array(tensor).ravel())
