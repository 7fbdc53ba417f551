"""What every model of the zoo must do, whatever its task; networks have their own tests besides."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.export import export
from lepton_ai.ml.fitting import Fitted, fit
from lepton_ai.ml.gate import served_form
from lepton_ai.ml.parity import TOLERANCE, compare
from lepton_ai.ml.runtimes.runtime import FORMATS, dump_native, load_runtime
from lepton_ai.ml.task import CLASSIFICATION, CLUSTERING, DETECTION, REGRESSION, TASKS, Task

ROWS = 200
# Enough to be wrong in, and quick.
SMALL: dict[str, dict[str, Any]] = {
    "random forest": {"n_estimators": 20},
    "extra trees": {"n_estimators": 20},
    "histogram gradient boosting": {"max_iter": 20},
    "lightgbm": {"n_estimators": 20},
    "catboost": {"iterations": 20},
    "isolation forest": {"n_estimators": 20},
    "dbscan": {"eps": 4.0},
    "hdbscan": {"min_cluster_size": 3, "min_samples": 2},
    "gaussian mixture": {"n_components": 3},
    "multilayer perceptron": {"max_iter": 60, "hidden_layer_sizes": (16,)},
}
MEMBERS = [
    pytest.param(task, entry, id=f"{entry.name}-{task.name}")
    for task in TASKS.values()
    for entry in zoo.entries(task.name).values()
    if entry.extra != "deep"
]


@cache
def rows_of(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Standardised float32 features, and the target."""
    load = load_diabetes if task is REGRESSION else load_breast_cancer
    matrix, target = load(return_X_y=True)
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    return matrix.astype(np.float32).astype(np.float64)[: 2 * ROWS], target[: 2 * ROWS]


