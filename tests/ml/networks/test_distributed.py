"""One fit on two workers of a real Ray on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits

from lepton_ai.compute.engine import Engine, TaskLost
from lepton_ai.compute.ray import RayEngine
from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.distributed import fit_distributed
from lepton_ai.ml.networks.residual import ResidualClassifier
from lepton_ai.ml.networks.tabular import PerceptronClassifier

from .dying import DyingPerceptron

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    pytest.importorskip("ray", reason="SKIPPED: install lepton-ai[cluster] to test on Ray")
    with RayEngine(workers=2) as engine:
        yield engine


def tables() -> tuple[np.ndarray, np.ndarray]:
    return load_breast_cancer(return_X_y=True)


def images() -> tuple[np.ndarray, np.ndarray]:
    features, labels = load_digits(return_X_y=True)
    return features[:301], labels[:301]


@pytest.mark.parametrize(
    ("family", "data", "chosen"),
    [
        # Dropout is drawn by each worker for its own rows, so it is off where sums are compared.
        (PerceptronClassifier, tables, {"dropout": 0.0, "members": 2, "class_weight": "balanced"}),
        (
            ResidualClassifier,
            images,
            {"shape": (8, 8), "width": 8, "norm": "group", "dropout": 0.0, "mixup": 0.2},
        ),
    ],
)
def test_two_workers_take_the_steps_of_one_process(
    engine: Engine, family: Any, data: Any, chosen: dict[str, Any]
) -> None:
    features, labels = data()
    chosen = {"epochs": 3, "random_state": 0, "threads": 1} | chosen
    alone = family(**chosen).fit(features, labels)
    shared = family(**chosen)
    assert fit_distributed(shared, features, labels, engine=engine) is shared
    assert "_peers" not in vars(shared)
    for name, value in alone.graph_.state_dict().items():
        torch.testing.assert_close(
            shared.graph_.state_dict()[name], value, rtol=1e-3, atol=1e-3, msg=name
        )
    expected = alone.predict_proba(features)
    assert shared.predict_proba(features) == pytest.approx(expected, abs=2e-3)
    for one, other in zip(alone.history_[0], shared.history_[0], strict=True):
        assert other == pytest.approx(one, rel=1e-3)


def test_statistics_of_batches_are_averaged_and_arguments_arrive(engine: Engine) -> None:
    features, labels = images()
    estimator = ResidualClassifier(shape=(8, 8), width=8, epochs=6, random_state=0, threads=1)
    fit_distributed(estimator, features, labels, engine=engine, groups=np.arange(len(labels)) % 30)
    assert estimator.score(features, labels) > 0.6
    assert "held_out_loss" in estimator.history_[0][0]


def test_the_workers_error_is_the_callers(engine: Engine) -> None:
    features, labels = tables()
    estimator = PerceptronClassifier(epochs=0)
    with pytest.raises(InvalidInput, match="epochs must be"):
        fit_distributed(estimator, features, labels, engine=engine)


def test_a_lost_worker_is_told_of_and_the_fit_goes_on(engine: Engine, tmp_path: Path) -> None:
    features, labels = tables()
    estimator = DyingPerceptron(
        epochs=4, random_state=0, threads=1, dropout=0.0, steps=20, mark=str(tmp_path / "mark"),
        checkpoint=tmp_path / "kept",
    )  # fmt: skip
    with pytest.raises((RuntimeError, TaskLost)):
        fit_distributed(estimator, features, labels, engine=engine)
    assert (tmp_path / "mark").exists()
    fit_distributed(estimator, features, labels, engine=engine)
    (tmp_path / "mark").touch()
    never_lost = clone(estimator).set_params(checkpoint=None)
    fit_distributed(never_lost, features, labels, engine=engine)
    assert estimator.history_ == never_lost.history_
    assert (estimator.predict_proba(features) == never_lost.predict_proba(features)).all()


@pytest.mark.parametrize("workers", [0, 3])
def test_workers_that_are_not_there_are_refused(engine: Engine, workers: int) -> None:
    with pytest.raises(InvalidInput, match="from 1 to 2"):
        fit_distributed(PerceptronClassifier(), *tables(), engine=engine, workers=workers)
