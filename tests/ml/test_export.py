import hashlib
import subprocess
import sys

import numpy as np
import onnx
import pytest

from lepton_ai.ml import fitting, zoo
from lepton_ai.ml.export import NotExportable, export
from lepton_ai.ml.runtimes.onnx import OnnxRuntime

from .fitted import CLASSICAL, SETS, fitted


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("name", CLASSICAL)
def test_the_exported_model_answers_as_the_trained_one(name: str, data: str) -> None:
    estimator, matrix = fitted(name, data)
    probabilities = OnnxRuntime(export(estimator, matrix.shape[1])).run(matrix)
    assert probabilities.dtype == np.float64
    assert np.abs(probabilities - estimator.predict_proba(matrix)).max() < 1e-5


def digests() -> str:
    """The digest of each exported model, a line each."""
    lines = []
    for name in sorted(CLASSICAL):
        estimator, matrix = fitted(name, "three classes")
        lines.append(f"{name} {hashlib.sha256(export(estimator, matrix.shape[1])).hexdigest()}")
    return "\n".join(lines)


def test_another_process_exports_the_same_bytes() -> None:
    program = "from tests.ml.test_export import digests; print(digests())"
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3"},
    )
    assert outcome.stdout.strip().split("\n") == digests().split("\n")


def test_the_graph_is_named_by_place_and_valid() -> None:
    estimator, matrix = fitted("k-nearest", "two classes")
    model = onnx.load_from_string(export(estimator, matrix.shape[1]))
    onnx.checker.check_model(model)
    assert model.graph.name == "classifier"
    assert [value.name for value in model.graph.input] == ["X"]
    assert [value.name for value in model.graph.output] == ["label", "probabilities"]
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)


def test_what_has_no_converter_says_so() -> None:
    class Odd:
        pass

    with pytest.raises(NotExportable, match="Odd has no ONNX form"):
        export(Odd(), 3)


def test_boosting_keeps_its_answers_on_values_that_are_thresholds() -> None:
    # Splits fall halfway between neighbours, and these halves occur as values: 2.44 lies between
    # 2.43 and 2.45. Rounded to the nearest float32, a threshold passes some of them.
    rng = np.random.default_rng(0)
    decimals = (rng.integers(0, 400, (3000, 4)) / 100).astype(np.float32).astype(np.float64)
    codes = ((decimals * 100).sum(axis=1) % 97 > 48).astype(np.int64)
    odd = (decimals[:, 0] * 100).round() % 2 == 1
    fit = fitting.fit(zoo.find("hgb"), decimals[odd], codes[odd], seed=0, parameters={})
    before = fit.estimator.predict_proba(decimals)
    exported = OnnxRuntime(export(fit.estimator, 4))
    assert np.abs(exported.run(decimals) - before).max() < 1e-5
    assert (fit.estimator.predict_proba(decimals) == before).all()