@cache
def fitted(task: Task, name: str, seed: int = 0) -> Fitted:
    """Fitted to every other row."""
    matrix, target = rows_of(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(
            zoo.find(name, task.name),
            matrix[::2],
            target[::2] if task.labelled else None,
            seed=seed,
            parameters=SMALL.get(name, {}),
            task=task,
        )


@pytest.mark.parametrize(("task", "entry"), MEMBERS)
def test_answers_have_the_form_of_the_task(task: Task, entry: zoo.Entry) -> None:
    matrix, _ = rows_of(task)
    estimator = fitted(task, entry.name).estimator
    answers = task.answers(estimator, matrix)
    assert answers.shape[0] == len(matrix)
    assert np.isfinite(answers).all()
    assert task.answers(estimator, matrix[:1]) == pytest.approx(answers[:1], abs=1e-9)
    if task in (CLASSIFICATION, CLUSTERING):
        assert answers.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert answers.min() >= 0
    else:
        assert answers.shape[1] == 1


@pytest.mark.parametrize(("task", "entry"), MEMBERS)
def test_what_is_served_answers_as_what_was_trained(task: Task, entry: zoo.Entry) -> None:
    matrix, _ = rows_of(task)
    form, reason, parity, data = served_form(
        task, entry, fitted(task, entry.name), matrix[::2], matrix[1::2]
    )
    served = load_runtime(form, data, task).run(matrix)
    expected = task.answers(fitted(task, entry.name).estimator, matrix)
    scale = 1 if task in (CLASSIFICATION, CLUSTERING) else expected.std()
    assert np.abs(served - expected).max() <= TOLERANCE * scale
    assert (form == "onnx") == (reason == "") == (parity is not None and parity.passed)


# These have no faithful ONNX form; the reasons stand in docs/models.md.
NATIVE = {"gaussian process", "persistence", "seasonal naive", "historical average"}


@pytest.mark.parametrize(("task", "entry"), MEMBERS)
def test_all_but_a_few_are_served_as_onnx(task: Task, entry: zoo.Entry) -> None:
    matrix, _ = rows_of(task)
    form, *_ = served_form(task, entry, fitted(task, entry.name), matrix[::2], matrix[1::2])
    assert form == "onnx" or entry.name in NATIVE


@pytest.mark.parametrize(("task", "entry"), MEMBERS)
def test_the_native_form_keeps_every_answer(task: Task, entry: zoo.Entry) -> None:
    matrix, _ = rows_of(task)
    estimator = fitted(task, entry.name).estimator
    data = dump_native(entry.native, estimator)
    back = load_runtime(entry.native, data, task, trusted=True)
    assert back.run(matrix) == pytest.approx(task.answers(estimator, matrix), abs=1e-12)
    assert FORMATS[entry.native].file.startswith("model.")
    with pytest.raises(InvalidInput, match="features a row"):
        back.run(matrix[:, 1:])


@pytest.mark.parametrize(("task", "entry"), MEMBERS)
def test_the_same_seed_gives_the_same_bytes(task: Task, entry: zoo.Entry) -> None:
    matrix, _ = rows_of(task)
    # Not from the cache: some estimators count how often they were asked.
    first, again = (fitted.__wrapped__(task, entry.name).estimator for _ in range(2))
    assert dump_native(entry.native, first) == dump_native(entry.native, again)
    if entry.name not in NATIVE:
        forms = [export(each, matrix.shape[1], task) for each in (first, again)]
        assert forms[0] == forms[1]


# The bins of categorical Bayes follow the weights, so that its answers may go either way.
UNWEIGHED = ("k-nearest", "gaussian process", "categorical naive bayes")
WEIGHED = [
    pytest.param(task, entry, id=f"{entry.name}-{task.name}")
    for task in (CLASSIFICATION, REGRESSION)
    for entry in zoo.entries(task.name).values()
    if entry.extra != "deep"
    and entry.name not in UNWEIGHED
    # Sixty steps bring a perceptron nowhere near targets of hundreds.
    and (entry.name, task) != ("multilayer perceptron", REGRESSION)
]


@pytest.mark.parametrize(("task", "entry"), WEIGHED)
def test_weights_are_heard(task: Task, entry: zoo.Entry) -> None:
    matrix, target = rows_of(task)
    high = target > np.median(target) if task is REGRESSION else target == 1
    shifts = []
    for weight in (0.2, 5.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fit(
                entry,
                matrix,
                target,
                seed=0,
                parameters=SMALL.get(entry.name, {}),
                task=task,
                weights=np.where(high, weight, 1.0),
            )
        shifts.append(task.answers(found.estimator, matrix)[:, -1].mean())
    assert shifts[1] > shifts[0] - 1e-6


def test_what_cannot_weigh_rows_says_so() -> None:
    matrix, target = rows_of(CLASSIFICATION)
    with pytest.raises(InvalidInput, match="k-nearest cannot weigh rows"):
        fit(zoo.find("knn"), matrix, target, seed=0, parameters={}, weights=np.ones(len(matrix)))


@pytest.mark.parametrize("name", zoo.entries("detection"))
def test_a_far_row_is_stranger_than_all(name: str) -> None:
    if zoo.find(name, "detection").extra == "deep":
        pytest.importorskip("torch")
    matrix, _ = rows_of(DETECTION)
    estimator = fitted(DETECTION, name).estimator
    usual = DETECTION.answers(estimator, matrix[::2])[:, 0]
    far = DETECTION.answers(estimator, np.full((1, matrix.shape[1]), 25.0))[0, 0]
    assert far >= usual.max() - 1e-9


def test_compare_reads_a_candidate_that_is_wrong() -> None:
    matrix, _ = rows_of(REGRESSION)
    estimator = fitted(REGRESSION, "ridge").estimator

    class Off:
        def __init__(self, shift: float) -> None:
            self.shift = shift

        def run(self, rows: np.ndarray) -> np.ndarray:
            return REGRESSION.answers(estimator, rows) + self.shift

    spread = Off(0).run(matrix).std()
    assert compare(Off(0), Off(spread * 5e-5), [matrix], shares=False).passed
    refused = compare(Off(0), Off(spread * 5e-4), [matrix], shares=False)
    assert not refused.passed
    assert "in standard deviations" in str(refused)
