"""train_classifier: from data to a registered model version."""

import hashlib
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.catalog import open_dataset
from lepton_ai.data.columns import texts
from lepton_ai.ml import skops_runtime, zoo
from lepton_ai.ml.baseline import Baseline
from lepton_ai.ml.cards import render
from lepton_ai.ml.description import Description, TrainedOn, environment
from lepton_ai.ml.examples import Examples, gather, in_order
from lepton_ai.ml.export import NotExportable, export
from lepton_ai.ml.fitting import Fitted, fit
from lepton_ai.ml.model import Model
from lepton_ai.ml.parity import Parity, compare, mixed_rows
from lepton_ai.ml.preparation import Preparation
from lepton_ai.ml.preparing import (
    evenly,
    features_of,
    fit_behind,
    fit_preparation,
    signature_of,
)
from lepton_ai.ml.registry import check_name, register
from lepton_ai.ml.runtimes import FORMATS, load_runtime
from lepton_ai.storage import Node, Workspace

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["train_classifier"]

Matrix = NDArray[np.float64]

# The gate looks at no more rows than this of each kind: an export is wrong in many rows or none.
_GATE_ROWS = 4000


def train_classifier(
    data: Any,
    *,
    model_type: str = "random forest",
    target: Any = None,
    name: str | None = None,
    seed: int = 0,
    groups: str | None = None,
    kinds: Mapping[str, Any] | None = None,
    components: int | float | None = None,
    recipe: "Recipe | str | None" = None,
    workspace: Workspace | None = None,
    **parameters: Any,
) -> Model:
    """Train a classifier and register it as the next version of a model.

    The same data, seed and parameters give the same bytes, so training again after a crash
    gives the same version. The first version of a name becomes its ``champion``.

    Args:
        data: an image set; a table or a frame (pandas, Polars, Arrow) with ``target``; rows of
            numbers with ``target``; or a tuple of rows and labels. Data that is not stored yet
            is stored, so that the model's origin is known.
        model_type: a name or alias of the zoo, in any case: "SVM", "random forest", "KNN".
        target: the column of the labels, or the labels of rows of numbers.
        name: of the model; else that of the dataset.
        seed: of everything random, 0 to 2**32 - 1.
        groups: the column of a table that says what belongs together, such as the patient; it
            is no feature. A side of a grouped split knows it already, and so do images.
        kinds: of a table's columns where their types don't tell; see `Encoding.fit`.
        components: principal components to reduce the features to, a number or the share of the
            variance to keep.
        recipe: what a table's columns go through first, or the name of a kept one. It is fitted
            anew on these rows, kept in the model, and applied to every record asked about; its
            steps that drop rows act on these only. ``kinds`` is about the columns after it.
        workspace: where to store it; that of the data, else the default one.
        parameters: of the estimator, such as ``C=10`` or ``n_estimators=500``.

    Raises:
        UnknownModel: no classifier has that name; the message lists the names.
        UnknownParameter: the classifier has no such parameter; the message lists near ones.
        InvalidInput: a parameter's value is wrong, or the data cannot be learned from.
    """
    entry = zoo.find(model_type)
    if name is not None:
        check_name(name)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1; got {seed!r}")
    parameters = {key: _plain(key, value) for key, value in parameters.items()}
    zoo.create(entry, seed, parameters)
    examples = gather(data, target=target, groups=groups, name=name, workspace=workspace)
    place = workspace or examples.dataset.workspace
    if place is not examples.dataset.workspace:
        raise InvalidInput("the data is stored in another workspace; leave out workspace=")
    classes = tuple(in_order(set(examples.labels.tolist())))
    if len(classes) < 2:
        count = len(examples.labels)
        found = f"all {count} rows are labelled {classes[0]!r}" if count else "there are no rows"
        raise InvalidInput(f"{found}; a classifier needs rows of two classes or more")
    place_of = {label: code for code, label in enumerate(classes)}
    codes = np.array([place_of[label] for label in examples.labels.tolist()], dtype=np.int64)
    chosen, origin = _recipe(recipe, place)
    options: dict[str, Any] = {"scaled": entry.scaled, "components": components, "kinds": kinds}
    if chosen is None:
        preparation, matrix = fit_preparation(examples, **options)
    else:
        from lepton_ai.data.recipes.stored import joined

        preparation, matrix, left = fit_behind(chosen, examples, **options)
        examples, codes = examples.take(left), codes[left]
        if preparation.front is not None:
            origin += joined(place, preparation.front.recipe)
        if len(set(codes.tolist())) < len(classes):
            raise InvalidInput("the recipe drops all training rows of a class")
    fitted = fit(
        entry,
        matrix,
        codes,
        seed=seed,
        parameters=_coded(parameters, classes),
        groups=examples.groups,
        workers=place.settings.workers or os.cpu_count() or 1,
    )
    sibling = _sibling(examples)
    held_out = None if sibling is None else _held_out(preparation, examples, sibling)
    gate = matrix[evenly(len(matrix), _GATE_ROWS)]
    tried = mixed_rows(gate, len(gate), seed) if held_out is None else held_out
    answers = fitted.estimator.predict_proba(gate if held_out is None else held_out)
    model_format, reason, parity, model_file = _served_form(fitted, gate, tried)
    baseline = Baseline.of(
        matrix,
        preparation.encoding.feature_names,
        codes,
        classes,
        np.asarray(answers, dtype=np.float64),
        "training" if held_out is None else "held-out",
    )
    description = Description(
        name=name or _name_after(examples.dataset.name),
        model_type=entry.name,
        parameters=parameters,
        settings=fitted.settings,
        seed=seed,
        format=model_format,
        reason=reason,
        parity=parity,
        signature=signature_of(preparation, len(classes)),
        classes=classes,
        features=matrix.shape[1],
        target=examples.target,
        grouped_by=examples.grouped_by,
        trained_on=TrainedOn(
            dataset=examples.dataset.ref,
            content=_content(matrix, codes),
            rows=len(matrix),
            classes={label: int((codes == code).sum()) for code, label in enumerate(classes)},
            groups=None if examples.groups is None else len(set(examples.groups)),
            held_out=0 if held_out is None else len(held_out),
        ),
        notes=fitted.notes,
        environment=environment(),
    )
    files = {
        FORMATS[model_format][0]: model_file,
        "encoding.json": preparation.to_json(),
        "baseline.json": baseline.to_json(),
        "card.md": render(description, preparation).encode(),
    }
    parents = [(examples.dataset.record().id, "training"), *origin]
    if sibling is not None:
        parents.append((sibling.id, "held-out"))
    return Model(place, register(place, description, files, parents))


