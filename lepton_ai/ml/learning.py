"""Learning: from data of any kind to a registered model version, for every task."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import texts
from lepton_ai.ml import zoo
from lepton_ai.ml.baseline import Baseline
from lepton_ai.ml.bundle.cards import render
from lepton_ai.ml.bundle.description import Description, TrainedOn, environment
from lepton_ai.ml.bundle.machine import machine
from lepton_ai.ml.doubts import doubts_of
from lepton_ai.ml.examples import Examples, gather, in_order
from lepton_ai.ml.explanation.summing import sum_up
from lepton_ai.ml.explanation.terms import terms_of
from lepton_ai.ml.fitting import Fitted, fit
from lepton_ai.ml.gate import GATE_ROWS, held_out_rows, served_form, sibling_of
from lepton_ai.ml.model import Model
from lepton_ai.ml.outcome import Classes, Clusters, Outcome, Scores, Values
from lepton_ai.ml.parity import mixed_rows
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.preparing import (
    evenly,
    fit_behind,
    fit_preparation,
    in_windows,
    signature_of,
)
from lepton_ai.ml.runtimes.runtime import FORMATS, dump_native
from lepton_ai.ml.selection.choosing import Choice, check_effort, choose, is_auto
from lepton_ai.ml.selection.ground import Given
from lepton_ai.ml.task import CLASSIFICATION, CLUSTERING, DETECTION, REGRESSION, Task
from lepton_ai.ml.weighing import even
from lepton_ai.ml.wish import Wish, check, plain, settled
from lepton_ai.storage import Workspace

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["Learned", "checkpoint_of", "conclude", "learn"]

Matrix = NDArray[np.float64]

# Forms that a later training can begin with.
_LEARNED_ON = ("safetensors", "lightgbm")


def learn(task: Task, data: Any, wish: Wish) -> Model:
    """Train a model and register it as the next version of its name.

    The same data, seed and parameters give the same bytes, so training again after a crash
    gives the same version. The first version of a name becomes its ``champion``.

    Raises:
        UnknownModel: no model of this task has that name; the message lists the names.
        UnknownParameter: the model has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    check_effort(task, wish.model_type, wish.effort, wish.parameters)
    check(wish)
    auto = is_auto(wish.model_type)
    named, parameters = (None, {}) if auto else settled(task, wish)
    examples = gather(
        data,
        target=wish.target,
        groups=wish.groups,
        name=wish.name,
        workspace=wish.workspace,
        task=task,
        sample_weight=wish.sample_weight,
        time=wish.time,
    )
    place = wish.workspace or examples.dataset.workspace
    if place is not examples.dataset.workspace:
        raise InvalidInput("the data is stored in another workspace; leave out workspace=")
    chosen, origin = _recipe(wish.recipe, place)
    classes = _classes(examples) if task is CLASSIFICATION else ()
    workers = wish.workers_in(place)
    window = _window(wish, examples)
    if wish.choice is not None:
        choice = wish.choice
    elif named is None or wish.effort.searching or wish.effort.deciding:
        given = Given(
            task=task,
            examples=examples,
            target=np.asarray(_targets(task, examples, classes)),
            classes=classes,
            balanced=wish.balanced,
            recipe=chosen,
            kinds=wish.kinds,
            components=wish.components,
            window=window,
            seed=wish.seed,
            workers=workers,
        )
        choice = choose(given, wish.effort, named, parameters, _coded(parameters, classes))
    else:
        choice = Choice(named, parameters)
    entry, parameters = choice.entry, choice.parameters
    options: dict[str, Any] = {
        # Components of features were compared in units of their deviation.
        "scaled": entry.scaled or (auto and wish.components is not None),
        "components": wish.components,
        "kinds": wish.kinds,
    }
    if chosen is None:
        preparation, matrix = fit_preparation(examples, fine=entry.fine, **options)
    else:
        from lepton_ai.data.recipes.stored import joined

        preparation, matrix, left = fit_behind(chosen, examples, **options)
        examples = examples.take(left)
        if preparation.front is not None:
            origin += joined(place, preparation.front.recipe)
        if len(set(examples.labels.tolist())) < len(classes):
            raise InvalidInput("the recipe drops all training rows of a class")
    if window:
        preparation, matrix = in_windows(preparation, matrix, examples, window)
    target = _targets(task, examples, classes)
    fitted = fit(
        entry,
        matrix,
        target,
        task=task,
        seed=wish.seed,
        parameters=_coded(parameters, classes),
        groups=examples.groups,
        weights=_weights(examples.weights, target, classes, balanced=wish.balanced),
        times=examples.times,
        shape=preparation.shape,
        workers=workers,
        engine=wish.engine,
        managed={"checkpoint": checkpoint_of(examples, task, wish, parameters)},
    )
    outcome = _OUTCOMES[task.name](fitted.estimator, matrix, examples, classes, wish)
    if choice.decision is not None:
        outcome = choice.decision.outcome
    counts = [] if not classes or target is None else np.bincount(target.astype(np.int64)).tolist()
    learned = Learned(
        examples=examples,
        preparation=preparation,
        matrix=matrix,
        target=target,
        fitted=fitted,
        outcome=outcome,
        classes=dict(zip(classes, counts, strict=True)),
        origin=origin,
        choice=choice,
    )
    return conclude(task, entry, learned, wish, parameters)


