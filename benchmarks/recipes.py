"""Recipe against bare Polars and pandas: clean, impute, clip, derive, group and write 5 M rows.

Each runs in a process of its own, in turn and in changing order, several times; what is printed
are the medians, their ratios to bare Polars as one lazy query written by hand, the spread of the
ratios over the rounds, and the peak memory. All write the same rows into the same form of file.
"polars" is what is usually written: the mean is taken of rows that were collected before.

    python benchmarks/recipes.py            # LEPTON_ROWS=5000000 LEPTON_ROUNDS=5
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = int(os.environ.get("LEPTON_ROWS", "5000000"))
ROUNDS = int(os.environ.get("LEPTON_ROUNDS", "5"))


def make(path: Path) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    unique = int(ROWS * 0.9)
    frame = pl.DataFrame(
        {
            "id": np.arange(unique),
            "group": random.integers(0, 1000, unique),
            "x": random.normal(50, 20, unique),
            "y": random.normal(size=unique),
            "z": random.integers(0, 100, unique),
        }
    ).with_columns(x=pl.when(pl.col("id") % 10 > 0).then("x"))
    pl.concat([frame, frame[: ROWS - unique]]).sample(
        fraction=1, shuffle=True, seed=1
    ).write_parquet(path)


def polars(source: Path, target: Path) -> None:
    import polars as pl

    frame = pl.scan_parquet(source).unique().collect()
    mean = frame["x"].mean()
    (
        frame.lazy()
        .with_columns(pl.col("x").fill_null(mean).clip(0, 100))
        .with_columns(w=pl.col("x") * 2 + pl.col("y"))
        .group_by("group")
        .agg(pl.sum("w").alias("total"), pl.mean("x").alias("mean"), pl.max("z").alias("most"))
        .collect()
        .write_parquet(target)
    )


def polars_lazy(source: Path, target: Path) -> None:
    import polars as pl

    (
        pl.scan_parquet(source)
        .unique()
        .with_columns(pl.col("x").fill_null(pl.col("x").mean()).clip(0, 100))
        .with_columns(w=pl.col("x") * 2 + pl.col("y"))
        .group_by("group")
        .agg(pl.sum("w").alias("total"), pl.mean("x").alias("mean"), pl.max("z").alias("most"))
        .collect()
        .write_parquet(target)
    )


def recipe(source: Path, target: Path) -> None:
    import polars as pl

    from lepton_ai.data.recipes import Aggregate, Deduplicate, Derive, Impute, Outliers, Recipe

    steps = Recipe.of(
        Deduplicate(),
        Impute(columns=("x",), method="mean"),
        Outliers(columns=("x",), method="given", bounds={"x": (0.0, 100.0)}),
        Derive(columns={"w": "x * 2 + y"}),
        Aggregate(by=("group",), values={"total": "sum(w)", "mean": "mean(x)", "most": "max(z)"}),
    )
    _, result = steps.fit_apply(pl.scan_parquet(source))
    result.collect().write_parquet(target)


def pandas(source: Path, target: Path) -> None:
    import pandas as pd

    frame = pd.read_parquet(source).drop_duplicates()
    frame["x"] = frame["x"].fillna(frame["x"].mean()).clip(0, 100)
    frame["w"] = frame["x"] * 2 + frame["y"]
    frame.groupby("group").agg(
        total=("w", "sum"), mean=("x", "mean"), most=("z", "max")
    ).reset_index().to_parquet(target)


WAYS = {"polars": polars, "polars lazy": polars_lazy, "recipe": recipe, "pandas": pandas}


def child(name: str, source: str, target: str) -> None:
    # Imports are not what is compared.
    import pandas  # noqa: F401
    import polars  # noqa: F401

    import lepton_ai.data.recipes  # noqa: F401

    start = time.perf_counter()
    WAYS[name](Path(source), Path(target))
    wall = time.perf_counter() - start
    print(wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    import polars as pl
    from polars.testing import assert_frame_equal

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.parquet"
        subprocess.run([sys.executable, __file__, "make", str(source)], check=True)
        walls: dict[str, list[float]] = {name: [] for name in WAYS}
        peaks: dict[str, float] = dict.fromkeys(WAYS, 0.0)
        for turn in range(ROUNDS):
            names = [*WAYS]
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                target = Path(folder) / f"{name}.parquet"
                command = [sys.executable, __file__, name, str(source), str(target)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                wall, peak = map(float, done.stdout.split())
                walls[name].append(wall)
                peaks[name] = max(peaks[name], peak)
        results = [pl.read_parquet(Path(folder) / f"{name}.parquet").sort("group") for name in WAYS]
        for other in results[1:]:
            assert_frame_equal(results[0], other, rel_tol=1e-9)
    print(f"{ROWS:,} rows, {ROUNDS} rounds; ratios to one lazy query of bare Polars\n")
    print(f"{'way':12} {'seconds':>8} {'ratio':>6} {'lowest':>7} {'highest':>8} {'peak MB':>8}")
    for name in WAYS:
        ratios = [mine / base for mine, base in zip(walls[name], walls["polars lazy"], strict=True)]
        print(
            f"{name:12} {statistics.median(walls[name]):8.2f} {statistics.median(ratios):6.2f} "
            f"{min(ratios):7.2f} {max(ratios):8.2f} {peaks[name]:8.0f}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        child(*sys.argv[1:])
