"""A fit that is killed goes on, and ends in the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from sklearn.datasets import load_digits

from lepton_ai.core.errors import Corrupt
from lepton_ai.ml.networks.residual import ResidualClassifier
from lepton_ai.ml.networks.trainer import Trainer
from lepton_ai.ml.networks.weights import dumps

EPOCHS = 6


def build(directory: Path | None) -> ResidualClassifier:
    return ResidualClassifier(
        shape=(8, 8), width=8, epochs=EPOCHS, members=2, averaging=0.9, mixup=0.2, dropout=0.3,
        patience=None, random_state=0, threads=1, checkpoint=directory,
    )  # fmt: skip


def fit(directory: Path | None) -> ResidualClassifier:
    features, labels = load_digits(return_X_y=True)
    return build(directory).fit(features[:300], labels[:300])


def slow_fit(directory: str) -> None:
    """What is killed: each epoch waits a moment after its checkpoint was kept."""
    keep = Trainer._keep

    def slowly(trainer: Trainer) -> None:
        keep(trainer)
        time.sleep(0.3)

    Trainer._keep = slowly  # type: ignore[method-assign]
    fit(Path(directory))


@pytest.fixture(scope="module")
def uninterrupted() -> bytes:
    return dumps(fit(None))


def test_a_killed_fit_goes_on_to_the_same_bytes(
    tmp_path: Path, uninterrupted: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the second member learns, when the first one's file is complete."""
    program = f"from tests.ml.networks.test_checkpoint import slow_fit; slow_fit({str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*.safetensors"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.4)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    epochs: list[int] = []
    learn = Trainer._epoch
    monkeypatch.setattr(Trainer, "_epoch", lambda self, n, e: epochs.append(n) or learn(self, n, e))
    assert dumps(fit(tmp_path)) == uninterrupted
    assert 0 < len(epochs) < EPOCHS


def test_a_finished_fit_is_read_from_its_checkpoints(
    tmp_path: Path, uninterrupted: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(tmp_path)
    assert dumps(first) == uninterrupted
    monkeypatch.setattr(Trainer, "_epoch", None)
    again = fit(tmp_path)
    assert dumps(again) == uninterrupted
    assert again.history_ == first.history_


def test_other_parameters_and_other_rows_have_checkpoints_of_their_own(tmp_path: Path) -> None:
    features, labels = load_digits(return_X_y=True)
    quick: dict[str, Any] = {"epochs": 1, "members": 1}
    build(tmp_path).set_params(**quick).fit(features[:100], labels[:100])
    build(tmp_path).set_params(**quick, learning_rate=0.02).fit(features[:100], labels[:100])
    build(tmp_path).set_params(**quick).fit(features[:101], labels[:101])
    weighted = build(tmp_path).set_params(**quick)
    weights = np.linspace(1, 2, 100)
    weighted.fit(features[:100], labels[:100], sample_weight=weights)
    build(tmp_path).set_params(**quick, progress=False).fit(features[:100], labels[:100])
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    features, labels = load_digits(return_X_y=True)
    estimator = build(tmp_path).set_params(epochs=1, members=1)
    estimator.fit(features[:100], labels[:100])
    (file,) = tmp_path.iterdir()
    with safe_open(file, "pt") as opened:
        assert "step" in opened.metadata()["state"]
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(Corrupt, match="delete it to start afresh"):
        estimator.fit(features[:100], labels[:100])
