"""Tuning: learning on from a registered model, with few rows of one's own.

A network goes on from its weights, boosting by more trees that correct those there
are; whatever keeps neither is trained anew by the same recipe. The
preparation of the features stays that of the model, so that they mean what they meant to it.
"""

import warnings
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.columns import columns_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.ml import zoo
from lepton_ai.ml.evaluation.series import windows_of_series
from lepton_ai.ml.examples import Examples, gather, in_order
from lepton_ai.ml.forecast import learn_forecast
from lepton_ai.ml.learning import Learned, conclude, learn
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Forecast, Outcome, Scores, Values
from lepton_ai.ml.preparing import features_of
from lepton_ai.ml.pretrained.adding import pretrained
from lepton_ai.ml.pretrained.continuing import WAYS, Start
from lepton_ai.ml.pretrained.shelf import shelved
from lepton_ai.ml.registry import check_name, get, register
from lepton_ai.ml.task import CLASSIFICATION, FORECASTING, REGRESSION, TASKS, Task
from lepton_ai.ml.wish import Wish
from lepton_ai.storage import Node, Workspace

__all__ = ["OtherUnits", "fine_tune"]

Matrix = NDArray[np.float64]

_FROM = "fine-tuned from"
# Clusters and limits of anomalies are found anew.
_CONTINUED = (CLASSIFICATION, REGRESSION, FORECASTING)


class OtherUnits(UserWarning):
    """A column's values lie where the model's training had none: perhaps it is in other units."""


