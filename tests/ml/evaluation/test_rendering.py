"""Every kind of evaluation shows itself, survives JSON, and draws its plots."""

import io
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.evaluation.clustering import assess_clustering
from lepton_ai.ml.evaluation.detection import assess_detection
from lepton_ai.ml.evaluation.evaluation import Evaluation
from lepton_ai.ml.evaluation.forecasting import assess_forecast
from lepton_ai.ml.evaluation.regression import assess_regression
from lepton_ai.ml.evaluation.remaining_life import assess_remaining_life
from lepton_ai.ml.evaluation.shown import between, written
from lepton_ai.ml.evaluation.stored import EVALUATIONS, stored

HOSTILE = "<script>alert(1)</script>[red]$x$\x1b[2J"


@cache
def evaluations() -> dict[str, Evaluation]:
    rng = np.random.default_rng(0)
    truth, score = rng.integers(2, size=80), rng.random(80)
    probabilities, side = np.stack([1 - score, score], axis=1), np.where(score > 0.6, HOSTILE, "b")
    labels = np.where(truth == 1, HOSTILE, "fine").tolist()
    values = rng.normal(50, 9, 80)
    matrix = rng.normal(size=(80, 3)) + 4 * truth[:, None]
    common = {"resamples": 20}
    sliced = {"slices": {HOSTILE: side}} | common
    found = [
        assess_classification(labels, probabilities, ("fine", HOSTILE), **sliced),
        assess_regression(
            np.stack([values, values], 1),
            np.stack([values + 1, values - 1], 1) + score[:, None],
            outputs=(HOSTILE, "other"),
            **sliced,
        ),
        assess_forecast(values.reshape(20, 4), values.reshape(20, 4) + 1, **common),
        assess_clustering(matrix, np.where(truth == 1, HOSTILE, "a"), **common),
        assess_detection(score + truth, truth, threshold=0.9, **sliced),
        assess_remaining_life(
            np.tile([3.0, 2.0, 1.0, 0.0], 20),
            np.tile([3.5, 1.5, 1.2, 0.0], 20),
            units=np.repeat(np.arange(20), 4),
            limit=2,
            **common,
        ),
    ]
    return {
        each.task: replace(each, model=HOSTILE, data=HOSTILE, seen=3, node="evaluation_1")
        for each in found
    }


TASKS = sorted(EVALUATIONS)


def test_every_task_is_here() -> None:
    assert sorted(evaluations()) == TASKS


@pytest.mark.parametrize("task", TASKS)
def test_it_survives_json(task: str) -> None:
    evaluation = evaluations()[task]
    told = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    back = stored(told)
    assert type(back) is type(evaluation)
    assert back.to_dict() == evaluation.to_dict()


@pytest.mark.parametrize("task", TASKS)
def test_it_is_its_chief_figure(task: str) -> None:
    evaluation = evaluations()[task]
    number = evaluation.figures[evaluation.chief]
    assert float(evaluation) == number
    assert f"{evaluation:.3f}" == f"{number:.3f}"
    assert evaluation == number
    assert evaluation.chief in repr(evaluation)


@pytest.mark.parametrize("task", TASKS)
def test_every_figure_has_an_interval_around_it(task: str) -> None:
    evaluation = evaluations()[task]
    for name, value in evaluation.figures.items():
        if value is None or name == "noise":
            continue
        low, high = evaluation.intervals[name]
        # Errors of calibration grow when rows are drawn twice; all others lie within.
        assert low - 1e-9 <= value <= high + 1e-9 or name == "calibration_error", name


@pytest.mark.parametrize("task", TASKS)
def test_text_and_terminal_show_every_figure(task: str) -> None:
    evaluation = evaluations()[task]
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(evaluation)
    for shown in (str(evaluation), console.export_text()):
        assert "3 of the rows were trained on" in shown
        for name, value in evaluation.figures.items():
            assert value is None or evaluation.names[name].title in shown
        assert "\x1b" not in shown


@pytest.mark.parametrize("task", TASKS)
def test_the_page_needs_nothing_and_runs_nothing(task: str, tmp_path: Path) -> None:
    evaluation = evaluations()[task]
    page = evaluation.report(tmp_path / "report.html").read_text()
    for shown in (page, evaluation._repr_html_()):
        assert "<script" not in shown.lower()
        assert "&lt;script&gt;" in shown
        assert not re.search(r"""(src|href)=['"](?!data:image/png;base64,)""", shown)
    assert page.count("<img") == len(evaluation.plots())


@pytest.mark.parametrize("task", TASKS)
def test_every_plot_is_saved(task: str, tmp_path: Path) -> None:
    files = evaluations()[task].save_plots(tmp_path / "plots")
    assert len(files) == len(evaluations()[task].plots())
    for path in files:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_an_evaluation_from_before_there_were_other_tasks_is_read() -> None:
    told = evaluations()["classification"].to_dict()
    new = ("specificity", "average_precision", "top_decile_lift", "brier", "threshold", "slices")
    curves = ("precision_recall", "gain", "calibration", "decision", "task")
    old = {name: value for name, value in told.items() if name not in (*new, *curves)}
    found = stored(old)
    assert found.accuracy == told["accuracy"]
    assert found.brier is None
    assert "Brier" not in str(found)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (between([-4.441e-16, 0.101]), "0.000 to 0.101"),
        (between([7.623e-16, 5.082e-05], beside=0.012), "0.000 to 0.000"),
        (written(-5.082e-05, beside=0.4), "0.000"),
        (written(7.623e-16), "0.000"),
        # A figure that is small throughout keeps its digits.
        (between([0.0001, 0.0003], beside=0.0002), "0.0001 to 0.0003"),
        (written(5.082e-05), "5.082e-05"),
    ],
)
def test_what_is_nothing_beside_its_column_is_zero(shown: str, expected: str) -> None:
    assert shown == expected