def _recipe(
    recipe: "Recipe | str | None", place: Workspace
) -> "tuple[Recipe | None, list[tuple[str, str]]]":
    """Return a recipe, and the node it is kept in where it is named."""
    if not isinstance(recipe, str):
        return recipe, []
    from lepton_ai.data.recipes import open_recipe

    node = place.lineage.resolve(recipe, ["recipe"])
    return open_recipe(node.ref, place), [(node.id, "recipe")]


def _served_form(
    fitted: Fitted, training: Matrix, held_out: Matrix
) -> tuple[str, str, Parity | None, bytes]:
    """Return format, reason, parity and bytes of the form to serve: ONNX where it is faithful."""
    try:
        exported = export(fitted.estimator, training.shape[1])
        parity = compare(_Trained(fitted), load_runtime("onnx", exported), [training, held_out])
    except (NotExportable, Corrupt) as error:
        return "skops", str(error), None, skops_runtime.dumps(fitted.estimator)
    if parity.passed:
        return "onnx", "", parity, exported
    reason = f"the ONNX form answers otherwise than the trained model: {parity}"
    return "skops", reason, parity, skops_runtime.dumps(fitted.estimator)


class _Trained:
    """The estimator as it was trained, as a runtime."""

    def __init__(self, fitted: Fitted) -> None:
        self._estimator = fitted.estimator

    def run(self, matrix: Matrix) -> Matrix:
        return np.asarray(self._estimator.predict_proba(matrix), dtype=np.float64)


def _sibling(examples: Examples) -> Node | None:
    """Return the split's other side, where the examples are the training side of one."""
    node = examples.dataset.node
    if node is None or node.kind != "split" or node.facts.get("side") != "train":
        return None
    lineage = examples.dataset.workspace.lineage
    siblings = lineage.nodes(node.facts["siblings"]).values()
    return next((other for other in siblings if other.facts["side"] == "test"), None)


def _held_out(preparation: Preparation, examples: Examples, sibling: Node) -> Matrix | None:
    """Return features of the other side's rows; its labels are not looked at."""
    data = open_dataset(sibling.id, examples.dataset.workspace)
    data = data.take(evenly(len(data), _GATE_ROWS))
    hidden = (examples.target, examples.grouped_by)
    return features_of(preparation, data, hidden) if len(data) else None


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


def _plain(name: str, value: Any) -> Any:
    """Return a parameter as the model's description can record it, with NumPy's numbers plain."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {_plain(name, key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(name, item) for item in value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise InvalidInput(
        f"the parameter {name!r} is a {type(value).__name__}, which no model can record; pass "
        "numbers, text, or lists of them"
    )


def _content(matrix: Matrix, codes: NDArray[np.int64]) -> str:
    content = hashlib.sha256(np.ascontiguousarray(matrix, dtype="<f4").tobytes())
    content.update(codes.astype("<i8").tobytes())
    return content.hexdigest()
