"""Trees: read from every format as they answer, and exact against all coalitions of columns."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.tree import DecisionTreeRegressor

from lepton_ai.ml import fitting, zoo
from lepton_ai.ml.explanation.forest import Forest, forest_of, of_estimator
from lepton_ai.ml.explanation.shapley import exact
from lepton_ai.ml.explanation.tree_shapley import paths_of, tree_shapley
from lepton_ai.ml.export import export
from lepton_ai.ml.runtimes.runtime import dump_native, load_runtime
from lepton_ai.ml.task import CLASSIFICATION, DETECTION, REGRESSION, Task

from .conftest import SMALL

FAMILIES = (
    "decision tree",
    "random forest",
    "extra trees",
    "histogram gradient boosting",
    "lightgbm",
    "catboost",
)
SETS: dict[str, tuple[Any, Task]] = {
    "two classes": (load_breast_cancer, CLASSIFICATION),
    "three classes": (load_wine, CLASSIFICATION),
    "values": (load_diabetes, REGRESSION),
}


@cache
def grown(name: str, data: str) -> tuple[Any, np.ndarray, Task]:
    load, task = SETS[data]
    matrix, target = load(return_X_y=True)
    # Ten features, as float32 numbers: all 1024 coalitions can be looked at.
    matrix = matrix[:, :10].astype(np.float32).astype(np.float64)
    found = fitting.fit(
        zoo.find(name, task.name), matrix, target, task=task, seed=0,
        parameters=SMALL.get(name, {}),
    )  # fmt: skip
    return found.estimator, matrix, task


def answers(forest: Forest, scores: np.ndarray) -> np.ndarray:
    if forest.link == "logit":
        second = 1 / (1 + np.exp(-scores))
        return np.hstack([1 - second, second])
    if forest.link == "softmax":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    if forest.link == "probability" and scores.shape[1] == 1:
        return np.hstack([1 - scores, scores])
    return scores


def forms(name: str, data: str) -> list[tuple[str, bytes]]:
    estimator, matrix, task = grown(name, data)
    native = zoo.find(name, task.name).native
    return [
        ("onnx", export(estimator, matrix.shape[1], task)),
        (native, dump_native(native, estimator)),
    ]


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_forest_answers_as_the_form_it_was_read_from(name: str, data: str) -> None:
    _, matrix, task = grown(name, data)
    for form, content in forms(name, data):
        forest = forest_of(form, content, task)
        assert forest is not None, form
        expected = load_runtime(form, content, task).run(matrix)
        given = answers(forest, forest.scores(matrix))
        assert given == pytest.approx(expected, rel=1e-6, abs=1e-6), form


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("name", FAMILIES)
def test_values_are_those_of_all_coalitions_of_ten_features(name: str, data: str) -> None:
    estimator, matrix, task = grown(name, data)
    forest = forest_of("onnx", export(estimator, 10, task), task)
    assert forest is not None
    background = matrix[5::90]
    weights = np.random.default_rng(0).dirichlet(np.ones(len(background)))
    row = matrix[1]

    def game(masks: np.ndarray) -> np.ndarray:
        mixed = np.where(masks[:, None, :], row, background).reshape(-1, 10)
        given = forest.scores(mixed).reshape(len(masks), len(background), -1)
        return np.einsum("b,cbs->cs", weights, given)

    portions = paths_of(forest, np.arange(10))
    assert portions is not None
    base, values = tree_shapley(forest, portions, row[None], background, weights, 10)
    expected = exact(game, 10)
    scale = np.abs(expected.values).max()
    assert values[0] == pytest.approx(expected.values, abs=1e-12 * max(1, scale))
    assert base == pytest.approx(expected.base)
    assert base + values[0].sum(axis=0) == pytest.approx(forest.scores(row[None])[0])


def test_groups_of_features_are_players_of_their_own() -> None:
    estimator, matrix, task = grown("random forest", "two classes")
    forest = forest_of("onnx", export(estimator, 10, task), task)
    assert forest is not None
    owner = np.array([0, 1, 1, 2, 2, 2, 3, 3, 0, 4])
    background, row = matrix[::80], matrix[3]
    weights = np.full(len(background), 1 / len(background))

    def game(masks: np.ndarray) -> np.ndarray:
        mixed = np.where(masks[:, owner][:, None, :], row, background).reshape(-1, 10)
        return forest.scores(mixed).reshape(len(masks), len(background), -1).mean(axis=1)

    portions = paths_of(forest, owner)
    assert portions is not None
    _, values = tree_shapley(forest, portions, row[None], background, weights, 5)
    assert values[0] == pytest.approx(exact(game, 5).values, abs=1e-12)


def test_one_split_by_hand() -> None:
    # x0 <= 0.5 gives 1, above it 5; x1 is never asked about.
    tree = DecisionTreeRegressor(max_depth=1).fit([[0.0, 3.0], [1.0, 3.0]], [1.0, 5.0])
    forest = of_estimator(tree)
    assert forest is not None
    portions = paths_of(forest, np.array([0, 1]))
    assert portions is not None
    background = np.array([[0.0, 9.0], [1.0, 9.0]])
    base, values = tree_shapley(
        forest, portions, np.array([[1.0, 3.0]]), background, np.array([0.75, 0.25]), 2
    )
    assert base == pytest.approx([0.75 * 1 + 0.25 * 5])
    assert values[0][:, 0] == pytest.approx([3.0, 0.0])


def test_what_is_no_sum_of_trees_has_no_forest() -> None:
    _, matrix, _ = grown("decision tree", "values")
    svm = fitting.fit(
        zoo.find("svm", "regression"), matrix[:50], load_diabetes().target[:50], task=REGRESSION,
        seed=0, parameters={},
    )  # fmt: skip
    assert forest_of("onnx", export(svm.estimator, 10, REGRESSION), REGRESSION) is None
    assert forest_of("safetensors", b"", REGRESSION) is None
    isolating = fitting.fit(
        zoo.find("isolation forest", "detection"), matrix, None, seed=0,
        parameters={"n_estimators": 5}, task=DETECTION,
    )  # fmt: skip
    assert of_estimator(isolating.estimator) is None
