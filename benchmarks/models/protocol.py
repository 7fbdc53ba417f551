"""What the benchmarks of accuracy share: where the data lies, the seeds, how figures are printed.

``LEPTON_DATASETS`` names the folder of the data sets (by default ``../shared/data`` beside the
project), ``LEPTON_SEEDS`` how many seeds are run (five by default).
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]


def folder(name: str) -> Path:
    """Return the folder of a data set."""
    root = Path(os.environ.get("LEPTON_DATASETS", PROJECT.parent / "shared" / "data"))
    if not (root / name).is_dir():
        raise SystemExit(f"{root / name} is missing; set LEPTON_DATASETS to the data sets' folder")
    return root / name


def seeds() -> range:
    return range(int(os.environ.get("LEPTON_SEEDS", "5")))


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write the mean of several seeds and their standard deviation; of one seed its value."""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} +- {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean
