"""Rules: a decision tree in words, as a whole and for one row."""

import numpy as np
from numpy.typing import NDArray

from lepton_ai.data.encoders import Boolean, Category
from lepton_ai.ml.explanation.explanation import PathStep
from lepton_ai.ml.explanation.forest import Forest
from lepton_ai.ml.explanation.space import unscaled
from lepton_ai.ml.preparation import Preparation

__all__ = ["path_steps", "tree_rules"]

_MOST_LEAVES = 200


def path_steps(
    forest: Forest, features: NDArray[np.float64], preparation: Preparation
) -> tuple[PathStep, ...]:
    """Return the questions that one row (features,) is asked by the first tree, and its answers."""
    *passed, _ = forest.path(features)
    steps = []
    for node, low in passed:
        feature = int(forest.feature[node])
        shown = unscaled(preparation, feature, float(features[feature]))
        steps.append(PathStep(_rule(forest, preparation, node, low), shown))
    return tuple(steps)


def tree_rules(forest: Forest, preparation: Preparation, answers: tuple[str, ...]) -> list[str]:
    """Return the first tree as lines, each with the bars of its depth.

    Args:
        forest: of one tree.
        preparation: that names its features.
        answers: the names of its answers; of two classes with one score both.
    """
    lines: list[str] = []
    ahead = [(int(forest.roots[0]), 0, "")]
    leaves = 0
    while ahead:
        node, depth, rule = ahead.pop()
        bars = "|   " * max(0, depth - 1)
        leaf = forest.feature[node] < 0
        said = f": {_answer(forest, node, answers)}" if leaf else ""
        if rule or said:
            lines.append(f"{bars}{'|-- ' if depth else ''}{rule}{said}")
        leaves += leaf
        if leaves >= _MOST_LEAVES:
            lines.append(f"... {int((forest.feature < 0).sum()) - leaves} more leaves")
            break
        if not leaf:
            for way, low in ((forest.high[node], False), (forest.low[node], True)):
                ahead.append((int(way), depth + 1, _rule(forest, preparation, node, low)))
    return lines


def _rule(forest: Forest, preparation: Preparation, node: int, low: bool) -> str:
    feature = int(forest.feature[node])
    name = preparation.feature_names[feature]
    threshold = unscaled(preparation, feature, float(forest.threshold[node]))
    if name in _indicators(preparation) and 0 <= threshold < 1:
        return f"not {name}" if low else name
    lower, higher = ("<=", ">") if forest.equal_low[node] else ("<", ">=")
    return f"{name} {lower if low else higher} {threshold:.6g}"


def _indicators(preparation: Preparation) -> set[str]:
    """Return the features that are 0 or 1."""
    columns = preparation.encoding.columns
    plain = [step for step in columns if isinstance(step, Category | Boolean)]
    names = {name for step in plain for name in step.features()}
    return names | {name for name in preparation.feature_names if name.startswith("missing(")}


def _answer(forest: Forest, node: int, answers: tuple[str, ...]) -> str:
    values = (forest.base + forest.values[node]).tolist()
    if forest.link == "probability" and len(values) == 1:
        values = [1 - values[0], values[0]]
    if len(values) == 1:
        return f"{values[0]:.6g}"
    return ", ".join(f"{name} {value:.3f}" for name, value in zip(answers, values, strict=True))
