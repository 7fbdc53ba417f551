import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skops.io
from onnx import TensorProto, helper, numpy_helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.ml.export import export
from lepton_ai.ml.runtimes import onnx as onnx_runtime
from lepton_ai.ml.runtimes import skops as skops_runtime
from lepton_ai.ml.runtimes.runtime import Refused, load_runtime

from .fitted import CLASSICAL, SETS, fitted


def logistic() -> tuple[bytes, np.ndarray]:
    estimator, matrix = fitted("logistic regression", "two classes")
    return export(estimator, matrix.shape[1]), matrix


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("name", CLASSICAL)
def test_skops_keeps_a_model_to_the_last_bit(name: str, data: str) -> None:
    estimator, matrix = fitted(name, data)
    written = skops_runtime.dumps(estimator)
    assert skops_runtime.dumps(estimator) == written
    runtime = load_runtime("skops", written)
    assert (runtime.run(matrix) == estimator.predict_proba(matrix)).all()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("k-nearest", {"algorithm": "ball_tree", "p": 1}),
        ("k-nearest", {"algorithm": "kd_tree", "p": 3}),
        ("k-nearest", {"algorithm": "kd_tree", "metric": "chebyshev"}),
        ("multilayer perceptron", {"solver": "sgd", "early_stopping": True}),
        ("multilayer perceptron", {"solver": "lbfgs"}),
        ("histogram gradient boosting", {"max_iter": 5}),
        ("random forest", {"n_estimators": 3, "class_weight": "balanced"}),
        ("svm", {"kernel": "poly"}),
    ],
)
def test_skops_keeps_the_variants_of_a_model(name: str, parameters: dict[str, Any]) -> None:
    estimator, matrix = fitted(name, "three classes", **parameters)
    runtime = load_runtime("skops", skops_runtime.dumps(estimator))
    assert (runtime.run(matrix) == estimator.predict_proba(matrix)).all()


def test_a_type_off_the_list_is_neither_written_nor_read() -> None:
    matrix, codes = np.eye(4), np.array([0, 1, 0, 1])
    isotonic = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2)
    isotonic.fit(matrix, codes)
    with pytest.raises(Refused, match="IsotonicRegression"):
        skops_runtime.dumps(isotonic)
    with pytest.raises(Refused, match="IsotonicRegression"):
        load_runtime("skops", skops.io.dumps(isotonic))


def test_functions_that_skops_would_trust_are_refused() -> None:
    written = skops.io.dumps(FunctionTransformer(np.exp))
    assert skops.io.get_untrusted_types(data=written) == []
    with pytest.raises(Refused, match="FunctionTransformer"):
        load_runtime("skops", written)


def test_a_loader_that_calls_functions_is_refused() -> None:
    estimator, _ = fitted("logistic regression", "two classes")
    source = zipfile.ZipFile(io.BytesIO(skops_runtime.dumps(estimator)))
    schema = json.loads(source.read("schema.json"))
    schema["content"]["content"]["C"] = {
        "__class__": "dict", "__module__": "builtins", "__loader__": "OperatorFuncNode",
        "attrs": {}, "__id__": 1,
    }  # fmt: skip
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    with pytest.raises(Refused, match="OperatorFuncNode"):
        load_runtime("skops", target.getvalue())


def test_a_skops_file_that_unpacks_to_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    estimator, _ = fitted("logistic regression", "two classes")
    written = skops_runtime.dumps(estimator)
    monkeypatch.setattr(skops_runtime, "_MOST_BYTES", 100)
    with pytest.raises(Refused, match="at most 100"):
        load_runtime("skops", written)


@pytest.mark.parametrize("model_format", ["onnx", "skops"])
@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"PK\x03\x04 nonsense", b"\x08" * 40])
def test_bytes_that_are_no_model_are_corrupt(model_format: str, data: bytes) -> None:
    with pytest.raises(Corrupt):
        load_runtime(model_format, data)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(Refused, match="'pickle' cannot be loaded; known: onnx, skops"):
        load_runtime("pickle", b"")


