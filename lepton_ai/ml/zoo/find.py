"""Looking models up by name, and making their estimators.

A third party adds a row to the zoo through the entry point group ``lepton_ai.models``; each entry
point names an :class:`Entry`, or a class or function of its own (see `lepton_ai.ml.custom`). Their
code is imported when such a model is asked for or all are listed, never for a built-in one.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from msgspec.structs import replace

from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.ml.custom.estimator import CustomEstimator, tasks_of
from lepton_ai.ml.custom.package import import_from, is_path, package_of
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
    for entry in _plugged():
        found.setdefault(entry.name, entry)
    return {name: entry for name, entry in found.items() if task is None or task in entry.paths}


def _plugged() -> Iterator[Entry]:
    """Yield the models of other packages."""
    for point in entry_points(group="lepton_ai.models"):
        yield _entry_of(point)


def _entry_of(point: EntryPoint) -> Entry:
    given = point.load()
    if isinstance(given, Entry):
        return given
    tasks = tasks_of(given)
    if not tasks or not is_path(point.value):
        raise InvalidInput(
            f"the entry point {point.name!r} of the group 'lepton_ai.models' gives "
            f"{type(given).__name__}, neither a lepton_ai.ml.zoo.Entry nor a class with fit and "
            "predict nor a function; mend or remove its package"
        )
    return _custom(point.name, point.value, tasks, given)


def _custom(name: str, path: str, tasks: tuple[str, ...], given: Any) -> Entry:
    return Entry(
        name=name,
        aliases=(),
        paths=dict.fromkeys(tasks, path),
        native="custom",
        scaled=bool(getattr(given, "scaled", False)),
    )


def _known(model_type: str) -> Entry | None:
    """Return the model of a name: a built-in one, that of an import path, or of an entry point."""
    if is_path(model_type):
        given = import_from(model_type, package_of(model_type))
        tasks = tasks_of(given)
        if not tasks:
            raise UnknownModel(
                f"{model_type!r} is a {type(given).__name__} that no model is made of; it must be "
                "a class with fit and predict, predict_proba or score_samples, or a function"
            )
        return _custom(model_type, model_type, tasks, given)
    return _named(model_type, TABLE) or _named(model_type, tuple(_plugged()))


def _named(model_type: str, entries: tuple[Entry, ...]) -> Entry | None:
    # A name of one comes before an alias of another.
    names = {_plain(name): entry for entry in entries for name in entry.aliases}
    names |= {_plain(entry.name): entry for entry in entries}
    return names.get(_plain(model_type))


def find(model_type: str, task: str = CLASSIFICATION.name) -> Entry:
    """Return the model that a name or alias means, in any case and spelling of spaces.

    Raises:
        UnknownModel: nothing of that task has that name; the message lists the names.
        NotInstalled: an import path leads to no installed package.
    """
    task = task_named(task).name
    found = _known(model_type) if isinstance(model_type, str) else None
    if found is not None and task in found.paths:
        return _with_package(found, task)
    known = entries(task)
    if found is None:
        raise UnknownModel(
            f"there is no model type {model_type!r}; choose one of: {', '.join(sorted(known))}"
        )
    raise UnknownModel(
        f"{model_type!r} is for {' and '.join(found.paths)}, not {task}; for {task} choose "
        f"one of: {', '.join(sorted(known))}"
    )


def _with_package(entry: Entry, task: str) -> Entry:
    """Let a custom model know the installed package that it is made of."""
    if entry.native != "custom":
        return entry
    package = package_of(entry.paths[task])
    libraries = tuple(dict.fromkeys((*entry.libraries, package.distribution)))
    return replace(entry, package=package, libraries=libraries)


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
    if entry.package is not None:
        estimator: Any = CustomEstimator(entry.paths[task.name], entry.package, task)
    else:
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
