"""Remaining useful life of turbofan engines (C-MAPSS FD001 and FD003) by an LSTM.

Run it with ``python benchmarks/models/turbofan.py``.

Protocol: everything is learned from the training engines; the last cycle of each of the 100 test
engines is then predicted. The target is learned up to 125 cycles, as most papers have it; errors
on the test engines are of the raw truth, which goes beyond that, and next to it of the truth
capped there. Channels, the length of the history, sizes, rates and the number of epochs go by
cross-validation whose folds are whole training engines (``--choose`` prints that figure: the error
of every cycle of the held-out engines against the capped life); then everything is learned from
all training engines, with no early stopping. Five seeds. What that figure hangs on most is how many
first cycles say what an engine is like when new: 30 of them, with a history of 20, err by 8.28 and
8.50 cycles on FD001 and FD003; 10, with a history of 40, by 9.88 and 9.79.

An alarm is raised at the first cycle whose predicted life is 30 cycles or less. Its lead, the
cycles left when it comes, is measured on training engines that were held out, which ran to
failure: the fold of each seed, so that every engine is held out once (by one member of the three
that are averaged otherwise). The score is that of Saxena et al. (2008), summed over the test
engines.
"""

import argparse
import lzma
import time
from typing import Any, NamedTuple

import numpy as np
from protocol import folder, seeds, spread

from lepton_ai.ml.evaluation.remaining_life import LifeEvaluation, assess_remaining_life
from lepton_ai.ml.forecasting import histories, settled_mean, smoothed
from lepton_ai.ml.networks.recurrent import RemainingLifeRegressor

SETS = ("FD001", "FD003")
PUBLISHED = {
    "LSTM (Zheng et al., 2017)": {"FD001": 16.14, "FD003": 16.18},
    "deep CNN (Li et al., 2018)": {"FD001": 12.61, "FD003": 12.64},
    "our LightGBM on statistics of windows": {"FD001": 13.17, "FD003": 11.95},
}
STEPS = 20
# The cycles whose mean stands for the engine as it was when new.
NEW = 30
LONGEST = 125.0
ALARM, NEEDED = 30.0, 10.0
FOLDS = 5
# A sensor that moves less than this over all engines is constant but for rounding.
LEAST_DEVIATION = 1e-6
FIRST_SENSOR = 5
# Neighbouring windows tell nearly the same: every third one is learned from.
STRIDE = 3
CHOSEN: dict[str, Any] = {
    "cell": "lstm",
    "width": 32,
    "dropout": 0.2,
    "epochs": 12,
    "batch_size": 128,
    "learning_rate": 8e-3,
    "validation": 0.0,
    "members": 3,
    "longest": LONGEST,
    "threads": 1,
}


class Engine(NamedTuple):
    """One engine's history up to each of its cycles, and the life that was left."""

    rows: np.ndarray
    life: np.ndarray


class Turbofan:
    """The engines of one set: those learned from, which ran to failure, and the test engines."""

    def __init__(self, name: str) -> None:
        where = folder("manufacturing/cmapss")
        train = table(where / f"train_{name}.txt.xz")
        test = table(where / f"test_{name}.txt.xz")
        left = np.loadtxt(where / f"RUL_{name}.txt")
        moving = train[:, FIRST_SENSOR:].std(axis=0) > LEAST_DEVIATION
        self.sensors = FIRST_SENSOR + np.flatnonzero(moving)
        self.learned = [self.engine(record, 0) for record in units(train)]
        self.asked = [
            self.engine(record, last) for record, last in zip(units(test), left, strict=True)
        ]

    def engine(self, record: np.ndarray, left: float) -> Engine:
        sensors = record[:, self.sensors]
        start, recent = settled_mean(sensors, NEW), smoothed(sensors, 0.2)
        channels = [
            sensors - start,
            smoothed(sensors, 0.05) - start,
            recent - start,
            recent,
            record[:, 1:2],
        ]
        rows = histories(np.concatenate(channels, axis=1), STEPS)
        return Engine(rows, left + np.arange(len(record))[::-1])


def table(path: Any) -> np.ndarray:
    with lzma.open(path, "rt") as file:
        return np.loadtxt(file)


def units(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[rows[:, 0] == unit] for unit in np.unique(rows[:, 0])]


