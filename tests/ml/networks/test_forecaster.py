from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.forecasting import (
    HistoricalAverage,
    Layout,
    Persistence,
    RidgeForecaster,
    Windows,
    calendar_channels,
    cut_windows,
)
from lepton_ai.ml.networks import weights
from lepton_ai.ml.networks.forecaster import GraphForecaster

DAY, SERIES = 24, 3
LAYOUT: dict[str, Any] = {"shape": (6, SERIES + 2), "season": DAY}
QUICK: dict[str, Any] = {
    **LAYOUT,
    "random_state": 0,
    "threads": 1,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "width": 16,
    "channels": 4,
    "epochs": 12,
    "validation": 0.0,
}
MOMENTS = np.datetime64("2024-01-01T00:00") + np.arange(DAY * 21) * np.timedelta64(60, "m")
# What passes the first sensor passes the second one two hours later.
ROAD = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])


def roads() -> Windows:
    """Hourly flow of three sensors with a daily course and waves that wander."""
    rng = np.random.default_rng(0)
    wave = np.zeros(len(MOMENTS))
    for step in range(1, len(wave)):
        wave[step] = 0.8 * wave[step - 1] + rng.normal()
    calendar = calendar_channels(MOMENTS)
    course = 20 + 10 * np.sin(2 * np.pi * calendar[:, :1]) * [1, 2, 1]
    waves = 4 * np.stack([wave, np.roll(wave, 2), rng.normal(size=len(wave))], axis=1)
    return cut_windows(course + waves, history=6, horizon=2, calendar=calendar)


def split(rows: Windows) -> tuple[Windows, Windows]:
    count = 380
    return Windows(*(part[:count] for part in rows)), Windows(*(part[count + 8 :] for part in rows))


@pytest.fixture(scope="module")
def fitted() -> GraphForecaster:
    known, _ = split(roads())
    network = GraphForecaster(**QUICK, graph=ROAD)
    return network.fit(known.features, known.targets, times=MOMENTS[known.origins - 1])


def error(forecaster: Any, rows: Windows) -> float:
    return float(np.abs(forecaster.predict(rows.features) - rows.targets).mean())


def test_what_passes_one_sensor_is_foreseen_at_the_next(fitted: GraphForecaster) -> None:
    known, asked = split(roads())
    others = {
        kind: error(kind(**LAYOUT).fit(known.features, known.targets), asked)
        for kind in (Persistence, HistoricalAverage, RidgeForecaster)
    }
    assert error(fitted, asked) < 0.9 * min(others.values())
    second = [slice(None), slice(1, None, SERIES)]
    ridge = RidgeForecaster(**LAYOUT).fit(known.features, known.targets)
    off = {
        name: np.abs(which.predict(asked.features) - asked.targets)[tuple(second)].mean()
        for name, which in {"graph": fitted, "ridge": ridge}.items()
    }
    assert off["graph"] < 0.6 * off["ridge"]


def test_onnx_and_weights_give_the_same_forecast(fitted: GraphForecaster) -> None:
    _, asked = split(roads())
    found = fitted.predict(asked.features)
    session = ort.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    for rows in (1, len(found)):
        (served,) = session.run(["values"], {"X": asked.features[:rows]})
        np.testing.assert_allclose(served, found[:rows], atol=1e-4)
    again = weights.loads(weights.dumps(fitted))
    np.testing.assert_array_equal(again.predict(asked.features), found)
    np.testing.assert_array_equal(again.graph, ROAD)


def test_the_profile_is_the_historical_average_in_standard_deviations(
    fitted: GraphForecaster,
) -> None:
    known, _ = split(roads())
    average = HistoricalAverage(**LAYOUT).fit(known.features, known.targets).profile_
    mean, scale = (part.numpy()[:SERIES] for part in (fitted.graph_.mean, fitted.graph_.scale))
    profile = fitted.graph_.members[0].profile.numpy() * scale + mean
    # The profile is the average smoothed over neighbouring hours.
    assert np.abs(profile - average).mean() < 0.25 * average.std()
    np.testing.assert_allclose(profile.mean(axis=0), average.mean(axis=0), rtol=0.05)