def checkpoint_of(examples: Examples, task: Task, wish: Wish, parameters: dict[str, Any]) -> Path:
    """Return where a network keeps what it has reached, for the next try of a killed training.

    No two trainings that differ share it, so that one that ends takes nothing from another.
    """
    place, data = examples.dataset.workspace, examples.dataset.ref
    said = sorted(wish.asked.items())
    told = repr((task.name, data, said, wish.model_type, wish.name, wish.seed, parameters))
    return place.home / "checkpoints" / place.keys.token(f"checkpoint {told}")


class Learned(Struct, frozen=True, kw_only=True):
    """What a fit came to, before it is exported, compared and registered.

    Attributes:
        matrix: the training features (rows, features).
        target: what each row was learned as, None where the task has none.
        classes: how many rows of each class.
        origin: further nodes that the run used, with their roles.
        notes: what a reader should know, beside what the fit itself says.
        choice: how the model was chosen, where it was.
    """

    examples: Examples
    preparation: Preparation
    matrix: Matrix
    target: Any
    fitted: Fitted
    outcome: Outcome
    classes: dict[str, int] = {}
    origin: list[tuple[str, str]] = []
    notes: tuple[str, ...] = ()
    choice: Choice | None = None


def conclude(
    task: Task, entry: zoo.Entry, learned: Learned, wish: Wish, parameters: dict[str, Any]
) -> Model:
    """Choose the form to serve, measure the baseline, and register the model."""
    examples, preparation, matrix = learned.examples, learned.preparation, learned.matrix
    fitted, outcome, place = learned.fitted, learned.outcome, examples.dataset.workspace
    sibling = sibling_of(examples)
    held_out = None if sibling is None else held_out_rows(preparation, examples, sibling)
    gate = matrix[evenly(len(matrix), GATE_ROWS)]
    tried = mixed_rows(gate, len(gate), wish.seed) if held_out is None else held_out
    answers = task.answers(fitted.estimator, gate if held_out is None else held_out)
    if isinstance(outcome, Classes):
        answers = outcome.settled(answers)
    choice = learned.choice or Choice(entry, parameters)
    model_format, reason, parity, model_file = served_form(task, entry, fitted, gate, tried)
    baseline = Baseline.of(
        matrix,
        preparation.feature_names,
        learned.target,
        outcome,
        answers,
        "training" if held_out is None else "held-out",
    )
    description = Description(
        name=wish.name or _name_after(examples.dataset.name),
        model_type=entry.name,
        parameters=parameters,
        settings=fitted.settings,
        seed=wish.seed,
        format=model_format,
        reason=reason,
        parity=parity,
        signature=signature_of(preparation, outcome.fields),
        outcome=outcome,
        features=matrix.shape[1],
        target=examples.target,
        grouped_by=examples.grouped_by,
        sample_weight=wish.sample_weight,
        time=wish.time,
        balanced=wish.balanced,
        asked=wish.asked,
        trained_on=TrainedOn(
            dataset=examples.dataset.ref,
            content=_content(matrix, learned.target),
            rows=len(matrix),
            classes=learned.classes,
            groups=None if examples.groups is None else len(set(examples.groups)),
            held_out=0 if held_out is None else len(held_out),
        ),
        leaderboard=choice.leaderboard,
        threshold=None if choice.decision is None else choice.decision.threshold,
        aim=plain("threshold", wish.effort.threshold),
        calibrate=wish.effort.calibrate,
        notes=fitted.notes + learned.notes + _noted(choice) + doubts_of(examples, _used(learned)),
        environment=environment(*_libraries(entry, parameters, task)) | entry.fingerprint,
    )
    files = {
        FORMATS[model_format].file: model_file,
        "encoding.json": preparation.to_json(),
        "baseline.json": baseline.to_json(),
        "card.md": render(description, preparation).encode(),
        **_explained(entry, learned, wish.seed, model_format),
    }
    parents = [(examples.dataset.record().id, "training"), *learned.origin]
    if sibling is not None:
        parents.append((sibling.id, "held-out"))
    here = machine(wish.workers_in(place))
    model = Model(place, wish.keep(place, description, files, parents, here))
    shutil.rmtree(checkpoint_of(examples, task, wish, parameters), ignore_errors=True)
    return model


