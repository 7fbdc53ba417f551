"""Every classifier of the zoo on the breast cancer records: which form is served, and how fast.

Run it with ``python benchmarks/models.py``; the ratios of one run are what to trust. The trained
scikit-learn estimator and the served form answer the same held-out rows, one at a time and on one
thread, and their probabilities are compared. The times are those of the quickest call, which
other work on the machine touches least.
"""

import tempfile
import time
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_breast_cancer
from threadpoolctl import threadpool_limits

from lepton_ai.data.read_table import read_table
from lepton_ai.data.split import split_data
from lepton_ai.ml import zoo
from lepton_ai.ml.evaluation.evaluating import evaluate
from lepton_ai.ml.fitting import fit
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace

CALLS = 300


def microseconds(work: Callable[[np.ndarray], object], rows: list[np.ndarray]) -> float:
    times = []
    for row in rows:
        started = time.perf_counter()
        work(row)
        times.append(time.perf_counter() - started)
    return min(times) * 1e6


def measure(workspace: Workspace, entry: zoo.Entry) -> str:
    table = read_table(load_breast_cancer(as_frame=True).frame, name="b", workspace=workspace)
    train, test = split_data(table, target="target")
    model = train_classifier(train, model_type=entry.name, target="target", name=entry.name)
    accuracy = evaluate(model, test, resamples=1).accuracy
    codes = train["target"].astype(np.int64)
    trained = fit(entry, model.features(train), codes, seed=0, parameters={}).estimator
    served, held_out = model.predictor, model.features(test)
    parity = np.abs(trained.predict_proba(held_out) - served.run(held_out)).max()
    rows = [held_out[[number % len(held_out)]] for number in range(CALLS)]
    with threadpool_limits(1):
        library, ours = microseconds(trained.predict_proba, rows), microseconds(served.run, rows)
    return (
        f"{entry.name:28} {accuracy:8.3f}  {served.format:7} {parity:7.1e} "
        f"{library:9.0f} {ours:8.0f} {library / ours:7.1f}"
    )


def main() -> None:
    print(
        f"{'model':28} accuracy  served  parity  sklearn us  ours us   ratio\n"
        "(one row of 30 features; parity: largest difference of a probability)"
    )
    with tempfile.TemporaryDirectory() as home:
        workspace = Workspace.open(home)
        for entry in zoo.entries().values():
            print(measure(workspace, entry), flush=True)
        workspace.close()


if __name__ == "__main__":
    main()
