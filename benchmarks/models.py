"""Every model of the zoo, task by task: which form is served, how faithful and how fast it is.

Run it with ``python benchmarks/models.py`` (words that a name holds choose some models); the ratios
of one run are what to trust. Classifiers, clusterers and anomaly detectors learn from the breast
cancer records (30 features), regressors from the diabetes records (10), forecasters from two
channels of daily cycles (48 steps of history, 12 steps ahead); a fifth of the rows is held out. The
trained estimator of its own library and the served form answer the same held-out rows, one at a
time and on one thread. The times are those of the quickest call, which other work on the machine
touches least. Networks learn for a few epochs only: neither parity nor time depends on how many.
"""

import sys
import time
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from lepton_ai.data.encoding import Encoding
from lepton_ai.ml import zoo
from lepton_ai.ml.fitting import fit
from lepton_ai.ml.forecasting.windows import cut_windows
from lepton_ai.ml.gate import served_form
from lepton_ai.ml.parity import compare
from lepton_ai.ml.preparation import as_features
from lepton_ai.ml.runtimes.runtime import load_runtime
from lepton_ai.ml.task import CLASSIFICATION, FORECASTING, REGRESSION, TASKS, Task

CALLS = 300
# Enough for the density methods to find clusters in thirty columns, and for a network to be one.
PARAMETERS = {
    "dbscan": {"eps": 4.0},
    "hdbscan": {"min_cluster_size": 3, "min_samples": 2},
}
EPOCHS = 3
HISTORY, HORIZON, CHANNELS = 48, 12, 2

Rows = np.ndarray


@cache
def parts(task: Task) -> list[Rows]:
    """Training and held-out rows, then their targets."""
    if task is FORECASTING:
        steps = np.arange(1200)
        noise = np.random.default_rng(0).normal(0, 0.3, (len(steps), CHANNELS))
        phases = np.arange(CHANNELS)
        values = 10 + 3 * np.sin(2 * np.pi * steps[:, None] / 24 + phases) + noise
        windows = cut_windows(values, history=HISTORY, horizon=HORIZON)
        matrix, target = windows.features.astype(np.float64), windows.targets.astype(np.float64)
        return train_test_split(matrix, target, test_size=0.2, shuffle=False)
    load = load_diabetes if task is REGRESSION else load_breast_cancer
    matrix, target = load(return_X_y=True)
    stratify = target if task is CLASSIFICATION else None
    return train_test_split(matrix, target, test_size=0.2, random_state=0, stratify=stratify)


def microseconds(work: Callable[[Rows], object], rows: list[Rows]) -> float:
    times = []
    for row in rows:
        started = time.perf_counter()
        work(row)
        times.append(time.perf_counter() - started)
    return min(times) * 1e6


def figure(task: Task, answers: Rows, truth: Rows) -> str:
    """Accuracy of a classifier, R2 of a regressor or forecaster."""
    if not task.labelled:
        return "-"
    if task is CLASSIFICATION:
        return f"{accuracy_score(truth, answers.argmax(axis=1)):.3f}"
    return f"{r2_score(truth, answers if truth.ndim == 2 else answers[:, 0]):.3f}"


def measure(task: Task, entry: zoo.Entry) -> str:
    train, test, target, truth = parts(task)
    encoding = Encoding.fit(train, standardise=entry.scaled)
    features, held_out = (as_features(encoding.apply(rows)) for rows in (train, test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = fit(
            entry,
            features,
            target if task.labelled else None,
            task=task,
            seed=0,
            parameters=(
                {"epochs": EPOCHS} if entry.extra == "deep" else PARAMETERS.get(entry.name, {})
            ),
            shape=(HISTORY, CHANNELS) if task is FORECASTING else None,
        )
    form, _, _, data = served_form(task, entry, fitted, features, held_out)
    served = load_runtime(form, data, task)

    class Trained:
        def run(self, matrix: Rows) -> Rows:
            return task.answers(fitted.estimator, matrix)

    shares = task.output == "probabilities"
    parity = compare(Trained(), served, [held_out], shares=shares).difference
    rows = [held_out[[number % len(held_out)]] for number in range(CALLS)]
    with threadpool_limits(1):
        library, ours = microseconds(Trained().run, rows), microseconds(served.run, rows)
    return (
        f"{entry.name:28} {task.name:15} {figure(task, served.run(held_out), truth):>6}  "
        f"{form:11} {parity:7.1e} {library:10.0f} {ours:8.0f} {library / ours:7.1f}"
    )


def main() -> None:
    print(
        f"{'model':28} {'task':15} figure  served as    parity library us  ours us   ratio\n"
        "(figure: accuracy, or R2; parity: largest difference of a probability, or of a value in "
        "standard deviations)"
    )
    wanted = sys.argv[1:]
    for task in TASKS.values():
        for entry in zoo.entries(task.name).values():
            if not wanted or any(word in entry.name for word in wanted):
                print(measure(task, entry), flush=True)


if __name__ == "__main__":
    main()
