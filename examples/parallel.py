"""A permutation test on all cores: is a difference of means more than chance?

python examples/parallel.py [threads | processes | ray]

The table is shared with the workers once and each task shuffles with a seed of its own, so the
result is the same on any engine and any number of workers. Ray needs `pip install
'lepton-ai[cluster]'`.
"""

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer

from lepton_ai import DistributedComputing

ENGINES = {
    "threads": DistributedComputing.ThreadEngine,
    "processes": DistributedComputing.ProcessEngine,
    "ray": DistributedComputing.RayEngine,
}
TASKS, SHUFFLES = 40, 250


def extremes(values: np.ndarray, malignant: np.ndarray, seed: int) -> np.ndarray:
    """Return for each column how many shuffles differ as much as the true labels do."""
    random = np.random.default_rng(seed)
    observed = difference(values, malignant)
    shuffled = (difference(values, random.permutation(malignant)) for _ in range(SHUFFLES))
    return sum((other >= observed).astype(np.int64) for other in shuffled)


def difference(values: np.ndarray, malignant: np.ndarray) -> np.ndarray:
    return np.abs(values[malignant].mean(axis=0) - values[~malignant].mean(axis=0))


def main(kind: str = "processes") -> None:
    bunch = load_breast_cancer()
    with ENGINES[kind]() as engine:
        values, malignant = engine.put(bunch.data), engine.put(bunch.target == 0)
        futures = [engine.submit(extremes, values, malignant, seed) for seed in range(TASKS)]
        counts = sum(future.result() for future in futures)
    for name, count in zip(bunch.feature_names, counts, strict=True):
        print(f"{name:26} p = {(count + 1) / (TASKS * SHUFFLES + 1):.4f}")


if __name__ == "__main__":
    if len(sys.argv) > 2 or not set(sys.argv[1:]) <= ENGINES.keys():
        sys.exit(__doc__)
    main(*sys.argv[1:])
