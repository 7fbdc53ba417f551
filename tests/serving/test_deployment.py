"""Deploying: swaps without a failed request, failures that change nothing, and the client."""

import itertools
import json
import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa
import urllib3
from PIL import Image
from sklearn.datasets import load_digits

from lepton_ai.core.errors import AccessDenied, Conflict, InvalidInput, NotFound
from lepton_ai.data.images.read import read_images
from lepton_ai.ml.predictor import Predictor
from lepton_ai.ml.training import train_classifier, train_regressor
from lepton_ai.security.tokens import workspace_token
from lepton_ai.serving.client import Client, Prediction
from lepton_ai.serving.deployment import (
    DeployFailed,
    NewestDiffers,
    deploy_model,
    deployment,
    undeploy_model,
)
from lepton_ai.serving.process import down, status, up
from lepton_ai.serving.receipts import receipt
from lepton_ai.storage import Workspace
from lepton_ai.storage.schema import objects
from tests.data.images.dicom_files import write_series
from tests.serving.conftest import COLUMNS, open_workspace, records, stop, tumours

ROWS = tumours()[0]


@pytest.fixture(scope="module")
def live(trained, tmp_path_factory) -> Iterator[Workspace]:
    """A workspace whose server the tests share; each deploys at an endpoint of its own."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(trained, home)
    workspace = open_workspace(home)
    try:
        yield workspace
    finally:
        stop(workspace)


def chances(workspace, version: int, rows: np.ndarray) -> np.ndarray:
    node = workspace.lineage.find("model", "tumour", version=version)
    predictor = Predictor.load(workspace, node)
    return predictor.run(predictor.features(records(rows)))


def test_models_swap_under_load_without_a_failed_request(live):
    workspace = live
    expected = {version: chances(workspace, version, ROWS[:20]) for version in (1, 2, 3)}
    url = deploy_model("tumour:1", "swap", workspace=workspace).url
    headers = {"authorization": f"Bearer {workspace_token(workspace)}"}
    bodies = [json.dumps(record).encode() for record in records(ROWS[:20])]
    stopping = threading.Event()

    def load(start: int) -> list[tuple[int, int, list[float]]]:
        answers = []
        with urllib3.PoolManager(headers=headers, retries=False) as pool:
            for index in itertools.count(start):
                if stopping.is_set():
                    return answers
                row = index % len(bodies)
                response = pool.request("POST", url, body=bodies[row])
                assert response.status == 200, response.data
                answer = response.json()
                probabilities = answer["predictions"][0]["probabilities"]
                answers.append((row, answer["version"], list(probabilities.values())))
                time.sleep(0.001)
        raise AssertionError

    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load, start) for start in range(4)]
        try:
            for version in (2, 3, 1, 3, 2):
                deploy_model(f"tumour:{version}", "swap", workspace=workspace)
                # Once it is deployed, no older version answers.
                got = deployment("swap", workspace=workspace).predict(records(ROWS[:1])[0])
                assert got.version == version
        finally:
            stopping.set()
        answers = [answer for each in loads for answer in each.result()]
    assert {version for _, version, _ in answers} == {1, 2, 3}
    for row, version, got in answers:
        # Every answer is that of the version it names: no batch mixed two models.
        assert got == expected[version][row].tolist()


def test_a_newest_version_for_another_target_is_warned_of(live):
    workspace = live
    frame = pl.DataFrame({"a": [1.0, 2, 3, 4] * 10, "b": [2.0, 1, 4, 4] * 10, "c": [*"xxyy"] * 10})
    train_classifier(frame, target="c", name="both", model_type="dt", workspace=workspace)
    train_regressor(frame, target="b", name="both", model_type="dt", workspace=workspace)
    said = (
        r"both:2.* regression of b; both:1, the champion, .* classification of c.* both:1`.*--name"
    )
    with pytest.warns(NewestDiffers, match=said):
        assert deploy_model("both", workspace=workspace).model == "both:2"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert deploy_model("both:1", workspace=workspace).model == "both:1"
    with pytest.warns(NewestDiffers, match="both:1, live now"):
        deploy_model("both", workspace=workspace)
    undeploy_model("both", workspace=workspace)


def damage(workspace, model: str) -> None:
    """Flip one byte in the stored bundle of a model."""
    node = workspace.lineage.resolve(model, kinds=["model"])
    address = node.facts["files"]["model.onnx"]
    with workspace.database.read() as connection:
        row = connection.execute(sa.select(objects).where(objects.c.address == address)).one()
    (pack,) = [path for path in (workspace.home / "objects").rglob("*") if row.pack in path.name]
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(row.offset + 20)
        byte = file.read(1)
        file.seek(row.offset + 20)
        file.write(bytes([byte[0] ^ 1]))


def test_a_model_that_cannot_be_loaded_changes_nothing(serving_workspace):
    workspace = serving_workspace
    deployed = deploy_model("tumour:1", workspace=workspace)
    damage(workspace, "tumour:2")
    with pytest.raises(DeployFailed, match="what was served before still is"):
        deploy_model("tumour:2", workspace=workspace)
    assert deployed.predict(records(ROWS[:1])[0]).version == 1
    endpoint = deployed.status()
    assert (endpoint.state, endpoint.model) == ("live", "tumour:1")
    assert "failed" in endpoint.reason
    root = deployed.url.partition("/models")[0]
    assert urllib3.request("GET", f"{root}/v2/health/ready").status == 200
    # A restart serves what worked.
    down(workspace)
    up(workspace)
    again = deployment("tumour", workspace=workspace)
    assert again.predict(records(ROWS[:1])[0]).version == 1
    # At a new endpoint there is nothing to fall back to.
    with pytest.raises(DeployFailed):
        deploy_model("tumour:2", "fresh", workspace=workspace)
    with pytest.raises(NotFound, match="no model is deployed as 'fresh'"):
        deployment("fresh", workspace=workspace)
    # The next good deployment clears the memory of the failure.
    assert deploy_model("tumour:3", workspace=workspace).status().reason == ""


def test_a_model_damaged_while_the_server_is_down_is_reported_and_others_are_served(
    serving_workspace,
):
    workspace = serving_workspace
    deploy_model("tumour:2", workspace=workspace)
    deploy_model("rows", workspace=workspace)
    down(workspace)
    damage(workspace, "tumour:2")
    server = up(workspace)
    states = {endpoint.name: endpoint for endpoint in server.endpoints}
    assert states["rows"].state == "live"
    assert states["tumour"].state == "failed"
    assert states["tumour"].reason
    assert urllib3.request("GET", f"{server.url}/v2/health/ready").status == 503
    headers = {"authorization": f"Bearer {workspace_token(workspace)}"}
    answer = urllib3.request(
        "POST", f"{server.url}/models/tumour/predict", headers=headers, retries=False
    )
    assert answer.status == 503
    assert "could not be loaded" in answer.json()["error"]
    deploy_model("tumour:1", workspace=workspace)
    assert urllib3.request("GET", f"{server.url}/v2/health/ready").status == 200


def test_deploying_again_undeploying_and_the_lineage(live):
    workspace = live
    model = workspace.lineage.find("model", "tumour", version=2)
    first = deploy_model(model, "again", workspace=workspace)
    assert deploy_model("tumour:2", "again", workspace=workspace).id == first.id
    assert workspace.lineage.parents(first.id) == [("model", model)]
    reached = {
        node.kind
        for node in workspace.lineage.nodes(
            {link.parent for link in workspace.lineage.ancestors(first.id)}
        ).values()
    }
    assert {"model", "dataset"} <= reached
    second = deploy_model("tumour:3", "again", workspace=workspace)
    assert (first.node.version, second.node.version) == (1, 2)
    found = receipt(workspace, second.predict(records(ROWS[:1])[0]).id)
    assert found.deployment_id == second.id
    undeploy_model("again", workspace=workspace)
    with pytest.raises(NotFound, match="no model is deployed as 'again'"):
        second.predict(records(ROWS[:1])[0])
    with pytest.raises(NotFound):
        undeploy_model("again", workspace=workspace)
    assert second.status().state == "stopped"
    assert deploy_model("tumour:3", "again", workspace=workspace).id not in (first.id, second.id)
    assert receipt(workspace, found.id) == found


def test_what_cannot_be_deployed(serving_workspace):
    workspace = serving_workspace
    with pytest.raises(NotFound, match="absent"):
        deploy_model("absent", workspace=workspace)
    with pytest.raises(InvalidInput, match="cannot deploy"):
        deploy_model(object(), workspace=workspace)
    with pytest.raises(InvalidInput, match="cannot deploy"):
        deploy_model(workspace.lineage.find("dataset", "tumour"), workspace=workspace)
    for name in ("a/b", "..", "a\nb"):
        with pytest.raises(InvalidInput, match="endpoint's name"):
            deploy_model("tumour", name, workspace=workspace)
    assert not status(workspace).running


def test_deployments_at_once_end_in_one_of_them(live):
    workspace = live

    def attempt(version: int) -> str:
        try:
            return deploy_model(f"tumour:{version}", "at once", workspace=workspace).id
        except Conflict:
            return "superseded"

    with ThreadPoolExecutor(3) as threads:
        outcomes = list(threads.map(attempt, (1, 2, 3)))
    endpoint = deployment("at once", workspace=workspace).status()
    assert endpoint.state == "live"
    assert endpoint.deployment_id in outcomes
    answer = deployment("at once", workspace=workspace).predict(records(ROWS[:1])[0])
    assert f"tumour:{answer.version}" == endpoint.model


def test_an_endpoint_may_have_any_readable_name(live):
    deployed = deploy_model("tumour", "lungen krebs & mehr?", workspace=live)
    assert deployed.predict(records(ROWS[:1])[0]).model == "lungen krebs & mehr?"


def test_the_client_takes_every_usual_form(live, tmp_path):
    workspace = live
    expected = chances(workspace, 3, ROWS[:7])

    def check(predictions: list[Prediction]) -> None:
        got = [list(each.probabilities.values()) for each in predictions]
        assert got == expected[: len(got)].tolist()

    table = deploy_model("tumour", workspace=workspace)
    some = records(ROWS[:7])
    frame = pl.DataFrame(some)
    for value in (some, frame, frame.to_pandas(), frame.to_arrow(), ROWS[:7]):
        predictions = table.predict(value)
        assert isinstance(predictions, list)
        assert len(predictions) == 7
        check(predictions)
    for value in (some[0], ROWS[0], {key: np.float64(v) for key, v in some[0].items()}):
        one = table.predict(value)
        assert isinstance(one, Prediction)
        check([one])
    assert table.predict([]) == []
    # A gap in a frame is a missing value, whichever library calls it so.
    gap = some[0] | {COLUMNS[0]: None}
    assert table.predict(pd.DataFrame([gap]))[0].probabilities == table.predict(gap).probabilities

    array = deploy_model("rows", workspace=workspace)
    several = array.predict(ROWS[:7])
    assert [array.predict(row).label for row in ROWS[:7]] == [each.label for each in several]
    assert len(array.predict(ROWS[:3].tolist())) == 3

    digits = load_digits()
    paths: list[Path] = []
    for index in (0, 1, 10):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray((digits.images[index] * 15).astype(np.uint8)).save(paths[-1])
    images = deploy_model("digits", workspace=workspace)
    truth = [str(digits.target[index]) for index in (0, 1, 10)]
    assert [images.predict(path).label for path in paths] == truth
    assert images.predict(paths[0].read_bytes()).label == truth[0]
    assert images.predict(str(paths[1])).label == truth[1]
    assert [each.label for each in images.predict(paths)] == truth
    arrays = [np.asarray(Image.open(path)) for path in paths]
    assert images.predict(arrays[2]).label == truth[2]
    assert [each.label for each in images.predict(arrays)] == truth

    # More rows than one request has.
    many = table.predict(np.repeat(ROWS[:1], 12_000, axis=0))
    assert len(many) == 12_000
    assert len({each.id for each in many}) == 3

    with pytest.raises(InvalidInput, match="cannot predict from object"):
        table.predict(object())
    with pytest.raises(InvalidInput, match="a record holds a object"):
        table.predict({"mean_radius": object()})
    with pytest.raises(InvalidInput, match="30 columns"):
        table.predict(ROWS[:2, :5])
    with pytest.raises(InvalidInput, match="missing"):
        table.predict({"mean_radius": 1.0})
    with pytest.raises(InvalidInput, match="cannot read the file"):
        images.predict(tmp_path / "absent.png")
    with pytest.raises(InvalidInput, match="unsupported"):
        images.predict(b"no image")
    root = table.url.partition("/models")[0]
    with pytest.raises(AccessDenied, match="token"):
        Client(root, "wrong").predict("tumour", some[0])
    with pytest.raises(NotFound, match="absent"):
        Client(root, workspace_token(workspace)).predict("absent", some[0])
    for each in (table, array, images):
        assert each.name in repr(each)


def test_a_folder_of_slices_is_one_volume(live, tmp_path):
    workspace = live
    numbers = np.random.default_rng(0)
    folders = []
    for number in range(12):
        label = "bright" if number % 2 else "dark"
        volume = numbers.integers(0, 500, (4, 6, 5), dtype=np.int16) + 400 * (number % 2)
        folders.append(tmp_path / "volumes" / label / str(number))
        names = [f"{name}.dcm" for name in numbers.permutation(4)]
        write_series(
            folders[-1],
            volume.astype(np.int16),
            names=names,
            PatientID=f"p{number}",
            SeriesInstanceUID=f"1.2.{number + 1}",
            StudyInstanceUID=f"1.3.{number + 1}",
        )
    images = read_images(tmp_path / "volumes", name="volumes", workspace=workspace)
    assert [image.entry.meta.shape for image in images] == [(4, 6, 5)] * 12
    model = train_classifier(images, model_type="KNN", workspace=workspace)
    deployed = deploy_model(model)
    by_path = dict(
        zip([image.paths[0].rpartition("/")[0] for image in images], images, strict=True)
    )
    for folder in folders[:4]:
        prediction = deployed.predict(folder)
        image = by_path[f"{folder.parent.name}/{folder.name}"]
        (chances,) = model.predict_proba(images[images.ids.index(image.id) :][:1])
        assert isinstance(prediction, Prediction)
        assert list(prediction.probabilities.values()) == chances.tolist()
        assert prediction.label == folder.parent.name
    with pytest.raises(InvalidInput, match="comes to"):
        deployed.predict(folders[0] / "0.dcm")
    (folders[0] / "0.dcm").write_bytes(b"not DICOM")
    with pytest.raises(InvalidInput, match="unsupported"):
        deployed.predict(folders[0])
