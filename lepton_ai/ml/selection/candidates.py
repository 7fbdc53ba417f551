"""Candidates: which models of the zoo are tried on data of which size, as a table. A leaf."""

from typing import Any

from msgspec import Struct

from lepton_ai.ml.task import Task
from lepton_ai.ml.zoo import Entry, entries

__all__ = ["CANDIDATES", "Candidate", "plausible"]


class Candidate(Struct, frozen=True, kw_only=True):
    """One kind of model that is worth trying.

    Attributes:
        model: its name in the zoo.
        least_rows: below so many it only follows chance.
        most_rows: beyond so many it takes too long.
        most_cells: likewise for rows times features.
        images: whether it is for images alone.
        least_budget: seconds below which one fit would take them all.
        settings: parameters that are tried before any are drawn. Beside the zoo's own, which suit
            many rows, these are shallower or smoother, as few rows want them.
    """

    model: str
    least_rows: int = 0
    most_rows: int = 10_000_000
    most_cells: int = 1_000_000_000
    images: bool = False
    least_budget: float = 0.0
    settings: tuple[dict[str, Any], ...] = ({},)


# In the order in which they are tried: the baseline, what is quick, what is usually best.
CANDIDATES = (
    Candidate(model="baseline"),
    Candidate(model="logistic regression", most_cells=100_000_000, settings=({}, {"C": 0.1})),
    Candidate(model="ridge", most_cells=100_000_000, settings=({}, {"alpha": 30.0})),
    Candidate(
        model="lightgbm",
        least_rows=50,
        settings=(
            {},
            {
                "num_leaves": 8,
                "learning_rate": 0.02,
                "n_estimators": 300,
                "colsample_bytree": 0.4,
                "min_child_samples": 8,
                "subsample": 0.7,
            },
        ),
    ),
    Candidate(
        model="random forest",
        most_rows=500_000,
        settings=({}, {"min_samples_leaf": 3, "n_estimators": 300}),
    ),
    Candidate(
        model="catboost",
        least_rows=50,
        most_cells=50_000_000,
        settings=({"depth": 4, "iterations": 300, "learning_rate": 0.04}, {}),
    ),
    Candidate(
        model="extra trees",
        most_rows=500_000,
        settings=({}, {"min_samples_leaf": 3, "max_features": 0.5}),
    ),
    Candidate(
        model="histogram gradient boosting",
        least_rows=50,
        settings=({}, {"max_leaf_nodes": 5, "learning_rate": 0.05, "min_samples_leaf": 10}),
    ),
    Candidate(model="svm", most_rows=5_000, settings=({}, {"C": 2.0, "gamma": 0.01})),
    Candidate(
        model="multilayer perceptron",
        least_rows=200,
        most_cells=5_000_000,
        settings=({"hidden_layer_sizes": 32, "alpha": 1.0, "max_iter": 200},),
    ),
    Candidate(model="k-nearest", least_rows=60, most_rows=20_000, settings=({"n_neighbors": 25},)),
    Candidate(model="naive bayes", most_cells=100_000_000),
    Candidate(model="lasso", most_cells=20_000_000),
    Candidate(model="deep perceptron", least_rows=1000, most_cells=5_000_000, least_budget=60),
    Candidate(model="cnn", least_rows=200, images=True, least_budget=300),
)


def plausible(
    task: Task, rows: int, features: int, shape: tuple[int, ...] | None, budget: float | None
) -> list[tuple[Entry, dict[str, Any]]]:
    """Return the models to try with their settings: the first of each model, then the second.

    Args:
        task: what for.
        rows: how many there are.
        features: of a row.
        shape: how a row folds, where it does.
        budget: seconds in all; None where trials are counted.
    """
    known = entries(task.name)
    images = shape is not None and len(shape) > 1
    chosen = [
        each
        for each in CANDIDATES
        if each.model in known
        and each.least_rows <= rows <= each.most_rows
        and rows * features <= each.most_cells
        and (images or not each.images)
        and (budget is None or budget >= each.least_budget)
    ]
    return [
        (known[each.model], each.settings[place])
        for place in range(max(len(each.settings) for each in CANDIDATES))
        for each in chosen
        if place < len(each.settings)
    ]
