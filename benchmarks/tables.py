"""Encrypted tables against plain PyIceberg: writing and reading the same 5 M rows, and appends.

Each round writes and reads once in either way, in turn; what is printed are ratios of times within
one round. Plain is PyIceberg alone, with its own files and SQL catalog.

    python benchmarks/tables.py            # LEPTON_ROWS=5000000 LEPTON_ROUNDS=5
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyiceberg.catalog.sql import SqlCatalog

from lepton_ai.data.read_table import read_table
from lepton_ai.data.tables import Scan, store_table
from lepton_ai.storage import Workspace

ROWS = int(os.environ.get("LEPTON_ROWS", "5000000"))
ROUNDS = int(os.environ.get("LEPTON_ROUNDS", "5"))


def rows(seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "x": random.normal(size=ROWS),
            "y": random.normal(size=ROWS),
            "group": random.integers(0, 1000, ROWS),
            "text": pl.Series(random.integers(0, 50_000, ROWS)).cast(pl.String),
            "flag": random.random(ROWS) > 0.5,
        }
    )


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    ratios: dict[str, list[float]] = {"write": [], "scan": [], "scan one column": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workspace = Workspace.open(home / "home")
        plain = SqlCatalog(
            "plain",
            uri=f"sqlite:///{home / 'plain.db'}",
            warehouse=f"file://{home / 'plain'}",
            **{"write.parquet.compression-codec": "zstd"},
        )
        plain.create_namespace("n")
        for number in range(ROUNDS + 1):
            frame = rows(number)
            arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            table = plain.create_table(f"n.t{number}", schema=arrow.schema)
            theirs = [timed(lambda t=table, a=arrow: t.append(a))]
            nodes: list[Any] = []
            ours = [
                timed(
                    lambda f=frame, n=number, kept=nodes: kept.append(
                        store_table(workspace, f"t{n}", [f])
                    )
                )
            ]
            for columns in (frame.columns, ["group"]):
                scan = table.scan(selected_fields=tuple(columns))
                theirs.append(timed(lambda s=scan: pl.from_arrow(s.to_arrow())))
                ours.append(timed(lambda c=columns, n=nodes: Scan(workspace, n[0]).frame(c)))
            if number:  # the first round warms caches up
                for name, mine, base in zip(ratios, ours, theirs, strict=True):
                    ratios[name].append(mine / base)
        small = read_table({"n": [0]}, name="small", workspace=workspace)
        appends = [timed(lambda: small.append({"n": [1]})) for _ in range(30)]
        workspace.close()
        plain.close()
    print(f"{ROWS:,} rows, {ROUNDS} rounds; ratios of encrypted tables to plain PyIceberg\n")
    print(f"{'what':16} {'ratio':>6} {'lowest':>7} {'highest':>8}")
    for name, found in ratios.items():
        print(f"{name:16} {statistics.median(found):6.2f} {min(found):7.2f} {max(found):8.2f}")
    print(f"\nan append of one row: {1000 * statistics.median(appends):.0f} ms")


if __name__ == "__main__":
    main()