def _noted(choice: Choice) -> tuple[str, ...]:
    """Return what a reader of the card should know of the choice."""
    found = choice.leaderboard
    return () if found is None else tuple(f"the comparison: {note}" for note in found.notes)


def _used(learned: Learned) -> list[str]:
    """Return the columns of the table that the model reads."""
    front, encoding = learned.preparation.front, learned.preparation.encoding
    return [step.column for step in encoding.columns] if front is None else [*front.kinds]


def _libraries(entry: zoo.Entry, parameters: dict[str, Any], task: Task) -> tuple[str, ...]:
    """Return the distributions that a model needs, those of an ensemble's members among them."""
    members = parameters.get("members")
    # Networks have a parameter of that name too, a number.
    given = members if isinstance(members, list | tuple) else ()
    entries = [zoo.find(member["model"], task.name) for member in given]
    every = [name for each in (entry, *entries) for name in each.libraries]
    return tuple(dict.fromkeys(every))


def _explained(
    entry: zoo.Entry, learned: Learned, seed: int, model_format: str
) -> dict[str, bytes]:
    """Return the files that explanations start from."""
    estimator = learned.fitted.estimator
    terms = terms_of(entry.name, estimator)
    basis = sum_up(learned.examples, learned.preparation, learned.matrix, terms, seed)
    files = {"explanation.json": basis.to_json()}
    if entry.native in _LEARNED_ON and model_format != entry.native:
        # Gradients and learning on need more than a graph that only answers.
        files[FORMATS[entry.native].file] = dump_native(entry.native, estimator)
    return files


def _window(wish: Wish, examples: Examples) -> int:
    """Return how many steps a row is seen with; 0 where rows stand alone."""
    window: Any = wish.window
    if window == 0:
        return 0
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        raise InvalidInput(f"window must be a whole number of steps from 1; got {window!r}")
    if examples.kind != "table":
        raise InvalidInput("window= is about rows of a table that follow each other")
    return window


def _classes(examples: Examples) -> tuple[str, ...]:
    classes = tuple(in_order(set(examples.labels.tolist())))
    if len(classes) < 2:
        count = len(examples.labels)
        found = f"all {count} rows are labelled {classes[0]!r}" if count else "there are no rows"
        raise InvalidInput(f"{found}; a classifier needs rows of two classes or more")
    return classes


