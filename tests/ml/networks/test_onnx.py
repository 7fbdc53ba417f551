import hashlib
import logging
import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from lepton_ai.ml.export import NotExportable
from lepton_ai.ml.networks.graph import Graph
from lepton_ai.ml.networks.onnx import export
from lepton_ai.ml.runtimes.onnx import OnnxRuntime
from lepton_ai.ml.task import TASKS

from .fitted import FAMILIES, exported, fitted


@pytest.mark.parametrize("name", FAMILIES)
def test_onnx_answers_as_the_network(name: str) -> None:
    estimator, features, task = fitted(name)
    runtime = OnnxRuntime(exported(name), TASKS[task])
    expected = TASKS[task].answers(estimator, features)
    for rows in (1, 2, len(features)):
        given = runtime.run(features[:rows])
        assert given.shape == expected[:rows].shape
        # Values are compared in units of their spread.
        assert np.abs(given - expected[:rows]).max() / max(1.0, expected.std()) < 1e-5


def test_many_rows_are_answered_in_blocks() -> None:
    estimator, features, task = fitted("image classifier")
    many = np.tile(features, (5000 // len(features) + 1, 1))
    given = OnnxRuntime(exported("image classifier"), TASKS[task]).run(many)
    assert np.abs(given - estimator.predict_proba(many)).max() < 1e-5


def test_the_bytes_tell_of_the_model_alone() -> None:
    data = exported("table classifier")
    model = onnx.load_from_string(data)
    assert [value.name for value in model.graph.input] == ["X"]
    assert [value.name for value in model.graph.output] == ["probabilities"]
    assert {item.domain for item in model.opset_import} == {""}
    assert not model.functions
    assert not model.metadata_props
    for trace in (b"site-packages", b".py", b"torch"):
        assert trace not in data


def test_another_process_exports_the_same_bytes() -> None:
    program = (
        "import hashlib; from tests.ml.networks.fitted import fitted;"
        "print(hashlib.sha256(fitted('table classifier')[0].to_onnx()).hexdigest())"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    data = exported("table classifier")
    assert outcome.stdout.strip() == hashlib.sha256(data).hexdigest()


class Unwritable(nn.Module):
    """A module whose branch depends on the data, which no graph can hold."""

    def forward(self, inputs: Any) -> Any:
        return inputs if float(inputs.sum()) > 0 else -inputs


def test_a_network_without_an_onnx_form_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    ones = torch.ones(3)
    graph = Graph([Unwritable()], (3,), "values", torch.zeros(3), ones, torch.zeros(3), ones)
    with caplog.at_level(logging.WARNING), pytest.raises(NotExportable, match="no ONNX form"):
        export(graph)
