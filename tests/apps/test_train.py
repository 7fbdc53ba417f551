"""`lepton train` for every task, on files as a person has them."""

import json
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_diabetes

from lepton_ai.apps.cli.main import lepton
from lepton_ai.core.errors import LeptonError
from lepton_ai.data.images.read import read_images
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace


@pytest.fixture
def measured(workspace: Workspace) -> None:
    rows, progress = load_diabetes(return_X_y=True)
    columns = dict(zip(load_diabetes().feature_names, rows.T, strict=True))
    read_table(pl.DataFrame({**columns, "progress": progress}), name="ward.diabetes")
    hours = np.arange(24 * 8)
    wave = 100 + 50 * np.sin(hours / 24 * 2 * np.pi)
    moments = [datetime(2024, 3, 4) + timedelta(hours=int(hour)) for hour in hours]
    read_table(pl.DataFrame({"moment": moments, "a": wave, "b": wave * 2}), name="flow")


def run(*words: str) -> Any:
    return CliRunner().invoke(lepton, [*words], catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "task", "figure"),
    [
        (["ward.diabetes", "--target", "progress", "--model", "ridge"], "regression", "r2"),
        (["ward.diabetes", "--task", "clustering", "--set", "n_clusters=2"], "clustering",
         "silhouette"),
        (["ward.diabetes", "--task", "detection", "--contamination", "0.1",
          "--set", "n_estimators=10"], "detection", "alarms"),
        (["flow", "--time", "moment", "--window", "24", "--horizon", "6"], "forecasting", "mae"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("measured")
def test_every_task_by_command(words: list[str], task: str, figure: str) -> None:
    outcome = run("train", *words, "--name", "made", "--json")
    assert outcome.exit_code == 0, outcome.output
    said = json.loads(outcome.stdout)
    assert said["node"]["facts"]["task"] == task
    assert isinstance(said["evaluation"][figure], float)
    shown = run("models", "show", "made").stdout
    assert f"does: {task}" in shown


@pytest.mark.usefixtures("measured")
def test_a_table_without_a_target_is_asked_what_for() -> None:
    outcome = run("train", "flow")
    assert outcome.exit_code == 2
    assert "--task clustering" in outcome.output


def test_images_without_labels_are_asked_what_for(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(12):
        pixels = np.full((8, 8), 20 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    read_images(tmp_path, name="bare")
    outcome = run("train", "bare")
    assert outcome.exit_code == 2
    assert "--label TABLE.csv" in outcome.output
    assert "--task clustering" in outcome.output
    words = ("--task", "clustering", "--set", "n_clusters=2", "--raw")
    assert run("train", "bare", *words).exit_code == 0


@pytest.mark.usefixtures("workspace")
def test_a_fit_that_does_not_settle_is_one_note() -> None:
    read_table(pl.DataFrame({"a": [1.0, 2.0] * 40}), name="pairs")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        outcome = run("train", "pairs", "--task", "clustering")
    assert outcome.exit_code == 0
    assert outcome.output.count("Note: the k-means did not settle: Number of distinct") == 1
    assert not heard


@pytest.mark.usefixtures("workspace")
def test_four_rows_are_told_to_mean_nothing() -> None:
    frame = pl.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 1, 4, 3], "c": [*"xyxy"]})
    read_table(frame, name="four")
    outcome = run("train", "four", "--target", "c")
    assert outcome.exit_code == 0
    assert "Note: 3 rows were learned from: at that size no figure" in outcome.output


@pytest.mark.parametrize(
    ("columns", "target", "said"),
    [
        ({"a": [1.0, 2.0, 3.0], "c": [*"xyz"]}, "c", "labels that the model does not know"),
        ({"a": [1.0, 2.0, 3.0] * 10, "c": ["x"] * 30}, "c", "needs rows of two classes"),
        ({"a": [*range(30)], "c": [None] * 30}, "c", "24 of 24 rows have no label in column 'c'"),
        ({"a": [1.0] * 30, "c": [*"xyz"] * 10}, "C", "the column 'C', which is not there"),
        ({"a": [1.0] * 30, "A": [*"xyz"] * 10}, "A", "differ in case only"),
        ({"for\nif": [1.0] * 30, "c": [*"xyz"] * 10}, "c", "a name that can be printed"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_what_cannot_be_trained_on_is_one_line(
    columns: dict[str, Any], target: str, said: str
) -> None:
    def kept_and_trained() -> None:
        read_table(pl.DataFrame(columns), name="odd")
        run("train", "odd", "--target", target)

    with pytest.raises(LeptonError) as failed:
        kept_and_trained()
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.usefixtures("workspace")
def test_columns_may_be_called_as_words_of_python() -> None:
    rng = np.random.default_rng(0)
    words = {word: rng.normal(size=40) for word in ("class", "in", "None", "self")}
    read_table(pl.DataFrame({**words, "for": [*"xy"] * 20}), name="words")
    assert run("train", "words", "--target", "for").exit_code == 0


def test_the_zoo_says_what_each_model_is_for(tmp_path: Path) -> None:
    rows = {row["model"]: row for row in json.loads(run("models", "zoo", "--json").stdout)}
    assert rows["k-means"]["for"] == ["clustering"]
    assert rows["random forest"]["for"] == ["classification", "regression"]
    assert rows["cnn"]["needs"] == "lepton-ai[deep]"
