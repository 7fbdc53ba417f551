"""``model_type="auto"`` in a minute, beside AutoGluon's medium preset and scikit-learn's defaults.

Run it with ``LEPTON_AUTOGLUON=/path/to/env/bin/python python benchmarks/models/auto.py``, where
that environment holds ``autogluon.tabular`` (tried with 1.6.3 and torch 2.13.0); without it,
only scikit-learn's defaults stand beside ours.

Protocol: four tables (lung nodules, German credit, breast cancer of scikit-learn, AI4I 2020
without the columns that name the kind of failure). For each seed 30 % of the rows, stratified, are
held out; the same training rows go to each system, one after another on the same machine, each with
60 seconds; the held-out rows are asked once. AutoGluon optimises AUC (``roc_auc``), ours the log
loss, as always. Of scikit-learn's nine classifiers with their own defaults the best **on the
held-out rows** is taken, which flatters it. Figures are AUC and log loss; differences have paired
bootstrap intervals of the rows. Five seeds, or LEPTON_SEEDS; LEPTON_TABLES names some tables.
"""

import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from credit import rows as credit_rows
from nodules import rows as nodule_rows
from protocol import folder, seeds, spread
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from lepton_ai.data.encoding import Encoding
from lepton_ai.ml.evaluation.comparison import compare_classification
from lepton_ai.ml.training import train_classifier
from lepton_ai.storage import Workspace

BUDGET = 60
DEFAULTS = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "random forest": RandomForestClassifier(random_state=0),
    "extra trees": ExtraTreesClassifier(random_state=0),
    "gradient boosting": GradientBoostingClassifier(random_state=0),
    "histogram gradient boosting": HistGradientBoostingClassifier(random_state=0),
    "SVC": SVC(probability=True, random_state=0),
    "k-nearest": KNeighborsClassifier(),
    "naive Bayes": GaussianNB(),
    "perceptron": MLPClassifier(random_state=0),
}
AUTOGLUON = """
import sys
import pandas as pd
from autogluon.tabular import TabularPredictor
place, target, positive, seconds = sys.argv[1:]
train, test = (pd.read_csv(f"{place}/{side}.csv", keep_default_na=False, na_values=[""])
               for side in ("train", "test"))
predictor = TabularPredictor(target, path=f"{place}/models", eval_metric="roc_auc", verbosity=0)
predictor.fit(train, presets="medium_quality", time_limit=int(seconds))
predictor.predict_proba(test)[positive].to_csv(f"{place}/answers.csv", index=False, header=False)
"""


def cancer_rows() -> pl.DataFrame:
    found = load_breast_cancer()
    columns = {str(n): found.data[:, place] for place, n in enumerate(found.feature_names)}
    return pl.DataFrame(columns | {"tumour": found.target_names[found.target]})


def failure_rows() -> pl.DataFrame:
    table = pl.read_csv(folder("manufacturing/ai4i2020") / "ai4i2020.csv")
    table = table.drop("UDI", "Product ID", "TWF", "HDF", "PWF", "OSF", "RNF")
    return table.with_columns(pl.col("Machine failure").replace_strict({0: "none", 1: "failure"}))


# name -> rows, target, positive class
TABLES: dict[str, Any] = {
    "nodules": (nodule_rows, "malignant", "malignant"),
    "credit": (credit_rows, "class", "bad"),
    "cancer": (cancer_rows, "tumour", "malignant"),
    "failures": (failure_rows, "Machine failure", "failure"),
}


def ours(train: pl.DataFrame, test: pl.DataFrame, target: str, positive: str, seed: int) -> Any:
    with tempfile.TemporaryDirectory() as home:
        model = train_classifier(
            train,
            target=target,
            name="auto",
            model_type="auto",
            budget=BUDGET,
            seed=seed,
            workspace=Workspace.open(home),
        )
        print(f"      {model.leaderboard().chosen}", flush=True)
        return model.predict_proba(test)[:, model.classes.index(positive)]


def autogluon(train: pl.DataFrame, test: pl.DataFrame, target: str, positive: str) -> Any:
    python = os.environ.get("LEPTON_AUTOGLUON")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as place:
        train.write_csv(Path(place) / "train.csv")
        test.write_csv(Path(place) / "test.csv")
        subprocess.run(
            [python, "-c", AUTOGLUON, place, target, positive, str(BUDGET)],
            check=True,
            capture_output=True,
        )
        return np.loadtxt(Path(place) / "answers.csv")


def default(train: pl.DataFrame, test: pl.DataFrame, target: str, positive: str) -> Any:
    """Return the name and the answers of the default that does best on the held-out rows."""
    encoding = Encoding.fit(train.drop(target))
    known, asked = (encoding.apply(part.drop(target)) for part in (train, test))
    labels = (train[target] == positive).to_numpy()
    truth = (test[target] == positive).to_numpy()
    found = {}
    for name, model in DEFAULTS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[name] = model.fit(known, labels).predict_proba(asked)[:, 1]
    best = max(found, key=lambda name: roc_auc_score(truth, found[name]))
    return best, found[best]


def versus(truth: list[str], first: Any, second: Any, name: str) -> str:
    """Write how ours differs from another in AUC and log loss, with paired intervals."""
    sides = [np.stack([1 - each, each], axis=1) for each in (first, second)]
    found = compare_classification(truth, *sides, ("no", "yes"), positive="yes")
    told = []
    for figure in ("auc", "log_loss"):
        item = found[figure]
        low, high = item.interval or (np.nan, np.nan)
        told.append(f"{figure} {item.difference:+.4f} ({low:+.4f} to {high:+.4f})")
    return f"ours less {name}: {', '.join(told)}"


def measure(name: str) -> None:
    make, target, positive = TABLES[name]
    table = make()
    print(f"\n{name}: {len(table)} rows, {table.width - 1} columns", flush=True)
    areas: dict[str, list[float]] = {}
    for seed in seeds():
        places = np.arange(len(table))
        train, test = train_test_split(
            places, test_size=0.3, stratify=table[target].to_numpy(), random_state=seed
        )
        sides = table[train.tolist()], table[test.tolist()]
        truth = np.where(sides[1][target].to_numpy() == positive, "yes", "no").tolist()
        started = time.perf_counter()
        answers = {"ours": ours(*sides, target, positive, seed)}
        seconds = [time.perf_counter() - started]
        started = time.perf_counter()
        theirs = autogluon(*sides, target, positive)
        seconds.append(time.perf_counter() - started)
        if theirs is not None:
            answers["AutoGluon"] = theirs
        best, answers["best default"] = default(*sides, target, positive)
        for system, given in answers.items():
            area = float(roc_auc_score(np.array(truth) == "yes", given))
            areas.setdefault(system, []).append(area)
        shown = ", ".join(f"{system} {values[-1]:.4f}" for system, values in areas.items())
        print(f"  seed {seed}: AUC {shown} ({best}); {seconds[0]:.0f} and {seconds[1]:.0f} s")
        for system, given in list(answers.items())[1:]:
            print(f"    {versus(truth, answers['ours'], given, system)}", flush=True)
    for system, values in areas.items():
        print(f"  {system:14} AUC {spread(values, 4)}")


if __name__ == "__main__":
    chosen = os.environ.get("LEPTON_TABLES", ",".join(TABLES))
    for each in chosen.split(","):
        measure(each)
