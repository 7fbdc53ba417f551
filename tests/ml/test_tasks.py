"""Every task from data to a registered model: what it gives, keeps and refuses."""

import signal
import subprocess
import sys
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import Ridge

from lepton_ai.compute.local import ProcessEngine, ThreadEngine
from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml import zoo
from lepton_ai.ml.guess import guess_task
from lepton_ai.ml.model import Model
from lepton_ai.ml.registry import get
from lepton_ai.ml.retraining import Training
from lepton_ai.ml.training import (
    train,
    train_classifier,
    train_clusterer,
    train_detector,
    train_regressor,
)
from lepton_ai.ml.wish import Wish
from lepton_ai.storage import Workspace

DIABETES, PROGRESS = load_diabetes(return_X_y=True)
IRIS = load_iris()
FRAME = pl.DataFrame(
    dict(zip(load_diabetes().feature_names, DIABETES.T, strict=True))
).with_columns(progress=pl.Series(PROGRESS))


def test_a_regressor_predicts_as_scikit_learns(workspace: Workspace) -> None:
    model = train_regressor(FRAME, target="progress", model_type="ridge", workspace=workspace)
    scaled = (DIABETES - DIABETES.mean(axis=0)) / DIABETES.std(axis=0)
    expected = Ridge().fit(scaled, PROGRESS).predict(scaled)
    assert model.predict(FRAME) == pytest.approx(expected, rel=1e-4)
    assert (model.task, model.classes) == ("regression", ("progress",))
    assert [field.name for field in model.signature.outputs] == ["value"]
    assert model.baseline.target is not None
    assert model.baseline.target.mean == pytest.approx(PROGRESS.mean())
    assert model.baseline.predictions.values[0].name == "progress"
    assert "A regressor (ridge) that predicts `progress`." in model.card()
    with pytest.raises(InvalidInput, match="no probabilities"):
        model.predict_proba(FRAME)
    again = train_regressor(FRAME, target="progress", model_type="ridge", workspace=workspace)
    assert again.node == model.node


def test_clusters_are_found_kept_and_given_to_new_rows(workspace: Workspace) -> None:
    model = train_clusterer(
        IRIS.data, model_type="k-means", n_clusters=3, name="iris", workspace=workspace
    )
    labels = model.predict(IRIS.data)
    assert set(labels) == {"0", "1", "2"} == set(model.classes)
    for species in range(3):
        most = np.unique(labels[IRIS.target == species], return_counts=True)[1].max()
        assert most >= 36
    assert get("iris", workspace).predict(IRIS.data[:1]).tolist() == labels[:1].tolist()
    assert [field.name for field in model.signature.outputs] == ["label", "memberships"]


def test_noise_is_a_label_of_its_own(workspace: Workspace) -> None:
    model = train_clusterer(
        IRIS.data, model_type="dbscan", eps=0.8, name="dense", workspace=workspace
    )
    assert model.classes[-1] == "noise"
    assert model.predict(np.full((1, 4), 99.0)).tolist() == ["noise"]


def test_a_detector_marks_the_share_that_was_asked_for(workspace: Workspace) -> None:
    model = train_detector(
        IRIS.data, contamination=0.1, name="odd", workspace=workspace, n_estimators=50
    )
    labels = model.predict(IRIS.data)
    assert (labels == "anomaly").mean() == pytest.approx(0.1, abs=0.02)
    assert model.predict(np.full((1, 4), 99.0)).tolist() == ["anomaly"]
    scores = model.answers(IRIS.data)[:, 0]
    assert scores[labels == "anomaly"].min() >= scores[labels == "normal"].max()
    with pytest.raises(InvalidInput, match="between 0 and 1; got 2"):
        train_detector(IRIS.data, contamination=2, workspace=workspace)


def test_weights_of_rows_and_balance_of_classes(workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    rare = rng.random(600) < 0.05
    frame = pl.DataFrame(
        {
            "x": rng.normal(0, 1, 600) + rare,
            "sick": np.where(rare, "yes", "no"),
            "weight": np.where(rare, 1.0, 0.0) + 0.01,
        }
    )
    options: dict[str, Any] = {"target": "sick", "model_type": "logistic", "workspace": workspace}
    bare = frame.drop("weight")
    plain = train_classifier(bare, name="plain", **options)
    even = train_classifier(bare, name="even", balanced=True, **options)
    heavy = train_classifier(frame, name="heavy", sample_weight="weight", **options)
    means = [model.predict_proba(bare)[:, 1].mean() for model in (plain, even, heavy)]
    assert means[0] == pytest.approx(rare.mean(), abs=0.005)
    assert means[1] == pytest.approx(0.5, abs=0.1)
    assert means[2] > 0.7
    assert [field.name for field in heavy.signature.inputs] == ["x"]
    assert heavy.predict(frame.drop("sick")).shape == (600,)
    with pytest.raises(InvalidInput, match="sample_weight='x' must hold no negative"):
        train_classifier(frame, name="wrong", sample_weight="x", **options)


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["a", "b", "a"], "classification"),
        ([0, 1, 1], "classification"),
        ([True, False, True], "classification"),
        ([0.5, 1.25, 3.0], "regression"),
        (list(range(40)), "regression"),
        ([1.0, 2.0, 1.0], "classification"),
    ],
)
def test_the_task_is_told_from_the_target(target: list[Any], task: str) -> None:
    frame = pl.DataFrame({"x": range(len(target)), "y": target})
    assert guess_task(frame, {"target": "y"}) == task
    assert guess_task((np.zeros((len(target), 2)), target), {}) == task


