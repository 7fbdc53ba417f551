"""Repeated 10-fold cross-validation of a whole training, search included.

``LEPTON_TRIALS`` sets how many settings are drawn in each fold (20), ``LEPTON_MODEL`` another model
type than ``auto``.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from protocol import seeds, spread
from sklearn.model_selection import StratifiedKFold

from lepton_ai.ml.evaluation.classification import assess_classification
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace

FOLDS = 10


class Protocol(NamedTuple):
    """What is asked, and what is looked for."""

    name: str
    target: str
    positive: str


def options() -> dict[str, Any]:
    model = os.environ.get("LEPTON_MODEL", "auto")
    return {
        "model_type": model,
        **({"trials": int(os.environ.get("LEPTON_TRIALS", "20"))} if model == "auto" else {}),
    }


def out_of_fold(protocol: Protocol, rows: pl.DataFrame, seed: int) -> tuple[Any, list[float]]:
    """Return the answers to all rows (rows, classes), and the AUC of each fold."""
    labels = rows[protocol.target].to_numpy().astype(str)
    answers = np.empty((len(rows), 2))
    areas = []
    home = tempfile.mkdtemp(prefix="lepton-benchmark-")
    workspace = Workspace.open(home)
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels)
    for train, test in parts:
        model = train_classifier(
            rows[train.tolist()],
            target=protocol.target,
            name=protocol.name,
            positive=protocol.positive,
            seed=seed,
            workspace=workspace,
            **options(),
        )
        answers[test] = model.predict_proba(rows[test.tolist()])
        found = assess_classification(
            labels[test].tolist(),
            answers[test],
            model.classes,
            positive=protocol.positive,
            resamples=1,
        )
        areas.append(float(found.auc or 0.0))
        print(f"    {areas[-1]:.4f} {model.description.leaderboard and model.leaderboard().chosen}",
              flush=True)  # fmt: skip
    shutil.rmtree(home, ignore_errors=True)
    return (answers, model.classes), areas


def report(protocol: Protocol, rows: pl.DataFrame, published: Mapping[str, float]) -> None:
    print(f"{protocol.name}: {len(rows)} rows, {options()}")
    for method, area in published.items():
        print(f"  {method:32} AUC {area:.4f}")
    labels = rows[protocol.target].to_list()
    areas, errors, losses = [], [], []
    for seed in seeds():
        started = time.perf_counter()
        (answers, classes), folds = out_of_fold(protocol, rows, seed)
        found = assess_classification(
            labels, answers, classes, positive=protocol.positive, resamples=1
        )
        areas.append(float(np.mean(folds)))
        errors.append(found.calibration_error)
        losses.append(found.log_loss)
        print(
            f"  seed {seed}: AUC {areas[-1]:.4f} (folds +- {np.std(folds, ddof=1):.3f}, pooled "
            f"{found.auc:.4f}), calibration error {errors[-1]:.4f}, log loss {losses[-1]:.4f}, "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    print(
        f"  ours: AUC {spread(areas, 4)}, expected calibration error {spread(errors, 4)}, log loss "
        f"{spread(losses, 4)} over {len(areas)} seeds"
    )
