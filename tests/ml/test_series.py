"""Series: windows of steps as features, and forecasts, from the table to the prediction."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation import evaluate
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.steps import last_window, windows_of
from lepton_ai.ml.training import train_forecaster, train_regressor
from lepton_ai.storage import Workspace

START = datetime(2024, 3, 4)


def machines(count: int = 12, seed: int = 0) -> pl.DataFrame:
    """Machines whose heat rises to their failure; rows of all lie mixed."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(count):
        life = int(rng.integers(30, 50))
        heat = np.linspace(0, 5, life) ** 2 + rng.normal(0, 0.5, life)
        rows += [
            {"unit": f"m{unit}", "cycle": n, "heat": heat[n], "left": float(life - 1 - n)}
            for n in range(life)
        ]
    order = rng.permutation(len(rows))
    return pl.DataFrame([rows[n] for n in order])


def flows(days: int = 9) -> pl.DataFrame:
    """Two series of hours with a daily rhythm, the second twice the first."""
    rng = np.random.default_rng(1)
    hours = np.arange(24 * days)
    wave = 100 + 50 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 2, len(hours))
    moments = [START + timedelta(hours=int(hour)) for hour in hours]
    return pl.DataFrame({"moment": moments, "a": wave, "b": 2 * wave})


def test_windows_by_hand() -> None:
    matrix = np.array([[1.0], [20.0], [2.0], [10.0]])
    given = windows_of(matrix, 3, ["a", "b", "a", "b"], np.array([0.0, 2.0, 1.0, 1.0]))
    assert given.tolist() == [[1, 1, 1], [10, 10, 20], [1, 1, 2], [10, 10, 10]]
    assert last_window(np.array([[1.0, 2.0], [3.0, 4.0]]), 3).tolist() == [1, 2, 1, 2, 3, 4]
    assert last_window(np.arange(5.0)[:, None], 2).tolist() == [3, 4]


def test_a_moment_twice_in_one_series_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"1 moments stand twice.*of series 'a'"):
        windows_of(np.zeros((3, 1)), 2, ["a", "a", "b"], np.array([1.0, 1.0, 1.0]))


def test_a_regressor_of_windows_sees_each_machines_past(workspace: Workspace) -> None:
    frame = machines()
    options: dict[str, Any] = {
        "target": "left", "groups": "unit", "time": "cycle", "model_type": "ridge",
        "workspace": workspace,
    }  # fmt: skip
    model = train_regressor(frame, name="window", window=8, **options)
    alone = train_regressor(frame, name="alone", **options)
    assert model.signature.kind == "series"
    assert [(f.name, f.shape) for f in model.signature.inputs] == [("heat", (-1, -1))]
    assert model.description.features == 8
    test = machines(seed=5)
    errors = [np.abs(m.predict(test) - test["left"].to_numpy()).mean() for m in (model, alone)]
    assert errors[0] < errors[1]
    # A row asked about with its past alone is what it is among all rows.
    one = test.filter(pl.col("unit") == "m3").sort("cycle")
    records = one.select("heat").to_dicts()
    whole = model.predict(one)
    for end in (1, 3, 20):
        assert model.predict([records[:end]])[0] == pytest.approx(whole[end - 1])
    assert model.predict(records).shape == (len(records),)
    tensors = {"heat": one["heat"].to_numpy()[np.newaxis, :20]}
    assert model.predictor.run(model.predictor.features_from_tensors(tensors))[0, 0] == (
        pytest.approx(whole[19])
    )
    assert evaluate(model, test, resamples=5).rmse > 0


def test_a_preparation_of_windows_survives_json(workspace: Workspace) -> None:
    model = train_forecaster(flows(), time="moment", history=6, horizon=3, workspace=workspace)
    preparation = model.predictor.preparation
    back = Preparation.from_json(preparation.to_json())
    assert back == preparation
    assert back.shape == (6, 4)
    assert len(back.feature_names) == 24
    assert back.feature_names[:2] == ["a 5 steps before", "b 5 steps before"]
    assert back.feature_names[-1] == "moment: weekday"


