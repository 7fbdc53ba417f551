"""Train `turbofan-life`: an LSTM on the engines of C-MAPSS FD001 and FD003.

Run it with ``python pretraining/turbofan_life.py``. It learns from all 200 training engines, which
ran to failure, from windows of their last 40 cycles; the last cycle of each of the 200 test engines
is answered once. Unlike ``benchmarks/models/turbofan.py`` it reads the sensors as they are, without
smoothed channels, as two networks instead of three, for four epochs of all windows instead of
twelve of every second one.
"""

import lzma
import time
from typing import Any

import numpy as np
import polars as pl
from shipping import digests, folder, scratch, ship

from lepton_ai.ml.training import train_regressor

WHERE = "manufacturing/cmapss"
SETS = ("FD001", "FD003")
WINDOW = 40
CHOSEN: dict[str, Any] = {
    "width": 32,
    "epochs": 4,
    "members": 2,
    "batch_size": 128,
    "learning_rate": 8e-3,
    "validation": 0.0,
    "longest": 125.0,
}
SENSORS = [f"sensor{n}" for n in range(1, 22)]
COLUMNS = ["engine", "cycle", "setting1", "setting2", "setting3", *SENSORS]
# The others do not move in these sets, whose engines fly under one condition.
MOVING = [f"sensor{n}" for n in (2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)]


def engines(part: str, name: str) -> pl.DataFrame:
    """Return the cycles of a set's engines, which are numbered on from set to set."""
    with lzma.open(folder() / WHERE / f"{part}_{name}.txt.xz", "rt") as file:
        frame = pl.DataFrame(np.loadtxt(file), schema=COLUMNS)
    number = pl.col("engine").cast(pl.Int64) + 1000 * int(name[-1])
    return frame.with_columns(number).select("engine", "cycle", *MOVING)


def capped(life: np.ndarray) -> np.ndarray:
    return np.minimum(life, CHOSEN["longest"])


def main() -> None:
    started = time.process_time()
    learned = pl.concat([engines("train", name) for name in SETS]).with_columns(
        life=pl.col("cycle").max().over("engine") - pl.col("cycle"), moment=pl.col("cycle")
    )
    with scratch() as place:
        model = train_regressor(
            learned, target="life", groups="engine", time="moment", window=WINDOW,
            model_type="remaining life lstm", name="engines", workspace=place, **CHOSEN,
        )  # fmt: skip
        figures = {}
        for name in SETS:
            test = engines("test", name)
            records = [one.to_dicts() for one in test.partition_by("engine", maintain_order=True)]
            series = [[{c: step[c] for c in ("cycle", *MOVING)} for step in one] for one in records]
            truth = np.loadtxt(folder() / WHERE / f"RUL_{name}.txt")
            answers = model.predict(series)
            for told, known in (("raw truth", truth), ("truth capped at 125", capped(truth))):
                error = np.sqrt(((known - answers) ** 2).mean())
                figures[f"{name}: RMSE against the {told}, cycles"] = f"{error:.2f}"
        paths = [f"{WHERE}/{part}_{name}.txt{end}" for name in SETS
                 for part, end in (("train", ".xz"), ("test", ".xz"), ("RUL", ""))]  # fmt: skip
        ship(
            model, "turbofan-life", "turbofan_life.py", started,
            title="cycles left to a turbofan engine, an LSTM over its last 40 cycles",
            data="NASA C-MAPSS FD001 and FD003 (simulated engines): the 200 training engines "
            "learned from, the 200 test engines for the figures",
            sources=digests(*paths),
            licence="US Government work of the NASA Prognostics Center of Excellence, free of "
            "copyright in the United States",
            attribution="A. Saxena, K. Goebel, D. Simon and N. Eklund, Damage propagation modeling "
            "for aircraft engine run-to-failure simulation, PHM 2008",
            unconfirmed="the copy read here came without a licence text",
            protocol="The last known cycle of each test engine was answered once. One seed; number "
            "of epochs and sizes near those of benchmarks/models/turbofan.py. Published on raw "
            "truth: LSTM (Zheng et al., 2017) 16.14 and 16.18, deep CNN (Li et al., 2018) 12.61 "
            "and 12.64.",
            figures=figures,
            use="Research, teaching, and a start for fine-tuning on engines with these sensors.",
            inputs="the last 40 cycles of an engine, oldest first (fewer are padded): cycle and "
            "sensors 2-4, 6-9, 11-15, 17, 20 and 21 of C-MAPSS in its units (temperatures in "
            "degrees Rankine, pressures in psia, speeds in rpm, flows in lbm/s)",
            limits=(
                "The engines are simulated; no real engine's maintenance may rest on it.",
                "One flight condition (sea level), wear of the high-pressure compressor or of the "
                "fan.",
                "Lives beyond 125 cycles are all answered as about 125.",
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
