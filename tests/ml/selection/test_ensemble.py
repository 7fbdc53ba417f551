from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.utils.estimator_checks import estimator_checks_generator

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.fitting import Fitted, fit
from lepton_ai.ml.gate import served_form
from lepton_ai.ml.runtimes.onnx import OnnxRuntime
from lepton_ai.ml.runtimes.runtime import Refused, dump_native, load_runtime
from lepton_ai.ml.selection.ensemble import EnsembleClassifier, EnsembleRegressor
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, Task
from lepton_ai.ml.zoo.constant import ConstantClassifier, ConstantRegressor

pytest.importorskip("lightgbm")
pytest.importorskip("catboost")

MEMBERS = [
    {"model": "logistic regression", "weight": 2},
    {"model": "svm", "weight": 1},
    {"model": "k-nearest", "parameters": {"n_neighbors": 9}, "weight": 1},
    {"model": "random forest", "parameters": {"n_estimators": 10}, "weight": 1},
    {"model": "lightgbm", "parameters": {"n_estimators": 10}, "weight": 1},
    {"model": "catboost", "parameters": {"iterations": 10}, "weight": 1},
    {"model": "multilayer perceptron", "parameters": {"early_stopping": True}, "weight": 1},
]
SETS = {"two": load_breast_cancer, "three": load_wine, "values": load_diabetes}


def fitted(data: str, members: list[dict[str, Any]]) -> tuple[Fitted, np.ndarray, Task]:
    matrix, target = SETS[data](return_X_y=True)
    task = REGRESSION if data == "values" else CLASSIFICATION
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    matrix = matrix.astype(np.float32).astype(np.float64)
    if task is REGRESSION:
        members = [m | {"model": m["model"].replace("logistic regression", "ridge")}
                   for m in members]  # fmt: skip
    entry = zoo.find("ensemble", task.name)
    found = fit(entry, matrix[::2], target[::2], seed=0, parameters={"members": members}, task=task)
    return found, matrix, task


@pytest.mark.parametrize("data", SETS)
def test_one_graph_holds_all_members_and_answers_as_they_do(data: str) -> None:
    found, matrix, task = fitted(data, MEMBERS)
    entry = zoo.find("ensemble", task.name)
    form, reason, parity, written = served_form(task, entry, found, matrix[::2], matrix[1::2])
    assert (form, reason) == ("onnx", "")
    assert parity is not None
    assert parity.passed
    members = found.estimator.estimators_
    alone = [task.answers(member, matrix) for member in members]
    expected = np.average(alone, axis=0, weights=[2, 1, 1, 1, 1, 1, 1])
    scale = 1 if task is CLASSIFICATION else expected.std()
    assert np.abs(OnnxRuntime(written, task).run(matrix) - expected).max() < 1e-4 * scale
    # Trees of three libraries, and no node that names a label.
    kinds = [node.op_type for node in onnx.load_from_string(written).graph.node]
    assert sum(kind.startswith("TreeEnsemble") for kind in kinds) == 3
    assert "Cast" not in kinds or task is not CLASSIFICATION or kinds.count("ZipMap") == 0


def test_members_without_a_graph_are_kept_in_their_own_formats() -> None:
    members = [{"model": "gaussian process"}, {"model": "naive bayes"}]
    found, matrix, task = fitted("two", members)
    entry = zoo.find("ensemble")
    form, reason, _, written = served_form(task, entry, found, matrix[::2], matrix[1::2])
    assert form == "ensemble"
    assert reason
    given = load_runtime(form, written, task).run(matrix)
    assert given == pytest.approx(task.answers(found.estimator, matrix), abs=1e-9)


def test_torch_networks_take_part() -> None:
    pytest.importorskip("torch")
    members = [
        {"model": "deep perceptron", "parameters": {"epochs": 2, "width": 8}},
        {"model": "logistic regression"},
    ]
    found, matrix, task = fitted("two", members)
    entry = zoo.find("ensemble")
    form, _, parity, _ = served_form(task, entry, found, matrix[::2], matrix[1::2])
    assert form == "onnx"
    assert parity is not None
    assert parity.passed


def test_the_same_members_give_the_same_bytes() -> None:
    one, again = (fitted("two", MEMBERS)[0].estimator for _ in range(2))
    assert one.to_onnx() == again.to_onnx()
    assert dump_native("ensemble", one) == dump_native("ensemble", again)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "weights above 0"),
        ([{"model": "knn", "weight": -1}], "weights above 0"),
        ([{"name": "knn"}], "a mapping with 'model'"),
        ([{"model": "ensemble"}], "cannot be a member"),
        ([{"model": "ridge"}], "is for regression"),
        ([{"model": "knn", "parameters": {"neighbours": 3}}], "n_neighbors"),
    ],
)
def test_wrong_members_say_what_is_wrong(members: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        fitted("two", members)


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x91\x93\x01\xa4onnx\xc4\x00", b"\xff" * 9])
def test_damaged_ensembles_are_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        load_runtime("ensemble", data)


def test_an_ensemble_within_an_ensemble_is_refused() -> None:
    import msgspec

    from lepton_ai.ml.selection.ensemble_runtime import Kept

    inner = msgspec.msgpack.encode([Kept(1.0, "ensemble", b"")])
    with pytest.raises(Refused, match="none of them an ensemble"):
        load_runtime("ensemble", inner)


CHECKED = [
    EnsembleClassifier(members=[{"model": "logistic regression"}, {"model": "decision tree"}]),
    EnsembleRegressor(members=[{"model": "ridge"}, {"model": "decision tree"}]),
    ConstantClassifier(),
    ConstantRegressor(),
]


def cases() -> Any:
    for estimator in CHECKED:
        for _, check in estimator_checks_generator(estimator, legacy=True):
            name = getattr(check, "func", check).__name__
            yield pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.parametrize(("estimator", "check"), [*cases()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)
