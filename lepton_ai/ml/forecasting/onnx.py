"""The ridge forecast as an ONNX graph; numbers of the calendar stay whole in float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lepton_ai.ml.forecasting.layout import Layout

__all__ = ["ridge_graph"]

_OPERATORS, _FORMAT = 18, 9
_WEEK, _FRIDAY = 7, 4

Matrix = NDArray[np.float64]


class _Graph:
    """Nodes and constants, added one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node, and return the name of what it gives; arrays become constants."""
        given = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, given, [output], **attributes))
        return output

    def part(self, tensor: str, axis: int, first: int, last: int) -> str:
        """Add a slice along one axis."""
        ends = [np.array([number]) for number in (first, last, axis)]
        return self.add("Slice", tensor, *ends)

    def _constant(self, values: Any) -> str:
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def ridge_graph(
    layout: Layout, horizon: int, profile: Matrix, coefficients: Matrix, intercepts: Matrix
) -> bytes:
    """Return the graph of a ridge forecast: ``X`` (rows, features) in, ``values`` out.

    Args:
        layout: of a row of features.
        horizon: steps that a forecast gives.
        profile: average of each place (2 * season, series), or (1, series) without a season.
        coefficients: (horizon, 2 * steps + 1) of history, of what it usually is, and of what
            usually follows.
        intercepts: (horizon,).
    """
    steps, series = layout.steps, layout.series
    graph = _Graph()
    folded = graph.add("Reshape", "X", np.array([0, steps, -1]))
    # From here on one line a series: (rows, series, ...).
    history = graph.add("Transpose", graph.part(folded, 2, 0, series), perm=[0, 2, 1])
    of_history, of_usual = coefficients[:, :steps].T, coefficients[:, steps:-1].T
    forecast = graph.add("MatMul", history, of_history)
    if layout.season is None:
        usual = of_usual.sum(axis=0) + coefficients[:, -1]
        rest: Any = profile[0][:, np.newaxis] * usual + intercepts
        forecast = graph.add("Add", forecast, rest)
    else:
        calendar = graph.part(graph.part(folded, 1, steps - 1, steps), 2, series, series + 2)
        place = _places(graph, calendar, layout.season, np.arange(1 - steps, horizon + 1))
        course = graph.add("Transpose", graph.add("Gather", profile, place, axis=0), perm=[0, 2, 1])
        was = graph.add("MatMul", graph.part(course, 2, 0, steps), of_usual)
        coming = graph.part(course, 2, steps, steps + horizon)
        follows = graph.add("Mul", coming, coefficients[:, -1])
        for each in (was, follows, intercepts):
            forecast = graph.add("Add", forecast, each)
    flat = graph.add("Transpose", forecast, perm=[0, 2, 1])
    graph.add("Reshape", flat, np.array([0, horizon * series]), name="values")
    made = helper.make_graph(
        graph.nodes,
        "forecaster",
        [_declared("X", steps * (series + (0 if layout.season is None else 2)))],
        [_declared("values", horizon * series)],
        graph.constants,
    )
    operators = [helper.make_opsetid("", _OPERATORS)]
    model = helper.make_model(made, opset_imports=operators, ir_version=_FORMAT)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _places(graph: _Graph, calendar: str, season: int, ahead: NDArray[np.int64]) -> str:
    """Add what `lepton_ai.ml.forecasting.profile.places` computes: (rows, ahead)."""
    both = graph.add("Reshape", calendar, np.array([0, 2]))
    share, weekday = graph.part(both, 1, 0, 1), graph.part(both, 1, 1, 2)
    at = graph.add("Round", graph.add("Mul", share, np.array(float(season))))
    slot = graph.add("Add", at, ahead.astype(np.float64))
    passed, within = _divided(graph, slot, season)
    day = graph.add("Add", graph.add("Round", weekday), passed)
    _, of_week = _divided(graph, day, _WEEK)
    beyond = graph.add("Sub", of_week, np.array(float(_FRIDAY)))
    weekend = graph.add("Clip", beyond, np.array(0.0), np.array(1.0))
    place = graph.add("Add", graph.add("Mul", weekend, np.array(float(season))), within)
    return graph.add("Cast", place, to=TensorProto.INT64)


def _divided(graph: _Graph, numbers: str, by: int) -> tuple[str, str]:
    """Add a division of whole numbers, rounded down; return quotient and rest."""
    divisor = np.array(float(by))
    quotient = graph.add("Floor", graph.add("Div", numbers, divisor))
    return quotient, graph.add("Sub", numbers, graph.add("Mul", quotient, divisor))


def _declared(name: str, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
