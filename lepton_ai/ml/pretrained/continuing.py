"""Continuing: a further fit of a network from its weights, or of boosting from its trees.

A row of `WAYS` for each form that a fit can begin with.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.ml import zoo
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.fitting import Fitted
from lepton_ai.ml.model import Model
from lepton_ai.ml.networks.holdout import hold_out
from lepton_ai.ml.runtimes.runtime import FORMATS
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["WAYS", "Start"]

Matrix = NDArray[np.float64]

# Of the rows, those that tell when to stop; ten at least.
_HELD_OUT = 0.2
# A tenth of the rate that the model was made with keeps what it knows.
_GENTLER = 0.1
_NETWORK = {
    "epochs": 20,
    "validation": _HELD_OUT,
    "patience": 5,
    "averaging": 0.0,
    "schedule": "constant",
}
_SMALLEST_BATCH = 16
_MANY = 5000
_MORE_TREES, _PATIENCE = 100, 10
# Without rows to stop on, few trees do little harm.
_FEW_TREES = 20


class Start(Struct, frozen=True):
    """What a further fit begins with."""

    base: Model
    task: Task
    examples: Examples
    matrix: Matrix
    target: Any
    classes: tuple[str, ...]
    groups: Any
    times: Any
    seed: int
    workers: int

    @property
    def same_classes(self) -> bool:
        """Whether what is to be told apart is what the model tells apart already."""
        return self.task is not CLASSIFICATION or self.classes == self.base.classes


def _network(start: Start, parameters: Mapping[str, Any]) -> tuple[Fitted, dict[str, Any]]:
    """Go on from the weights of a network."""
    read = load("lepton_ai.ml.networks.weights:loads", extra="deep")
    network = read(start.base.bundle.read(FORMATS["safetensors"].file))
    known = network.get_params(deep=False)
    # Few rows are taken in small steps, or there would hardly be any.
    batch = max(_SMALLEST_BATCH, min(known["batch_size"], len(start.matrix) // _SMALLEST_BATCH))
    usual = _NETWORK | {
        "learning_rate": known["learning_rate"] * _GENTLER,
        "batch_size": batch,
    }
    changed = usual | dict(parameters)
    _check_known(changed, known, start.base)
    if not start.same_classes:
        network.graph_ = _headless(network, len(start.classes))
    # Threads pay with many rows; with few they wait for each other.
    threads = start.workers if len(start.matrix) > _MANY else 1
    network.set_params(**changed, warm_start=True, random_state=start.seed, threads=threads)
    weights = {} if start.examples.weights is None else {"sample_weight": start.examples.weights}
    try:
        network.fit(start.matrix, start.target, groups=start.groups, times=start.times, **weights)
    except ValueError as error:
        raise InvalidInput(f"{start.base.ref} cannot learn on from this data: {error}") from error
    network.set_params(threads=None, warm_start=False)
    return _as_fitted(network, start), changed


def _headless(network: Any, classes: int) -> Any:
    """Return a network's graph whose last layer fits nothing, so that a fit begins it afresh.

    What has another shape for another number of answers is the last layer.
    """
    before = network.graph_
    graph = network._empty_graph(len(before.mean), max(classes, before.outputs) + 1)
    fresh = graph.state_dict()
    kept = {
        name: value
        for name, value in before.state_dict().items()
        if name in fresh and fresh[name].shape == value.shape
    }
    graph.load_state_dict(kept, strict=False)
    return graph


def _boosting(start: Start, parameters: Mapping[str, Any]) -> tuple[Fitted, dict[str, Any]]:
    """Add trees to those of a LightGBM model."""
    if not start.same_classes:
        raise InvalidInput(
            f"{start.base.ref} tells {', '.join(start.base.classes)} apart, the data "
            f"{', '.join(start.classes)}: trees can only be added for the same classes; train a "
            "model of your own"
        )
    said = start.base.description
    entry = zoo.find(said.model_type, said.task)
    rows, held = hold_out(
        len(start.matrix),
        _HELD_OUT,
        np.random.default_rng(start.seed),
        classes=start.target if start.classes else None,
        groups=None if start.groups is None else np.asarray(start.groups),
    )
    changed = {"n_estimators": _MORE_TREES if len(held) else _FEW_TREES, **parameters}
    settings = {**said.parameters, **changed}
    estimator = zoo.create(entry, start.seed, settings, start.task)
    estimator.set_params(n_jobs=start.workers)
    text = start.base.bundle.read(FORMATS["lightgbm"].file).decode()
    trees = load("lightgbm:Booster", extra="boost")(model_str=text)
    weights = start.examples.weights
    stop = load("lightgbm:early_stopping", extra="boost")
    watched: dict[str, Any] = {}
    if len(held):
        watched = {
            "eval_X": start.matrix[held],
            "eval_y": start.target[held],
            "callbacks": [stop(_PATIENCE, verbose=False)],
        }
    try:
        estimator.fit(
            start.matrix[rows],
            start.target[rows],
            sample_weight=None if weights is None else weights[rows],
            init_model=trees,
            **watched,
        )
    except ValueError as error:
        raise InvalidInput(f"{start.base.ref} cannot learn on from this data: {error}") from error
    estimator.set_params(n_jobs=None)
    booster = estimator.booster_
    # Early stopping counts the trees of before too.
    kept = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    added = kept * booster.num_model_per_iteration() - trees.num_trees()
    note = f"{added} trees added to {trees.num_trees()}"
    return _as_fitted(estimator, start, note), changed


def _check_known(parameters: Mapping[str, Any], known: Mapping[str, Any], base: Model) -> None:
    for name in parameters:
        if name not in known:
            raise InvalidInput(
                f"{base.ref} has no parameter {name!r}; it takes: {', '.join(sorted(known))}"
            )


def _as_fitted(estimator: Any, start: Start, *notes: str) -> Fitted:
    said = start.base.description
    managed = zoo.find(said.model_type, said.task).managed
    settings = {
        key: value
        for key, value in sorted(estimator.get_params(deep=False).items())
        if key not in managed
    }
    return Fitted(estimator, settings, notes)


# What a bundle holds to begin with -> how.
WAYS: dict[str, Callable[[Start, Mapping[str, Any]], tuple[Fitted, dict[str, Any]]]] = {
    FORMATS["safetensors"].file: _network,
    FORMATS["lightgbm"].file: _boosting,
}