def fine_tune(
    model: Model | str,
    data: Any,
    *,
    target: Any = None,
    groups: str | None = None,
    time: str | None = None,
    sample_weight: str | None = None,
    name: str | None = None,
    seed: int = 0,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Learn on from a model with rows of one's own, and register the next version of it.

    Networks go on from its weights, at a tenth of the learning rate, and stop early on a fifth of
    the rows (whole groups, the latest steps of a forecast); where the classes are others than the
    model's, the last layer begins afresh. LightGBM adds trees. Other models are trained anew with
    the same parameters and columns. The lineage names the model and the data.

    Args:
        model: a pre-trained model's name, a registered model, or a reference to one.
        data: as the model was trained on: images with labels, or a table or frame with the same
            columns and the target.
        target: the column of the labels or values; that of the model unless given.
        groups: the column of what belongs together; that of the model where the data has it.
        time: the column of the order of a series' rows; that of the model where the data has it.
        sample_weight: the column of the rows' weights.
        name: of the model; the next version of the same one unless given.
        seed: of everything random.
        workspace: where a pre-trained model is registered, and data is stored that is not yet.
        parameters: of the estimator, such as ``epochs=10`` or ``learning_rate=1e-4``.

    Raises:
        NotFound: there is no such model.
        InvalidInput: columns are missing or of another kind, or classes differ that must not.

    Warns:
        OtherUnits: a column lies outside of what the model has seen.
    """
    base = _base(model, workspace)
    place, said = base.workspace, base.description
    task = TASKS[said.task]
    wish = Wish(
        model_type=said.model_type,
        target=said.target if target is None else target,
        name=check_name(name or base.name),
        seed=seed,
        groups=groups,
        sample_weight=sample_weight,
        time=time,
        workspace=place,
        parameters=parameters,
    )
    fit = next((way for file, way in WAYS.items() if file in base.bundle.names), None)
    if fit is None or task not in _CONTINUED:
        return _anew(base, data, wish)
    entry = zoo.find(said.model_type, said.task)
    for each in parameters:
        if each in entry.managed:
            raise InvalidInput(f"the platform sets {each!r} of a {entry.name} itself; leave it out")
    try:
        start, wish = _started(base, task, data, wish)
    except InvalidInput as error:
        told = str(error).rstrip(".")
        takes = f" It takes {said.origin.inputs}." if said.origin is not None else ""
        raise InvalidInput(f"{base.ref} cannot learn on from this data: {told}.{takes}") from error
    _check_units(start)
    with threadpool_limits(1):
        fitted, changed = fit(start, parameters)
    counts = [] if not start.classes else np.bincount(start.target).tolist()
    learned = Learned(
        examples=start.examples,
        preparation=base.predictor.preparation,
        matrix=start.matrix,
        target=start.target,
        fitted=fitted,
        outcome=_outcome(start),
        classes=dict(zip(start.classes, counts, strict=True)),
        origin=[(base.node.id, _FROM)],
        notes=_notes(base),
    )
    return conclude(task, entry, learned, wish, said.parameters | changed)


def _base(model: Model | str, workspace: Workspace | None) -> Model:
    if isinstance(model, Model):
        return model
    if model in shelved():
        return pretrained(model, workspace)
    try:
        return get(model, workspace)
    except NotFound as error:
        raise NotFound(
            f"{error}. Pre-trained models that come with the package: {', '.join(shelved())}"
        ) from error


def _started(base: Model, task: Task, data: Any, wish: Wish) -> tuple[Start, Wish]:
    said = base.description
    options: dict[str, Any] = {
        "base": base,
        "task": task,
        "seed": wish.seed,
        "workers": wish.workers_in(base.workspace),
    }
    if task is FORECASTING:
        table = _table(data, wish, base.workspace)
        columns = columns_of(table.to_polars())
        tried = windows_of_series(base, columns, (), None)
        windows = len(tried.matrix)
        examples = Examples(
            kind="table",
            dataset=table,
            labels=np.empty(0, dtype=str),
            columns=columns,
            beside=() if said.time is None else (said.time,),
            times=None if said.time is None else np.arange(len(table), dtype=np.float64),
        )
        truth = np.asarray(tried.truth, dtype=np.float64).reshape(windows, -1)
        start = Start(
            examples=examples, matrix=tried.matrix, target=truth, classes=(), groups=None,
            times=np.arange(windows), **options,
        )  # fmt: skip
        return start, replace(wish, time=said.time, target=None)
    if base.signature.kind != "array" and not isinstance(data, ImageSet):
        data = _table(data, wish, base.workspace)
        known = data.columns
        wish = replace(
            wish,
            groups=wish.groups or (said.grouped_by if said.grouped_by in known else None),
            time=wish.time or (said.time if said.time in known else None),
        )
    examples = gather(
        data,
        target=wish.target,
        groups=wish.groups,
        time=wish.time,
        sample_weight=wish.sample_weight,
        workspace=base.workspace,
        task=task,
    )
    hidden = (wish.target, wish.groups, wish.time, wish.sample_weight)
    rows = examples.dataset if examples.matrix is None else examples.matrix
    matrix = features_of(
        base.predictor.preparation, rows, hidden, groups=wish.groups, time=wish.time
    )
    classes: tuple[str, ...] = ()
    answers: Any = examples.values
    if task is CLASSIFICATION:
        classes = tuple(in_order(set(examples.labels.tolist())))
        if len(classes) < 2:
            raise InvalidInput(
                f"all its rows are labelled {classes[0]!r}; give rows of two classes"
            )
        answers = np.array([classes.index(label) for label in examples.labels], dtype=np.int64)
    return Start(
        examples=examples, matrix=matrix, target=answers, classes=classes,
        groups=examples.groups, times=None, **options,
    ), wish  # fmt: skip


def _table(data: Any, wish: Wish, place: Workspace) -> Table:
    if isinstance(data, Table):
        return data
    return read_table(data, name=f"{wish.name}-tuning", workspace=place)


def _check_units(start: Start) -> None:
    """Warn of features whose middle lies beyond all that the model has seen."""
    baseline = start.base.baseline
    seen = baseline.observe(start.matrix)
    if seen.shape[1] != len(baseline.features):
        return
    for feature, middle in zip(baseline.features, np.median(seen, axis=0), strict=True):
        if not feature.low <= middle <= feature.high:
            warnings.warn(
                f"{feature.name} is {middle:.4g} in the middle, and lay between {feature.low:.4g} "
                f"and {feature.high:.4g} when {start.base.ref} was trained; is it in other units?",
                OtherUnits,
                stacklevel=3,
            )


def _anew(base: Model, data: Any, wish: Wish) -> Model:
    """Train by the model's own recipe on the new rows alone."""
    said, preparation = base.description, base.predictor.preparation

    def keep(place: Workspace, description: Any, files: Any, parents: Any, *more: Any) -> Node:
        told = replace(description, notes=description.notes + _notes(base))
        return register(place, told, files, [*parents, (base.node.id, _FROM)], *more)

    front = preparation.front
    columns = preparation.encoding.columns
    wish = replace(
        wish,
        parameters=said.parameters | wish.parameters,
        window=preparation.window,
        balanced=said.balanced,
        recipe=None if front is None else type(front.recipe)(front.recipe.steps),
        kinds={c.column: type(c).__name__.lower() for c in columns} if columns and front is None
        else None,
        keep=keep,
    )  # fmt: skip
    if isinstance(said.outcome, Scores):
        wish = replace(wish, contamination=said.outcome.contamination)
    if isinstance(said.outcome, Forecast):
        series = replace(
            wish, target=list(said.outcome.names), time=wish.time or said.time,
            horizon=said.outcome.steps,
        )  # fmt: skip
        return learn_forecast(data, series)
    return learn(TASKS[said.task], data, wish)


def _outcome(start: Start) -> Outcome:
    """Return what the answers mean; thresholds and intervals of before are not known to hold."""
    before = start.base.description.outcome
    if isinstance(before, Classes):
        positive = before.positive if before.positive in start.classes else None
        return Classes(start.classes, positive=positive)
    return before if isinstance(before, Forecast) else Values(before.names)


def _notes(base: Model) -> tuple[str, ...]:
    """Say what the model went on from, and whom its data is to be credited to."""
    origin = base.description.origin
    notes = [f"fine-tuned from {base.ref}"]
    if origin is not None:
        notes.append(
            f"{base.name} was trained on: {origin.data}. Licence: {origin.licence}. Credit: "
            f"{origin.attribution}"
        )
        notes += [f"holds for {base.name}: {limit}" for limit in origin.limits]
    return tuple(notes)
