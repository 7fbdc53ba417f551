"""Looking models up by name, and making their estimators.

A third party adds a row to the zoo through the entry point group ``lepton_ai.models``; each entry
point names an :class:`Entry`.
"""

import re
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.ml.task import CLASSIFICATION, Task, task_named
from lepton_ai.ml.zoo.entry import Entry
from lepton_ai.ml.zoo.table import TABLE

__all__ = ["UnknownModel", "UnknownParameter", "create", "entries", "find"]


class UnknownModel(InvalidInput):
    """No model has this name."""


class UnknownParameter(InvalidInput):
    """The model has no parameter of this name."""


def entries(task: str | None = None) -> dict[str, Entry]:
    """Return every model by its name: the built-in ones, then those of entry points.

    Args:
        task: only those that can do it.
    """
    found = {entry.name: entry for entry in TABLE}
    for point in entry_points(group="lepton_ai.models"):
        entry = point.load()
        if not isinstance(entry, Entry):
            raise InvalidInput(
                f"the entry point {point.name!r} of the group 'lepton_ai.models' gives "
                f"{type(entry).__name__}, not a lepton_ai.ml.zoo.Entry; mend or remove its package"
            )
        found.setdefault(entry.name, entry)
    return {name: entry for name, entry in found.items() if task is None or task in entry.paths}


def find(model_type: str, task: str = CLASSIFICATION.name) -> Entry:
    """Return the model that a name or alias means, in any case and spelling of spaces.

    Raises:
        UnknownModel: nothing of that task has that name; the message lists the names.
    """
    every, known = entries(), entries(task_named(task).name)
    names = {_plain(name): entry for entry in every.values() for name in entry.aliases}
    names |= {_plain(entry.name): entry for entry in every.values()}
    found = names.get(_plain(model_type)) if isinstance(model_type, str) else None
    if found is None:
        raise UnknownModel(
            f"there is no model type {model_type!r}; choose one of: {', '.join(sorted(known))}"
        )
    if found.name not in known:
        raise UnknownModel(
            f"{model_type!r} is for {' and '.join(found.paths)}, not {task}; for {task} choose "
            f"one of: {', '.join(sorted(known))}"
        )
    return found


def create(entry: Entry, seed: int, parameters: dict[str, Any], task: Task = CLASSIFICATION) -> Any:
    """Make the unfitted estimator of one entry.

    Args:
        entry: which model.
        seed: sets the estimator's ``random_state``, where it has one.
        parameters: the caller's, over the entry's defaults.
        task: what for.

    Raises:
        UnknownParameter: the estimator has no such parameter; the message lists near names.
        InvalidInput: a value is outside what the estimator accepts, or is set by the platform.
    """
    estimator = load(entry.paths[task.name], extra=entry.extra)()
    known = set(estimator.get_params(deep=False))
    for name in parameters:
        if name in entry.managed:
            advice = "pass seed=" if name == "random_state" else "leave it out"
            raise InvalidInput(f"the platform sets {name!r} of a {entry.name} itself; {advice}")
        if name not in known:
            settable = sorted(known - set(entry.managed))
            near = get_close_matches(name, settable, n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UnknownParameter(
                f"a {entry.name} has no parameter {name!r}; {hint}It takes: {', '.join(settable)}"
            )
    estimator.set_params(**entry.defaults | parameters)
    if "random_state" in known:
        estimator.set_params(random_state=seed)
    # scikit-learn checks values on fit; asking it now spares reading the data first.
    if hasattr(estimator, "_parameter_constraints"):
        try:
            estimator._validate_params()
        except ValueError as error:
            raise InvalidInput(f"a parameter of {entry.name} is wrong: {error}") from error
    return estimator


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
