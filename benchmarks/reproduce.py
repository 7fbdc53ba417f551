"""Every model of the zoo trained, then trained again from its lineage in other processes.

Run it with ``python benchmarks/reproduce.py`` (words that a name holds choose some models). Each
model is reproduced in a new process with one thread and in another with two; a column says
``equal`` where every file of the bundle is equal to the last byte, or how far the answers lie
apart. Data as in ``benchmarks/models.py``; networks learn for two epochs.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer, load_diabetes

from lepton_ai.core.settings import Settings
from lepton_ai.ml import zoo
from lepton_ai.ml.reproducing import reproduce
from lepton_ai.ml.task import FORECASTING, REGRESSION, TASKS, Task
from lepton_ai.ml.training import train
from lepton_ai.storage import Workspace

WORKERS = (1, 2)
PARAMETERS = {
    "dbscan": {"eps": 4.0},
    "hdbscan": {"min_cluster_size": 3, "min_samples": 2},
}


def train_one(task: Task, entry: zoo.Entry, workspace: Workspace) -> str:
    options = {"epochs": 2} if entry.extra == "deep" else PARAMETERS.get(entry.name, {})
    options = options | {"task": task.name, "model_type": entry.name, "workspace": workspace}
    options |= {"name": f"{entry.name} {task.name}"}
    if task is FORECASTING:
        steps = np.arange(300)
        rng = np.random.default_rng(0)
        frame = pl.DataFrame(
            {
                name: np.sin(steps / 4 + shift) + rng.normal(0, 0.1, 300)
                for shift, name in enumerate("ab")
            }
        )
        return train(frame, history=12, horizon=3, **options).ref
    rows, target = (load_diabetes if task is REGRESSION else load_breast_cancer)(return_X_y=True)
    return train((rows, target) if task.labelled else rows, **options).ref


def again(home: str, refs: list[str]) -> None:
    """Reproduce models and print what came out, one line each."""
    with_home = Workspace.open(home)
    for ref in refs:
        found = reproduce(ref, workers=int(os.environ["OMP_NUM_THREADS"]), workspace=with_home)
        said = found.verdict
        if found.answers is not None:
            said = f"{found.answers.difference:.1e}"
        elif said == "different":
            said = ", ".join(file.name for file in found.files if not file.equal)
        print(json.dumps([ref, said if said != "impossible" else found.reason]), flush=True)
    with_home.close()


def main() -> None:
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.load(Path(home), {"LEPTON_WORKERS": str(WORKERS[-1])})
        workspace = Workspace.open(settings=settings)
        rows = {}
        for task in TASKS.values():
            for entry in zoo.entries(task.name).values():
                if words and not any(word in entry.name for word in words):
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    rows[train_one(task, entry, workspace)] = (entry.name, task.name)
        workspace.close()
        results = []
        for workers in WORKERS:
            command = [sys.executable, __file__, "--again", home, *rows]
            environment = os.environ | {"OMP_NUM_THREADS": str(workers)}
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            results.append(dict(json.loads(line) for line in done.stdout.splitlines()))
    print(f"{'model':28} {'task':15} " + "".join(f"{n} threads".ljust(26) for n in WORKERS))
    for ref, (name, task_name) in rows.items():
        print(f"{name:28} {task_name:15} " + "".join(each[ref].ljust(26) for each in results))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--again"]:
        again(sys.argv[2], sys.argv[3:])
    else:
        main()
