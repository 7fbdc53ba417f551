"""The safetensors form, and what it refuses."""

import json
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.datasets import load_digits

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.tabular import PerceptronClassifier
from lepton_ai.ml.networks.weights import NETWORKS, WeightsRuntime, dumps, loads
from lepton_ai.ml.runtimes.runtime import Refused
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, TASKS

from .fitted import FAMILIES, fitted


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loaded_network_answers_as_the_fitted_one(name: str) -> None:
    estimator, features, task = fitted(name)
    data = dumps(estimator)
    assert data == dumps(estimator) == dumps(loads(data))
    runtime = WeightsRuntime(data, TASKS[task])
    expected = TASKS[task].answers(estimator, features)
    assert runtime.run(features) == pytest.approx(expected, abs=1e-6)
    assert runtime.run(features[:1]) == pytest.approx(expected[:1], rel=1e-5, abs=1e-5)
    with pytest.raises(InvalidInput, match="features a row"):
        runtime.run(features[:, 1:])


def test_a_loaded_network_learns_on() -> None:
    estimator, features, _ = fitted("table classifier")
    labels = load_digits().target[: len(features)]
    before = dumps(estimator)
    loaded = loads(before)
    loaded.set_params(warm_start=True, threads=1, random_state=0, learning_rate=1e-6)
    loaded.fit(features, labels)
    expected = estimator.predict_proba(features)
    assert loaded.predict_proba(features) == pytest.approx(expected, abs=1e-3)
    assert dumps(loaded) != before
    assert dumps(estimator) == before


def test_labels_of_text_are_kept() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 3))
    labels = np.where(features[:, 0] > 0, "high", "low")
    estimator = PerceptronClassifier(epochs=1, width=4, class_weight={"low": 2.0}, random_state=0)
    loaded = loads(dumps(estimator.fit(features, labels)))
    assert loaded.classes_.tolist() == ["high", "low"]
    assert loaded.class_weight == {"low": 2.0}


def test_every_network_of_the_table_exists() -> None:
    for name, path in NETWORKS.items():
        module, _, attribute = path.partition(":")
        assert name == attribute
        assert module.startswith("lepton_ai.ml.networks.")


def changed(**changes: Any) -> bytes:
    """A file whose JSON text says something else."""
    data = dumps(fitted("table classifier")[0])
    length = int.from_bytes(data[:8], "little")
    said = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["network"])
    for key, value in changes.items():
        said[key] = said[key] | value if isinstance(value, dict) else value
    return safetensors.torch.save(
        safetensors.torch.load(data), metadata={"network": json.dumps(said)}
    )


HUGE = 2**62


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "os.system"}, "never loaded"),
        ({"name": "Network"}, "never loaded"),
        ({"name": ["PerceptronClassifier"]}, "never loaded"),
        ({"parameters": {"checkpoint": "/etc"}}, "does not have the parameters"),
        ({"parameters": {"__class__": "x"}}, "does not have the parameters"),
        ({"parameters": {"width": HUGE}}, "too large"),
        ({"parameters": {"depth": 10**6}}, "too large"),
        ({"parameters": {"shape": [HUGE, HUGE]}}, "too large"),
        ({"parameters": {"width": 9}}, "don't fit"),
        ({"parameters": {"depth": 3}}, "don't fit"),
        ({"parameters": {"width": "8"}}, "cannot be used"),
        ({"parameters": {"members": -1}}, "cannot be used"),
        ({"parameters": {"shape": [3, 3]}}, "cannot be used"),
        ({"parameters": {"shape": {"a": 1}}}, "cannot be used"),
        ({"parameters": []}, "does not have the parameters"),
        ({"outputs": 3}, "don't fit|label"),
        ({"outputs": HUGE}, "too large"),
        ({"outputs": True}, "how many"),
        ({"fitted": {"n_features_in_": 65}}, "don't fit"),
        ({"fitted": {"n_features_in_": HUGE}}, "too large"),
        ({"fitted": {"predict": "x"}}, "fitted attributes"),
        ({"fitted": {"classes_": [["a"]]}}, "fitted attributes"),
        ({"fitted": {"classes_": [0]}}, "not a label for each"),
        ({"fitted": 3}, "fitted attributes"),
    ],
)
def test_a_hostile_description_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        loads(changed(**changes))


def test_a_file_that_says_nothing_is_refused() -> None:
    plain = safetensors.torch.save({"a": torch.zeros(3)})
    for data in (plain, b"", b"\x80\x04K\x01.", (2**40).to_bytes(8, "little") + b"{}"):
        with pytest.raises(Refused):
            loads(data)
    with pytest.raises(Refused, match="cannot be read"):
        loads(dumps(fitted("table classifier")[0])[:-5])
    nested = safetensors.torch.save({"a": torch.zeros(1)}, metadata={"network": "[" * 100_000})
    with pytest.raises(Refused):
        loads(nested)


def test_tensors_of_another_kind_are_refused() -> None:
    data = dumps(fitted("table classifier")[0])
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = safetensors.torch.load(data)
    for other in (
        tensors | {"members.0.1.weight": tensors["members.0.1.weight"].double()},
        tensors | {"more": torch.zeros(2)},
        {name: value for name, value in tensors.items() if name != "mean"},
    ):
        with pytest.raises(Refused, match="don't fit its module"):
            loads(safetensors.torch.save(other, metadata=metadata))


def test_the_task_must_be_the_networks() -> None:
    data = dumps(fitted("volume regressor")[0])
    assert WeightsRuntime(data, REGRESSION)
    with pytest.raises(Refused, match="gives values"):
        WeightsRuntime(data, CLASSIFICATION)


def test_only_networks_of_the_table_are_written() -> None:
    class PerceptronClassifier:
        """Another class of the same name."""

    with pytest.raises(Refused, match="never stored"):
        dumps(PerceptronClassifier())