def test_without_a_target_groups_are_looked_for_and_with_a_horizon_the_future() -> None:
    assert guess_task(FRAME, {}) == "clustering"
    assert guess_task(FRAME, {"horizon": 3, "target": "progress"}) == "forecasting"


def test_train_is_every_verb(workspace: Workspace) -> None:
    model = train(FRAME, target="progress", model_type="dt", max_depth=3, workspace=workspace)
    assert model.task == "regression"
    with pytest.raises(InvalidInput, match="no task 'ranking'"):
        train(FRAME, task="ranking")


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        (train_regressor, {"target": "nothing"}, "column of the values"),
        (train_regressor, {"target": "progress", "model_type": "k-means"}, "for clustering, not"),
        (train_regressor, {"target": "progress", "window": 0.5}, "window must be"),
        (train_regressor, {"target": "progress", "time": "when"}, "time='when' is no column"),
        (train_clusterer, {"model_type": "svm"}, "for classification and regression, not"),
        (train_clusterer, {"n_clusters": 3, "groups": "none"}, "groups='none' is no column"),
        (train_detector, {"model_type": "lof", "novelty": False}, "leave it out"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    verb: Any, options: dict[str, Any], said: str, workspace: Workspace
) -> None:
    with pytest.raises(InvalidInput, match=said):
        verb(FRAME, name="wrong", workspace=workspace, **options)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_missing_or_endless_value_to_learn_is_refused(value: Any, workspace: Workspace) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.0, value, 3.0]}, strict=False)
    with pytest.raises(InvalidInput, match=r"1 of 3 rows have no finite value.*row 1"):
        train_regressor(frame, target="y", workspace=workspace)
    with pytest.raises(InvalidInput, match="nothing to learn"):
        train_regressor(frame.with_columns(y=pl.lit(2.0)), target="y", workspace=workspace)


def test_a_training_of_any_task_can_be_repeated(workspace: Workspace) -> None:
    table = FRAME.drop("progress")
    models: list[Model] = [
        train_regressor(
            FRAME, target="progress", model_type="dt", name="one", workspace=workspace, max_depth=2
        ),
        train_detector(table, contamination=0.2, name="two", workspace=workspace, n_estimators=10),
        train_clusterer(table, name="three", workspace=workspace, n_clusters=2),
    ]
    for model in models:
        again = Training.of(model).repeat(workspace)
        assert again.description == model.description
        assert (again.answers(table) == model.answers(table)).all()


def test_a_wish_names_every_option() -> None:
    # What a verb takes, the core must know, and the other way round.
    assert {"target", "window", "horizon", "contamination", "balanced"} <= set(
        Wish.__struct_fields__
    )
    assert set(zoo.entries("forecasting")) >= {"persistence", "ridge forecast", "graph cnn"}


@pytest.mark.slow
def test_workers_share_a_network_that_is_trained_by_name(workspace: Workspace) -> None:
    pytest.importorskip("torch")
    # Each worker draws its own dropout, so that is left out.
    options: dict[str, Any] = {"model_type": "deep perceptron", "epochs": 3, "dropout": 0.0}
    rows = (IRIS.data, IRIS.target)
    with ProcessEngine(2) as engine:
        shared = train_classifier(rows, name="shared", engine=engine, **options)
    alone = train_classifier(rows, name="alone", **options)
    assert np.abs(shared.predict_proba(IRIS.data) - alone.predict_proba(IRIS.data)).max() < 0.01
    assert not list((workspace.home / "checkpoints").iterdir())


def test_an_engine_is_for_networks(workspace: Workspace) -> None:
    with ThreadEngine(1) as engine, pytest.raises(InvalidInput, match="engine= is for networks"):
        train_classifier((IRIS.data, IRIS.target), engine=engine, name="forest")


KILLED = """
from sklearn.datasets import load_digits
from lepton_ai.ml.training import train_classifier
rows = load_digits(return_X_y=True)
train_classifier(rows, model_type="deep perceptron", epochs=60, patience=None, name="digits")
"""


@pytest.mark.slow
def test_a_killed_training_by_name_goes_on_to_the_same_bytes(workspace: Workspace) -> None:
    Checkpoint = pytest.importorskip("lepton_ai.ml.networks.checkpoint").Checkpoint  # noqa: N806
    place = workspace.home / "checkpoints"
    with subprocess.Popen([sys.executable, "-c", KILLED]) as process:
        deadline = time.monotonic() + 120
        while not list(place.glob("*/*.safetensors")) and process.poll() is None:
            assert time.monotonic() < deadline, "no epoch was kept"
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    (kept,) = place.glob("*/*.safetensors")
    options: dict[str, Any] = {"model_type": "deep perceptron", "epochs": 60, "patience": None}
    rows = load_digits(return_X_y=True)
    with patch.object(Checkpoint, "load", autospec=True, side_effect=Checkpoint.load) as load:
        resumed = train_classifier(rows, name="digits", **options)
    assert load.call_args.args[0].path == kept
    assert not list(place.iterdir())
    # The same training under another name finds no checkpoint, and learns from the start.
    whole = train_classifier(rows, name="whole", **options)
    assert resumed.bundle.model() == whole.bundle.model()