def test_onnx_needs_the_right_number_of_features() -> None:
    data, matrix = logistic()
    runtime = load_runtime("onnx", data)
    with pytest.raises(InvalidInput, match="takes 30 features"):
        runtime.run(matrix[:, :29])
    with pytest.raises(InvalidInput, match="takes 30 features"):
        load_runtime("skops", skops_runtime.dumps(fitted("lr", "two classes")[0])).run(matrix[0])


def model_of(*nodes: Any, tensors: Any = (), functions: Any = (), domain: str = "") -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        list(tensors),
    )
    opsets = [helper.make_opsetid("", 18)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    made.ir_version = 9
    return made.SerializeToString()


ADD = helper.make_node("Add", ["X", "w"], ["probabilities"])


def external(location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(2, dtype=np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def test_a_plain_graph_loads() -> None:
    inner = numpy_helper.from_array(np.ones(2, dtype=np.float32), "w")
    assert load_runtime("onnx", model_of(ADD, tensors=[inner])).run(np.zeros((1, 2))).sum() == 2


@pytest.mark.parametrize("location", ["/etc/passwd", "../../keys.json", "weights.bin"])
def test_a_graph_that_reaches_for_files_is_refused(location: str) -> None:
    with pytest.raises(Refused, match="external file"):
        load_runtime("onnx", model_of(ADD, tensors=[external(location)]))


def test_external_files_in_attributes_and_subgraphs_are_found() -> None:
    constant = helper.make_node("Constant", [], ["w"], value=external("/etc/passwd"))
    with pytest.raises(Refused, match="external file"):
        load_runtime("onnx", model_of(constant, ADD))
    branch = helper.make_graph([], "inner", [], [], [external("/etc/passwd")])
    choice = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
    with pytest.raises(Refused, match="external file"):
        load_runtime("onnx", model_of(choice, ADD))


def test_foreign_operators_and_functions_are_refused() -> None:
    with pytest.raises(Refused, match="outside the standard"):
        load_runtime("onnx", model_of(ADD, domain="com.example"))
    function = helper.make_function("", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)])
    with pytest.raises(Refused, match="outside the standard"):
        load_runtime("onnx", model_of(ADD, functions=[function]))


def test_the_size_of_a_graph_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, matrix = fitted("k-nearest", "two classes")
    data = export(estimator, matrix.shape[1])
    monkeypatch.setattr(onnx_runtime, "_MOST_NODES", 1)
    with pytest.raises(Refused, match="more than 1 operators"):
        load_runtime("onnx", data)
    monkeypatch.setattr(onnx_runtime, "_MOST_BYTES", 10)
    with pytest.raises(Refused, match="at most 10"):
        load_runtime("onnx", data)
    huge = onnx.TensorProto(name="w", data_type=1, dims=[2**20, 2**20])
    monkeypatch.undo()
    with pytest.raises(Refused, match="too large"):
        load_runtime("onnx", model_of(ADD, tensors=[huge]))


def test_a_graph_without_probabilities_is_refused() -> None:
    graph = onnx.load_from_string(model_of(helper.make_node("Abs", ["X"], ["probabilities"])))
    graph.graph.node[0].output[0] = graph.graph.output[0].name = "y"
    with pytest.raises(Refused, match="'probabilities'"):
        load_runtime("onnx", graph.SerializeToString())


def test_many_rows_are_answered_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    data, matrix = logistic()
    runtime = load_runtime("onnx", data)
    whole = runtime.run(matrix)
    monkeypatch.setattr(onnx_runtime, "_BLOCK", 100)
    assert (runtime.run(matrix) == whole).all()
    assert runtime.run(matrix[:0]).shape == (0, 2)


def test_onnx_runtime_keeps_no_device_id_and_reports_to_nobody(tmp_path: Path) -> None:
    data, _ = logistic()
    (tmp_path / "model.onnx").write_bytes(data)
    program = (
        "import os, sys; from lepton_ai.ml.runtimes.onnx import OnnxRuntime\n"
        "OnnxRuntime(open(sys.argv[1], 'rb').read())\n"
        "threads = sorted(os.listdir('/proc/self/task')) if sys.platform == 'linux' else []\n"
        "assert len(threads) <= int(sys.argv[2]), threads"
    )
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
    clean = {name: text for name, text in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    # Its telemetry would run in a thread and keep an id and its reports in files.
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model.onnx"), "1"],
        env=clean | places | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    assert [*home.rglob("*")] == []
