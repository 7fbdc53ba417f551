"""Traffic of PEMS08: the next hour of all 170 sensors at once, from the hour before.

Run it with ``python benchmarks/models/traffic.py``.

Protocol: the 12.4 days of the official validation segment (the first 3571 steps of five minutes)
are all that is learned from; the official test windows (3549 of 12 steps in and 12 out, in the 12.4
days after them) are forecast once with what was chosen. Parameters and the number of epochs were
chosen inside the validation segment, by learning from its first 9.4 days and forecasting its
last three (``--choose`` prints that figure); then everything is learned afresh from the whole
segment, with no early stopping. Five seeds. Errors are in vehicles per five minutes, over all
windows, steps and sensors; the share (MAPE) leaves out what is 0.

The published figures (Song et al., AAAI 2020, table 2) were learned from the official training
segment of 37 days, so three times as much.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from protocol import folder, seeds, spread

from lepton_ai.ml.evaluation.forecasting import assess_forecast
from lepton_ai.ml.forecasting import (
    HistoricalAverage,
    Persistence,
    RidgeForecaster,
    Windows,
    calendar_channels,
    cut_windows,
)
from lepton_ai.ml.networks.forecaster import GraphForecaster

HISTORY, HORIZON, DAY = 12, 12, 288
PUBLISHED = {
    "VAR": (23.46, 36.33),
    "LSTM": (22.20, 34.06),
    "Graph WaveNet": (19.13, 31.05),
    "ASTGCN": (18.61, 28.16),
    "STGCN": (18.02, 27.83),
    "DCRNN": (17.86, 27.83),
    "STSGCN": (17.13, 26.80),
}
CHOSEN: dict[str, Any] = {
    "epochs": 6,
    "batch_size": 32,
    "learning_rate": 6e-3,
    "averaging": 0.99,
    "validation": 0.0,
    "common_scale": True,
    "threads": 1,
}
HELD_OUT = 3 * DAY


class Traffic:
    """Flow (steps, sensors), the moment of each step, and the graph of the roads."""

    def __init__(self) -> None:
        where = folder("city/pems08")
        with np.load(where / "pems08_flow_t10713_17855.npz") as file:
            self.flow = file["flow"].astype(np.float32)
            self.learned = int(file["n_val"])
            first = int(file["t0"])
        start = np.datetime64("2016-07-01T00:00")
        self.times = start + (first + np.arange(len(self.flow))) * np.timedelta64(5, "m")
        self.graph = road_graph(where / "PEMS08_distance.csv", self.flow.shape[1])

    def windows(self, first: int, last: int) -> Windows:
        part = slice(first, last)
        return cut_windows(
            self.flow[part],
            history=HISTORY,
            horizon=HORIZON,
            calendar=calendar_channels(self.times[part]),
        )


def road_graph(path: Path, sensors: int) -> np.ndarray:
    """Weigh each road by the Gaussian of its length over the lengths' standard deviation."""
    with path.open(newline="") as file:
        roads = [(int(r["from"]), int(r["to"]), float(r["cost"])) for r in csv.DictReader(file)]
    lengths = np.array([length for _, _, length in roads])
    graph = np.zeros((sensors, sensors), dtype=np.float32)
    for source, sink, length in roads:
        graph[source, sink] = max(np.exp(-((length / lengths.std()) ** 2)), 0.1)
    return graph


def layout(traffic: Traffic) -> dict[str, Any]:
    return {"shape": (HISTORY, traffic.flow.shape[1] + 2), "season": DAY}


def learn(traffic: Traffic, rows: Windows, seed: int, **parameters: Any) -> GraphForecaster:
    network = GraphForecaster(
        **layout(traffic), graph=traffic.graph, random_state=seed, **CHOSEN | parameters
    )
    return network.fit(rows.features, rows.targets, times=traffic.times[rows.origins - 1])


def errors(forecaster: Any, rows: Windows) -> dict[str, float]:
    """Return mean errors over all steps, and of the forecasts 15, 30 and 60 minutes ahead."""
    shape = (len(rows.targets), HORIZON, -1)
    found = assess_forecast(
        rows.targets.reshape(shape),
        forecaster.predict(rows.features).reshape(shape),
        resamples=1,
    )
    at = {f"{5 * step} min": found.steps[step - 1].mae for step in (3, 6, 12)}
    return {"MAE": found.mae, "RMSE": found.rmse, "MAPE %": 100 * (found.mape or 0), **at}


def milliseconds(network: GraphForecaster, rows: Windows, calls: int = 200) -> float:
    """Return the median time of one forecast of all sensors, served as ONNX on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(network.to_onnx(), options, providers=["CPUExecutionProvider"])
    times = []
    for number in range(calls):
        row = rows.features[[number]]
        started = time.perf_counter()
        session.run(None, {"X": row})
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e3)


def line(name: str, figures: dict[str, list[float]], seconds: float) -> str:
    cells = " ".join(f"{spread(values):>15}" for values in figures.values())
    return f"{name:26} {cells} {seconds:8.0f}"


def choose(traffic: Traffic) -> None:
    """Print the error on the last three days of the segment that is learned from."""
    rows = traffic.windows(0, traffic.learned - HELD_OUT)
    asked = traffic.windows(traffic.learned - HELD_OUT - HISTORY, traffic.learned)
    for seed in seeds():
        found = errors(learn(traffic, rows, seed), asked)
        print(seed, {name: round(value, 2) for name, value in found.items()}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="figures that parameters go by")
    wanted = parser.parse_args()
    traffic = Traffic()
    if wanted.choose:
        choose(traffic)
        return
    rows = traffic.windows(0, traffic.learned)
    asked = traffic.windows(traffic.learned, len(traffic.flow))
    print(f"{len(rows.features)} windows to learn from, {len(asked.features)} to forecast")
    for name, (mae, rmse) in PUBLISHED.items():
        print(f"{name + ' (published, 37 days)':32} MAE {mae:.2f}  RMSE {rmse:.2f}")
    for kind in (Persistence, HistoricalAverage, RidgeForecaster):
        started = time.perf_counter()
        found = errors(kind(**layout(traffic)).fit(rows.features, rows.targets), asked)
        figures = {name: [value] for name, value in found.items()}
        if kind is Persistence:
            print(f"{'':26} " + " ".join(f"{name:>15}" for name in figures) + f" {'seconds':>8}")
        print(line(kind.__name__, figures, time.perf_counter() - started), flush=True)
    all_figures: dict[str, list[float]] = {}
    seconds, waits = [], []
    for seed in seeds():
        started = time.perf_counter()
        network = learn(traffic, rows, seed)
        seconds.append(time.perf_counter() - started)
        for name, value in errors(network, asked).items():
            all_figures.setdefault(name, []).append(value)
        waits.append(milliseconds(network, asked))
        latest = {name: values[-1:] for name, values in all_figures.items()}
        print(line(f"seed {seed}", latest, seconds[-1]), flush=True)
    print(line("GraphForecaster", all_figures, float(np.mean(seconds))))
    print(f"one forecast of all sensors, ONNX Runtime on one thread: {max(waits):.2f} ms")


if __name__ == "__main__":
    main()