def _targets(
    task: Task, examples: Examples, classes: tuple[str, ...]
) -> NDArray[np.int64] | Matrix | None:
    """Return what each row is to be learned as: the code of its class, or its value."""
    if task is CLASSIFICATION:
        place_of = {label: code for code, label in enumerate(classes)}
        return np.array([place_of[label] for label in examples.labels.tolist()], dtype=np.int64)
    if examples.values is not None and len(np.unique(examples.values)) < 2:
        shown = f"all {len(examples.values)} rows have the value {examples.values[0]}"
        raise InvalidInput(f"{shown}; there is nothing to learn")
    return examples.values


def _weights(
    weights: Matrix | None, target: Any, classes: tuple[str, ...], *, balanced: bool
) -> Matrix | None:
    """Return the rows' weights; balanced, each class weighs the same in all."""
    if not balanced:
        return weights
    if not classes:
        raise InvalidInput("balanced= is about classes; leave it out")
    total = np.bincount(target, weights, minlength=len(classes))
    if not total.all():
        raise InvalidInput(f"the rows of class {classes[int(total.argmin())]!r} weigh nothing")
    return even(weights, target)


def _clusters(
    estimator: Any, matrix: Matrix, examples: Examples, classes: tuple[str, ...], wish: Wish
) -> Outcome:
    width = CLUSTERING.answers(estimator, matrix[:1]).shape[1]
    noise = bool(getattr(estimator, "noise_", False))
    names = [str(number) for number in range(width - noise)] + ["noise"] * noise
    return Clusters(tuple(names))


def _scores(
    estimator: Any, matrix: Matrix, examples: Examples, classes: tuple[str, ...], wish: Wish
) -> Outcome:
    if not 0 < wish.contamination < 1:
        raise InvalidInput(
            f"contamination is the share of the training rows that count as anomalies, between 0 "
            f"and 1; got {wish.contamination}"
        )
    scores = DETECTION.answers(estimator, matrix)[:, 0]
    return Scores(float(np.quantile(scores, 1 - wish.contamination)), wish.contamination)


# task -> what its answers mean, of (estimator, training features, examples, classes, wish)
_OUTCOMES: dict[str, Callable[..., Outcome]] = {
    CLASSIFICATION.name: lambda estimator, matrix, examples, classes, wish: Classes(
        classes, positive=wish.effort.positive
    ),
    REGRESSION.name: lambda estimator, matrix, examples, classes, wish: Values(
        (examples.target or "value",)
    ),
    CLUSTERING.name: _clusters,
    DETECTION.name: _scores,
}


def _recipe(
    recipe: "Recipe | str | None", place: Workspace
) -> "tuple[Recipe | None, list[tuple[str, str]]]":
    """Return a recipe, and the node it is kept in where it is named."""
    if not isinstance(recipe, str):
        return recipe, []
    from lepton_ai.data.recipes import open_recipe

    node = place.lineage.resolve(recipe, ["recipe"])
    return open_recipe(node.ref, place), [(node.id, "recipe")]


def _name_after(dataset: str) -> str:
    """Name a model after its dataset, without what a model's name may not hold."""
    return re.sub(r"^[\W_]+|[^\w .+-]", "", dataset)[:100].strip() or "model"


def _coded(parameters: dict[str, Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """Write weights by class as the estimator knows the classes: by number."""
    weights = parameters.get("class_weight")
    if not isinstance(weights, dict):
        return parameters
    named = dict(zip(texts(list(weights)), weights.values(), strict=True))
    if set(named) != set(classes):
        raise InvalidInput(
            f"class_weight names {list(weights)}, but the classes are {list(classes)}"
        )
    return parameters | {"class_weight": {code: named[label] for code, label in enumerate(classes)}}


def _content(matrix: Matrix, target: NDArray[np.int64] | Matrix | None) -> str:
    content = hashlib.sha256(np.ascontiguousarray(matrix, dtype="<f4").tobytes())
    if target is not None:
        content.update(target.astype("<i8" if target.dtype.kind == "i" else "<f8").tobytes())
    return content.hexdigest()
