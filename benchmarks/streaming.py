"""Tables larger than they may be in memory: import of files of 2 GB, and how much memory it takes.

For each format a file of LEPTON_GB (2) gigabytes of numbers, texts and times is written; a process
of its own then imports it, and says how high its memory rose over what it held before; ``ruled`` is
CSV into a table of which two rules read two columns and keep a hundredth of the rows out. The
figure that counts is the last: how many times the memory the file is.

    python benchmarks/streaming.py [csv ndjson parquet ruled]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

GIGABYTES = float(os.environ.get("LEPTON_GB", "2"))
ROWS = 200_000
START = np.datetime64("2024-01-01", "us")
IMPORT = """
import resource, sys, time
import lepton_ai.data.tables.create, lepton_ai.data.readers.delimited, pyarrow.parquet, polars
from lepton_ai.data.read_table import read_table
from lepton_ai.storage import Workspace

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

workspace = Workspace.open(sys.argv[2])
if sys.argv[3] == "ruled":
    from lepton_ai.data.quality import NotNull, Range, set_rules
    set_rules(workspace, "large", [NotNull(column="id"), Range(column="sensor 0", high=2.3263)])
before, start = peak(), time.perf_counter()
table = read_table(sys.argv[1], name="large", workspace=workspace)
print(len(table), time.perf_counter() - start, before, peak())
"""


def frames() -> Iterator[pl.DataFrame]:
    rng = np.random.default_rng(0)
    words = np.array(["north", "south", "east", "west", "centre", "harbour"])
    number = 0
    while True:
        yield pl.DataFrame(
            {
                "id": np.arange(number, number + ROWS),
                "time": START + np.arange(ROWS).astype("timedelta64[us]") * 1_000_000,
                "place": words[rng.integers(0, len(words), ROWS)],
                "note": rng.integers(10**12, 10**13, ROWS).astype(str),
                **{f"sensor {place}": rng.standard_normal(ROWS) for place in range(8)},
            }
        )
        number += ROWS


def delimited(path: Path) -> None:
    with path.open("wb") as file:
        for number, frame in enumerate(frames()):
            frame.write_csv(file, include_header=not number)
            if file.tell() >= GIGABYTES * 1e9:
                return


def ndjson(path: Path) -> None:
    with path.open("wb") as file:
        for frame in frames():
            frame.write_ndjson(file)
            if file.tell() >= GIGABYTES * 1e9:
                return


def parquet(path: Path) -> None:
    source = frames()
    first = next(source).to_arrow()
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        while path.stat().st_size < GIGABYTES * 1e9:
            writer.write_table(next(source).to_arrow())


WRITERS: dict[str, Callable[[Path], None]] = {
    "csv": delimited,
    "ndjson": ndjson,
    "parquet": parquet,
    "ruled": delimited,
}
SUFFIXES = {"ruled": "csv"}


def main() -> None:
    print(f"{'format':8} {'rows':>12} {'file MB':>8} {'seconds':>8} {'before MB':>10} "
          f"{'peak MB':>8} {'file / peak':>12}")  # fmt: skip
    for name in sys.argv[1:] or WRITERS:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / f"large.{SUFFIXES.get(name, name)}"
            WRITERS[name](path)
            size = path.stat().st_size / 1e6
            ran = subprocess.run(
                [sys.executable, "-c", IMPORT, str(path), f"{temporary}/home", name],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            rows, seconds, before, peak = map(float, ran.stdout.split())
            print(f"{name:8} {rows:12,.0f} {size:8,.0f} {seconds:8.0f} {before:10,.0f} "
                  f"{peak:8,.0f} {size / peak:12.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