def test_a_row_is_learned_beside_the_average_of_other_days() -> None:
    rows = roads()
    network = GraphForecaster(**QUICK)
    network._scales = np.zeros(SERIES, np.float32), np.ones(SERIES, np.float32)
    layout = Layout(6, SERIES, DAY)
    coming = rows.targets.reshape(len(rows.targets), 2, SERIES)
    times = MOMENTS[rows.origins - 1]
    named, (_, others) = network._usual_of(rows.features, coming, layout, times)
    assert others is not None
    changed = coming.copy()
    day = times.astype("datetime64[D]")
    first = day == day.min()
    changed[first] += 1000.0
    _, (_, moved) = network._usual_of(rows.features, changed, layout, times)
    assert moved is not None
    # Midnight and 01:00 after it are of the next day, and smoothing reaches two hours.
    np.testing.assert_allclose(moved[0, 4:22], others[0, 4:22], atol=1e-3)
    assert (moved[5, 8:22] > others[5, 8:22] + 10).all()
    assert named.reshape(len(named), 6, -1)[0, -1, -1] == rows.features[0, -1] + 7


def test_over_many_days_one_of_them_is_not_taken_out() -> None:
    times = np.datetime64("2024-01-01T00:00") + np.arange(DAY * 70) * np.timedelta64(60, "m")
    rows = cut_windows(
        np.ones((len(times), SERIES)), history=6, horizon=2, calendar=calendar_channels(times)
    )
    network = GraphForecaster(**QUICK)
    network._scales = np.zeros(SERIES, np.float32), np.ones(SERIES, np.float32)
    coming = rows.targets.reshape(len(rows.targets), 2, SERIES)
    _, (profile, others) = network._usual_of(
        rows.features, coming, Layout(6, SERIES, DAY), times[rows.origins - 1]
    )
    assert others is None
    assert (profile == 1).all()


def test_series_of_one_unit_share_a_scale() -> None:
    rows = roads()
    quick = QUICK | {"epochs": 1}
    own, common = (
        GraphForecaster(**quick, common_scale=shared).fit(rows.features, rows.targets).graph_
        for shared in (False, True)
    )
    scales = own.scale[:SERIES]
    assert scales[1] > 1.3 * scales[0]
    torch.testing.assert_close(common.scale[:SERIES], scales.mean().repeat(SERIES))
    torch.testing.assert_close(common.target_scale, common.scale[:SERIES].repeat(2))


def test_without_a_season_it_departs_from_the_last_value() -> None:
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(400, 2)), axis=0)
    values[:, 1] += np.sin(np.arange(400) / 2) * 3
    rows = cut_windows(values, history=12, horizon=3)
    known, asked = (Windows(*(p[part] for p in rows)) for part in (slice(300), slice(315, None)))
    network = GraphForecaster(**QUICK | {"shape": (12, 2), "season": None, "epochs": 20})
    learned = network.fit(known.features, known.targets)
    naive = Persistence(shape=(12, 2)).fit(known.features, known.targets)
    assert error(learned, asked) < 0.8 * error(naive, asked)


def test_a_further_fit_goes_on_with_scales_and_weights(fitted: GraphForecaster) -> None:
    known, asked = split(roads())
    before = fitted.predict(asked.features)
    network = GraphForecaster(**QUICK | {"epochs": 1, "learning_rate": 1e-6}, graph=ROAD)
    network.graph_ = fitted.graph_
    network.set_params(warm_start=True).fit(known.features, known.targets)
    assert torch.equal(network.graph_.mean, fitted.graph_.mean)
    assert np.abs(network.predict(asked.features) - before).mean() < 0.3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"graph": np.ones((2, 2))}, r"graph must be \(3, 3\)"),
        ({"graph": -np.ones((3, 3))}, "not negative"),
        ({"shape": (7, 5)}, "does not fold"),
        ({"season": 0}, "steps of a day"),
        ({"embedding": 0}, "embedding must be 1 or more"),
        ({"dropout": -0.1}, "dropout"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters: dict[str, Any], message: str) -> None:
    rows = roads()
    with pytest.raises(InvalidInput, match=message):
        GraphForecaster(**QUICK | parameters).fit(rows.features, rows.targets)