def learn(engines: list[Engine], seed: int, **parameters: Any) -> RemainingLifeRegressor:
    some = [slice(place % STRIDE, None, STRIDE) for place in range(len(engines))]
    rows = np.concatenate([e.rows[part] for e, part in zip(engines, some, strict=True)])
    life = np.concatenate([e.life[part] for e, part in zip(engines, some, strict=True)])
    shape = (STEPS, rows.shape[1] // STEPS)
    network = RemainingLifeRegressor(shape=shape, random_state=seed, **CHOSEN | parameters)
    return network.fit(rows, life)


def assess(network: RemainingLifeRegressor, engines: list[Engine], cap: float) -> LifeEvaluation:
    """Measure every cycle of some engines, the life being capped."""
    numbers = np.repeat(np.arange(len(engines)), [len(engine.life) for engine in engines])
    return assess_remaining_life(
        np.minimum(np.concatenate([engine.life for engine in engines]), cap),
        network.predict(np.concatenate([engine.rows for engine in engines])),
        units=numbers,
        limit=ALARM,
        needed=NEEDED,
        resamples=1,
    )


def held_out(engines: list[Engine], fold: int) -> tuple[list[Engine], list[Engine]]:
    order = np.random.default_rng(0).permutation(len(engines))
    asked = set(order[fold::FOLDS].tolist())
    return (
        [engine for place, engine in enumerate(engines) if place not in asked],
        [engines[place] for place in sorted(asked)],
    )


def choose(name: str, **parameters: Any) -> float:
    """Return the cross-validated error against the capped life."""
    engines = Turbofan(name).learned
    squares = []
    for fold in range(FOLDS):
        own, others = held_out(engines, fold)
        network = learn(own, 0, **{"members": 1} | parameters)
        squares.append(assess(network, others, LONGEST).rmse ** 2)
    return float(np.mean(squares) ** 0.5)


def measure(name: str) -> None:
    engines = Turbofan(name)
    print(f"\n{name}: {len(engines.learned)} engines, {len(engines.sensors)} sensors that move")
    for method, figures in PUBLISHED.items():
        print(f"  {method:40} RMSE {figures[name]:.2f}")
    print(f"  {'':6} {'RMSE':>6} {'capped':>6} {'score':>6} | {'warned':>6} {'median':>6} "
          f"{'10 %':>6} {'early':>6} | seconds")  # fmt: skip
    found: dict[str, list[float]] = {}
    for seed in seeds():
        started = time.perf_counter()
        network = learn(engines.learned, seed)
        seconds = time.perf_counter() - started
        raw = assess(network, engines.asked, np.inf)
        capped = assess(network, engines.asked, LONGEST)
        own, others = held_out(engines.learned, seed % FOLDS)
        alarms = assess(learn(own, seed, members=1), others, np.inf)
        row = {
            "RMSE": raw.last_rmse,
            "capped": capped.last_rmse,
            "score": raw.score,
            "warned": 100 * (alarms.warned or 0.0),
            "lead": alarms.median_lead or 0.0,
            "short": alarms.short_lead or 0.0,
            "early": 100 * (alarms.premature or 0.0),
            "seconds": seconds,
        }
        for figure, value in row.items():
            found.setdefault(figure, []).append(value)
        print(f"  seed {seed} {row['RMSE']:6.2f} {row['capped']:6.2f} {row['score']:6.0f} | "
              f"{row['warned']:5.0f}% {row['lead']:6.0f} {row['short']:6.0f} {row['early']:5.0f}% "
              f"| {seconds:.0f}", flush=True)  # fmt: skip
    print(
        f"  LSTM: RMSE {spread(found['RMSE'])}, against the capped truth "
        f"{spread(found['capped'])}, score {spread(found['score'], 0)}, "
        f"{np.mean(found['seconds']):.0f} s a fit"
    )
    print(
        f"  alarm at {ALARM:.0f} cycles: {np.mean(found['warned']):.0f} % of engines warned at "
        f"least {NEEDED:.0f} cycles before failure; median lead {np.mean(found['lead']):.0f}, a "
        f"tenth below {np.mean(found['short']):.0f} cycles; more than {2 * ALARM:.0f} cycles "
        f"early {np.mean(found['early']):.0f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="figures that parameters go by")
    parser.add_argument("sets", nargs="*", default=SETS, help="FD001, FD003 or both")
    wanted = parser.parse_args()
    for name in wanted.sets:
        if wanted.choose:
            print(f"{name}: cross-validated RMSE against the capped life {choose(name):.2f}")
        else:
            measure(name)


if __name__ == "__main__":
    main()
