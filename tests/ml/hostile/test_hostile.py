"""What an attacker writes in a model's place is refused by one error, and does nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_wine

from lepton_ai.core.errors import Corrupt, LeptonError
from lepton_ai.ml.bundle.bundle import FILES, Bundle
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.model import Model
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.runtimes.operators import check_operators
from lepton_ai.ml.runtimes.runtime import load_runtime
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Node, Workspace

from .corpus import PICKLES, cases, good, nested, rows

ROOT = Path(__file__).resolve().parents[3]
GOOD = ("onnx", "skops", "safetensors")
# In all, and for one file; a frail format's canary is a process that has to start.
SECONDS, CANARY_SECONDS = 2.0, 60.0
MOST_MEMORY = 200 * 2**20
FRAIL = ("lightgbm", "catboost")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, list[str]]]:
    """What became of each file of the corpus, in a process that was watched."""
    folder = tmp_path_factory.mktemp("corpus")
    index: dict[str, Any] = {"good": GOOD, "warm": {}, "cases": []}
    for model_format in GOOD:
        (folder / f"good-{model_format}").write_bytes(good(model_format))
    for number, (name, (model_format, task, data)) in enumerate(cases()):
        (folder / str(number)).write_bytes(data)
        index["cases"].append([name, model_format, task])
        index["warm"].setdefault(model_format, number)
    (folder / "index.json").write_text(json.dumps(index))
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.ml.hostile.child", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines.pop()[1] < MOST_MEMORY
    assert len(lines) == len(index["cases"])
    return {name: (raised, seconds, events) for name, raised, seconds, events in lines}


def test_every_file_is_refused_by_one_error(told: dict[str, tuple[str, float, list[str]]]) -> None:
    assert {n: t[0] for n, t in told.items() if not t[0].startswith("LeptonError")} == {}
    assert len(told) > 100


def test_no_file_takes_long(told: dict[str, tuple[str, float, list[str]]]) -> None:
    limits = {name: CANARY_SECONDS if name.startswith(FRAIL) else SECONDS for name in told}
    assert {name: t[1] for name, t in told.items() if t[1] > limits[name]} == {}


def harmless(name: str, event: str) -> bool:
    """The head of an array is read as a literal; packages are looked up; a canary is sent."""
    kind, _, about = event.partition(" ")
    if name.startswith("custom"):
        return kind == "open" and about.endswith(("METADATA", "RECORD", ".zip", "direct_url.json"))
    if name.startswith(FRAIL):
        return "lepton_ai.ml.runtimes.canary" in about or not kind.startswith(
            ("exec", "compile", "import")
        )
    return kind == "compile" and "'descr':" in about


def test_nothing_is_executed_or_opened(told: dict[str, tuple[str, float, list[str]]]) -> None:
    done = {
        name: [event for event in events if not harmless(name, event)]
        for name, (_, _, events) in told.items()
    }
    assert {name: events for name, events in done.items() if events} == {}
    assert not (ROOT / "OWNED").exists()


@pytest.mark.parametrize("model_format", ["onnx", "skops", "safetensors"])
def test_a_damaged_file_is_refused_or_answers(model_format: str) -> None:
    whole, rng = good(model_format), np.random.default_rng(0)
    matrix, refused = rows()[0], 0
    for number in range(120):
        data = bytearray(whole)
        if number % 3:
            place = int(rng.integers(len(data)))
            data[place] ^= 1 << int(rng.integers(8))
        else:
            data = data[: int(rng.integers(len(data)))]
        try:
            assert load_runtime(model_format, bytes(data)).run(matrix).shape[0] == len(matrix)
        except LeptonError:
            refused += 1
    assert refused > 60


@pytest.fixture
def model(workspace: Workspace) -> Model:
    wine = load_wine(return_X_y=True)
    return train_classifier(wine, model_type="dt", name="wine", workspace=workspace)


def swapped(model: Model, name: str, data: bytes) -> Node:
    address = model.workspace.objects.put(data)
    files = {**model.node.facts["files"], name: address}
    return msgspec.structs.replace(model.node, facts={**model.node.facts, "files": files})


def load_all(workspace: Workspace, node: Node) -> None:
    """Read what serving needs, then all the rest."""
    Predictor.load(workspace, node)
    bundle = Bundle(workspace, node)
    for name in bundle.names:
        bundle.read(name)


def test_a_pickle_under_every_name_is_refused(model: Model) -> None:
    for name in sorted(FILES | {"../../model.onnx", "model.pkl", "/etc/cron.d/x", "a\x00b"}):
        for data in PICKLES.values():
            node = swapped(model, name, data)
            with pytest.raises(Corrupt):
                load_all(model.workspace, node)


def test_a_flipped_bit_in_any_file_of_a_bundle_is_refused(model: Model) -> None:
    rng = np.random.default_rng(0)
    for name in model.bundle.names:
        whole = model.bundle.read(name)
        for _ in range(5):
            data = bytearray(whole)
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            with pytest.raises(Corrupt):
                Model(model.workspace, swapped(model, name, bytes(data))).bundle.read(name)
        with pytest.raises(Corrupt):
            Model(model.workspace, swapped(model, name, whole[:-1])).bundle.read(name)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        nested(100_000),
        b'{"a":' * 10_000,
        b"\xff\xfe",
        b'{"name": 1e999}',
        *PICKLES.values(),
    ],
)
def test_descriptions_that_are_none_are_corrupt(data: bytes) -> None:
    for read in (Description.from_json, Preparation.from_json):
        with pytest.raises(Corrupt):
            read(data)


@pytest.mark.parametrize(
    "change",
    [
        {"features": "many"},
        {"seed": None},
        {"parity": {"rows": []}},
        {"outcome": {"task": "execution"}},
        {"signature": {"kind": "shell"}},
        {"files": {"model.onnx": 3}},
        {"environment": {"python": ["3"]}},
    ],
)
def test_descriptions_of_odd_values_are_corrupt(model: Model, change: dict[str, Any]) -> None:
    said = msgspec.json.decode(model.bundle.read("model.json"))
    with pytest.raises(Corrupt):
        Description.from_json(msgspec.json.encode(said | change))


def test_the_operators_of_the_zoo_are_allowed() -> None:
    import onnx

    check_operators(onnx.load_from_string(good("onnx")).graph)
