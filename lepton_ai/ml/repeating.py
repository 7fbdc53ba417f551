"""Repeating: what a training was asked for and learned from, told by its model."""

from typing import Any

import numpy as np
from msgspec import convert
from msgspec.structs import fields

from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.columns import columns_of
from lepton_ai.ml import zoo
from lepton_ai.ml.bundle.description import Description
from lepton_ai.ml.examples import ARRAY_TARGET, Examples, gather
from lepton_ai.ml.forecast import learn_forecast
from lepton_ai.ml.learning import learn
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Values
from lepton_ai.ml.selection.choosing import Choice
from lepton_ai.ml.selection.deciding import Decision
from lepton_ai.ml.task import FORECASTING, TASKS
from lepton_ai.ml.wish import Wish
from lepton_ai.storage import Node

__all__ = ["repeat", "run_of", "training_data", "wish_of"]


def run_of(model: Model) -> Node:
    """Return the node of the run that trained a model."""
    parents = model.workspace.lineage.parents(model.node.id)
    return next(node for role, node in parents if role == "run")


def wish_of(model: Model) -> Wish:
    """Return what a model's training was asked for, but for the data.

    What was searched or decided then stands: its result is taken from the model.
    """
    said = model.description
    front = model.predictor.preparation.front
    types = {each.name: each.type for each in fields(Wish)}
    asked = {
        name: convert(value, types[name]) for name, value in said.asked.items() if name in types
    }
    wish = {
        "model_type": said.model_type,
        "target": said.target,
        "groups": said.grouped_by if model.signature.kind != "image" else None,
        "sample_weight": said.sample_weight,
        "time": said.time,
        "balanced": said.balanced,
        "parameters": {} if "model_type" in asked else said.parameters,
        **asked,
    }
    return Wish(
        **wish,
        name=said.name,
        seed=said.seed,
        # Not fitted: it learns again from the rows.
        recipe=None if front is None else type(front.recipe)(front.recipe.steps),
        workspace=model.workspace,
        choice=_choice(said),
    )


def _choice(said: Description) -> Choice | None:
    """Return what was chosen by comparison, where something was."""
    decision = _decision(said)
    if said.leaderboard is None and decision is None:
        return None
    entry = zoo.find(said.model_type, said.task)
    return Choice(entry, said.parameters, said.leaderboard, decision)


def _decision(said: Description) -> Decision | None:
    """Return what was fitted to answers out of fold, where something was."""
    match said.outcome:
        case Classes() as classes if said.aim is not None or said.calibrate is not None:
            return Decision(classes, said.threshold)
        case Values(reach=float()) as values:
            return Decision(values)
    return None


def training_data(model: Model) -> Any:
    """Return exactly the rows that a model learned from, in a form that a training takes.

    Raises:
        NotFound: they are no longer stored.
        Corrupt: what is stored was altered.
    """
    parents = model.workspace.lineage.parents(run_of(model).id)
    node = next(node for role, node in parents if role == "training")
    data = open_dataset(node.id, model.workspace)
    return _as_array(data, model) if model.signature.kind == "array" else data


def _as_array(table: Any, model: Model) -> Examples:
    """Rows of numbers stand in a table, whose columns are in their order."""
    columns = columns_of(table.to_polars())
    columns.pop(ARRAY_TARGET, None)
    task = TASKS[model.task]
    found = gather(table, target=ARRAY_TARGET if task.labelled else None, task=task)
    return Examples(
        kind="array",
        dataset=table,
        labels=found.labels,
        values=found.values,
        matrix=np.stack(list(columns.values()), axis=1).astype(np.float64),
    )


def repeat(task: str, data: Any, wish: Wish) -> Model:
    """Train as a verb of `lepton_ai.ml.training` does, from a wish."""
    if task == FORECASTING.name:
        return learn_forecast(data, wish)
    return learn(TASKS[task], data, wish)
