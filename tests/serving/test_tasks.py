"""Models of every task on a live server: records, tensors, receipts, the client."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tritonclient.http as triton
from sklearn.datasets import load_diabetes

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.model import Model
from lepton_ai.ml.training import (
    train_clusterer,
    train_detector,
    train_forecaster,
    train_regressor,
)
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.deployment import deploy_model
from lepton_ai.serving.receipts import receipt
from tests.serving.conftest import open_workspace, stop

NAMES = load_diabetes().feature_names
ROWS, PROGRESS = load_diabetes(return_X_y=True)
FRAME = pl.DataFrame(dict(zip(NAMES, ROWS.T, strict=True)))
HOURS = pl.DataFrame(
    {
        "moment": [datetime(2024, 3, 4) + timedelta(hours=n) for n in range(120)],
        "a": 10 + np.sin(np.arange(120) / 24 * 2 * np.pi),
    }
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Any:
    workspace = open_workspace(Path(tmp_path_factory.mktemp("tasks")) / "home")
    options: dict[str, Any] = {"workspace": workspace}
    models = {
        "regression": train_regressor(
            FRAME.with_columns(progress=pl.Series(PROGRESS)), target="progress",
            model_type="ridge", name="progress", interval=0.9, **options,
        ),
        "clustering": train_clusterer(FRAME, n_clusters=3, name="groups", **options),
        "detection": train_detector(FRAME, n_estimators=20, name="odd", **options),
        "forecasting": train_forecaster(
            HOURS, time="moment", history=12, horizon=4, name="hours", **options
        ),
    }  # fmt: skip
    try:
        yield workspace, {task: (model, deploy_model(model)) for task, model in models.items()}
    finally:
        stop(workspace)


@pytest.mark.parametrize("task", ["regression", "clustering", "detection"])
def test_a_record_is_answered_as_the_model_does(live: Any, task: str) -> None:
    workspace, deployed = live
    model, endpoint = deployed[task]
    given = endpoint.predict(FRAME[:5])
    expected = model.description.outcome.records(
        model.description.outcome.labels(model.answers(FRAME[:5])), model.answers(FRAME[:5])
    )
    for prediction, record in zip(given, expected, strict=True):
        for name, value in record.items():
            assert getattr(prediction, name) == pytest.approx(value)
    assert receipt(workspace, given[0].id).output == expected


def test_a_number_comes_with_its_interval(live: Any) -> None:
    model, endpoint = live[1]["regression"]
    reach = model.description.outcome.reach
    for given in endpoint.predict(FRAME[:5]):
        assert given.low == pytest.approx(given.value - reach)
        assert given.high == pytest.approx(given.value + reach)


@pytest.mark.parametrize("task", ["regression", "clustering", "detection"])
def test_tensors_of_the_open_protocol(live: Any, task: str) -> None:
    workspace, deployed = live
    model, endpoint = deployed[task]
    inputs = []
    for name, column in zip(NAMES, ROWS[:3].T, strict=True):
        tensor = triton.InferInput(name, [3], "FP64")
        tensor.set_data_from_numpy(np.ascontiguousarray(column))
        inputs.append(tensor)
    address = endpoint.url.removeprefix("http://").partition("/")[0]
    client = triton.InferenceServerClient(address)
    headers = {"authorization": f"Bearer {workspace_token(workspace)}"}
    answer = client.infer(model.name, inputs, headers=headers)
    expected = model.description.outcome.tensors(
        model.description.outcome.labels(model.answers(FRAME[:3])), model.answers(FRAME[:3])
    )
    for name, tensor in expected.items():
        given = answer.as_numpy(name)
        if given.dtype == object:
            assert [text.decode() for text in given.tolist()] == list(tensor)
        else:
            assert given == pytest.approx(np.asarray(tensor, dtype=np.float64))
    client.close()


def test_a_series_is_one_question_and_many_are_many(live: Any) -> None:
    workspace, deployed = live
    model, endpoint = deployed["forecasting"]
    steps = [{**row, "moment": row["moment"].isoformat()} for row in HOURS[:12].to_dicts()]
    (one,) = endpoint.predict(steps)
    (expected,) = model.predict([HOURS[:12].to_dicts()])
    assert one.forecast["a"] == pytest.approx(expected[:, 0])
    two = endpoint.predict([steps, steps[:3]])
    assert two[0].forecast["a"] == pytest.approx(one.forecast["a"])
    assert len(two) == 2
    assert receipt(workspace, one.id).output == [{"forecast": one.forecast}]
    with pytest.raises(InvalidInput, match="a record for each of the last steps"):
        endpoint.predict([{"a": 1.0}])


def test_what_an_endpoint_says_of_itself(live: Any) -> None:
    _, deployed = live
    for task, (model, endpoint) in deployed.items():
        assert isinstance(model, Model)
        assert model.task == task
        assert endpoint.signature() == model.signature