@pytest.mark.parametrize("model_type", ["ridge forecast", "persistence", "historical average"])
def test_a_forecast_of_every_series(model_type: str, workspace: Workspace) -> None:
    frame = flows()
    model = train_forecaster(
        frame[:160], time="moment", model_type=model_type, history=24, horizon=6,
        name="flow", workspace=workspace,
    )  # fmt: skip
    later = frame[160:]
    given = model.predict(later)
    assert given.shape == (len(later), 6, 2)
    history = later[:24]
    (alone,) = model.predict([history.to_dicts()])
    assert alone == pytest.approx(given[23])
    if model_type == "persistence":
        assert alone[-1] == pytest.approx(history.select("a", "b").to_numpy()[-1])
    else:
        truth = later.select("a", "b")[24:30].to_numpy()
        assert np.abs(alone - truth).mean() < 0.1 * truth.mean()
    (note,) = model.description.notes
    assert "persistence" in note
    assert "seasonal naive" in note
    evaluation = evaluate(model, later, resamples=20)
    assert float(evaluation) == pytest.approx(evaluation.to_dict()["mae"])


def test_moments_need_not_be_known(workspace: Workspace) -> None:
    values = np.sin(np.arange(200) / 5)
    model = train_forecaster(
        pl.DataFrame({"y": values}), history=20, horizon=5, name="sine", workspace=workspace
    )
    assert model.predictor.preparation.clock is None
    (given,) = model.predict([[{"y": value} for value in values[:40]]])
    assert given[:, 0] == pytest.approx(values[40:45], abs=0.05)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda f: f.with_columns(a=pl.when(pl.col("a") > 149).then(None).otherwise("a")), {},
         "series 'a' has .* gaps.*Impute"),
        (lambda f: f.filter(pl.arange(0, len(f)) != 7), {}, "not even.*follow row 6"),
        (lambda f: f[:10], {}, "a window needs"),
        (lambda f: f, {"target": "c"}, "must name columns of numbers.*pivot"),
        (lambda f: f, {"target": "moment"}, "holds no numbers"),
        (lambda f: f, {"time": "when"}, "time='when' is no column"),
        (lambda f: f, {"horizon": 0}, "whole numbers of steps from 1"),
        (lambda f: f.drop("moment"), {"time": None, "season": "day"}, "name a column of moments"),
    ],
)  # fmt: skip
def test_series_that_cannot_be_forecast_are_refused(
    change: Any, options: dict[str, Any], said: str, workspace: Workspace
) -> None:
    chosen = {"time": "moment", "history": 12, "horizon": 6} | options
    with pytest.raises(InvalidInput, match=said):
        train_forecaster(change(flows()), workspace=workspace, **chosen)


def test_a_step_that_does_not_fit_is_refused(workspace: Workspace) -> None:
    model = train_forecaster(
        flows(), time="moment", history=6, horizon=2, name="flow", workspace=workspace
    )
    with pytest.raises(InvalidInput, match="series 0 has no step"):
        model.predict([[]])
    with pytest.raises(InvalidInput, match=r"'moment' is missing|no date|a date such as"):
        model.predict([[{"a": 1.0, "b": 2.0}]])
    with pytest.raises(InvalidInput, match="'b'"):
        model.predict([[{"moment": "2024-03-04T00:00:00", "a": 1.0}]])


@pytest.mark.slow
def test_models_of_windows_are_compared(workspace: Workspace) -> None:
    options: dict[str, Any] = {"target": "left", "groups": "unit", "time": "cycle", "window": 8}
    model = train_regressor(
        machines(), name="auto", model_type="auto", trials=2, interval=0.8, workspace=workspace,
        **options,
    )  # fmt: skip
    board = model.leaderboard()
    assert "whole groups" in board.plan
    assert model.signature.kind == "series"
    assert model.description.features == 8
    test = machines(seed=5)
    off = np.abs(model.predict(test) - test["left"].to_numpy())
    assert np.mean(off <= model.description.outcome.reach) == pytest.approx(0.8, abs=0.15)
    alone = [each for each in board.contenders if each.model == "baseline"]
    assert board.selected_loss < alone[0].loss / 2


def test_windows_of_one_series_are_asked_later_only(workspace: Workspace) -> None:
    one = machines().filter(pl.col("unit") == "m3").drop("unit", "cycle")
    model = train_regressor(
        one, target="left", name="tuned", model_type="ridge", tune=True, trials=3, window=4,
        workspace=workspace,
    )  # fmt: skip
    assert "later than all it learns from" in model.leaderboard().plan
