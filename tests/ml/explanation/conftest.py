"""Models of every family, trained once on rows whose labels follow from two of five columns."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lepton_ai.ml.model import Model
from lepton_ai.ml.training import train_classifier, train_regressor
from lepton_ai.storage import Workspace

SMALL: dict[str, dict[str, Any]] = {
    "random forest": {"n_estimators": 12},
    "extra trees": {"n_estimators": 12, "min_samples_leaf": 3},
    "histogram gradient boosting": {"max_iter": 12},
    "lightgbm": {"n_estimators": 12},
    "catboost": {"iterations": 12, "depth": 3},
    "multilayer perceptron": {"max_iter": 5000, "hidden_layer_sizes": (8,)},
}

RECORD = {"id": "new", "age": 25, "job": "none", "amount": 1500.0, "smoker": True, "noise": 0.0}


def people(rows: int = 240, seed: int = 0) -> pl.DataFrame:
    """Rows with numbers, gaps, text, truth values and an identifier; `noise` tells nothing."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows).astype(float)
    job = rng.choice(["none", "nurse", "driver"], rows)
    wrong = rng.random(rows) < 0.05
    bad = ((age < 35) | (job == "none")) ^ wrong
    amount = rng.normal(1000, 300, rows)
    cost = 3 * age + np.where(job == "none", 50.0, 0.0) + amount / 100
    age[::17] = np.nan
    return pl.DataFrame(
        {
            "id": [f"customer {n}" for n in range(rows)],
            "age": age,
            "job": job,
            "amount": amount,
            "smoker": rng.random(rows) < 0.3,
            "noise": rng.normal(size=rows),
            "risk": np.where(bad, "bad", "good"),
            "cost": cost,
        }
    ).with_columns(pl.col("age").fill_nan(None))


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Model]]:
    """A classifier of each family by its name, trained when it is first asked for."""
    yield from _trained(tmp_path_factory.mktemp("classifiers") / "home", "risk", train_classifier)


@pytest.fixture(scope="session")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Model]]:
    """A regressor of each family by its name."""
    yield from _trained(tmp_path_factory.mktemp("regressors") / "home", "cost", train_regressor)


def _trained(
    home: Path, target: str, train: Callable[..., Model]
) -> Iterator[Callable[..., Model]]:
    workspace = Workspace.open(home)
    other = "cost" if target == "risk" else "risk"
    frame = people().drop(other)

    @cache
    def model(name: str) -> Model:
        return train(
            frame,
            target=target,
            model_type=name,
            name=name.replace(" ", "-"),
            workspace=workspace,
            **SMALL.get(name, {}),
        )

    yield model
    workspace.close()
