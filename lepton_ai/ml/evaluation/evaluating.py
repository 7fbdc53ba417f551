"""evaluate: measure a registered model, in the form that is served, on rows it has not seen."""

import hashlib
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.columns import columns_of, texts
from lepton_ai.data.dataset import Dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.classification import Evaluation, assess
from lepton_ai.ml.examples import ARRAY_TARGET, class_names
from lepton_ai.ml.model import Model

__all__ = ["SeenInTraining", "evaluate"]


class SeenInTraining(UserWarning):
    """The test data holds rows, or further rows of groups, that the model was trained on."""


def evaluate(
    model: Model,
    test: Any,
    target: Any = None,
    *,
    groups: str | None = None,
    positive: str | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Measure a model and keep the result in the lineage.

    Args:
        model: to measure, in the form that is served.
        test: labelled data of the kind that the model was trained on. Images go through the
            model's own preprocessing, as at an endpoint.
        target: the column of the labels, unless that of the training; or the labels of rows of
            numbers.
        groups: the column that says which rows belong together, unless that of the training;
            intervals resample whole groups. Images are grouped by patient.
        positive: of two classes, the one to look for; see `assess` for the default.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Returns:
        The evaluation, which as a number is the accuracy.

    Raises:
        InvalidInput: labels are missing or unknown to the model, or the data does not fit.

    Warns:
        SeenInTraining: the model was trained on some of the rows, or on others of their groups.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise InvalidInput(
            "confidence must lie between 0 and 1 and resamples be at least 1; got "
            f"{confidence} and {resamples}"
        )
    labels, belongs, matrix = _read(model, test, target, groups)
    seen, shared = _overlap(model, test, labels, matrix)
    evaluation = assess(
        labels.tolist(),
        model.predictor.run(matrix),
        model.classes,
        groups=belongs,
        positive=positive,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        model=model.ref,
        data=_shown(test),
        seen=seen,
    )
    if seen:
        warnings.warn(
            f"{seen} of {len(labels)} test rows equal rows that {model.ref} was trained on, so the "
            "figures flatter it; evaluate on the test side of split_data",
            SeenInTraining,
            stacklevel=2,
        )
    elif shared:
        warnings.warn(
            f"{shared} patients of the test data have other images that {model.ref} was trained "
            "on, so the figures may flatter it; split_data keeps patients together",
            SeenInTraining,
            stacklevel=2,
        )
    return _kept(model, test, evaluation, matrix)


def _read(
    model: Model, test: Any, target: Any, groups: str | None
) -> tuple[NDArray[np.str_], list[str] | None, NDArray[np.float64]]:
    """Return labels, groups where they are known, and features of test data."""
    if isinstance(test, ImageSet):
        if target is not None or groups is not None:
            raise InvalidInput("an image set knows its labels and patients; leave out target=")
        if test.labels is None:
            raise InvalidInput(f"the images of {test.ref} have no labels to compare with")
        known: list[str] = test.groups.tolist()
        belongs = known if len(set(known)) < len(known) else None
        return class_names(test.labels, test.ref), belongs, model.features(test)
    if model.signature.kind == "array" and not isinstance(test, Table):
        rows, labels = test if isinstance(test, tuple) else (test, target)
        if labels is None or isinstance(labels, str) or len(labels) != len(rows):
            raise InvalidInput(
                "rows of numbers need a label each: evaluate(model, (X, y)) or "
                "evaluate(model, X, target=y)"
            )
        return class_names(np.asarray(labels), "the target"), None, model.features(rows)
    columns = columns_of(test.to_polars() if isinstance(test, Table) else frame_of(test))
    target = model.description.target if target is None else target
    if target not in columns:
        raise InvalidInput(f"target={target!r} is no column of the test data: {list(columns)}")
    labels = class_names(columns[target], f"column {target!r}")
    grouped_by = groups or model.description.grouped_by
    if groups is not None and groups not in columns:
        raise InvalidInput(f"groups={groups!r} is no column of the test data: {list(columns)}")
    column = columns.get(grouped_by) if grouped_by is not None else None
    belongs = None if column is None else [str(value) for value in texts(column)]
    columns.pop(target)
    if groups is not None and groups not in {field.name for field in model.signature.inputs}:
        columns.pop(groups)
    return labels, belongs, model.features(columns)


def _overlap(
    model: Model, test: Any, labels: NDArray[np.str_], matrix: NDArray[np.float64]
) -> tuple[int, int]:
    """Return how many test rows were trained on, and how many patients have others that were."""
    try:
        train = model.training_data()
    except NotFound:
        return 0, 0  # erased since
    if isinstance(train, ImageSet):
        if not isinstance(test, ImageSet):
            return 0, 0
        pixels = {entry.pixels for entry in train.entries}
        patients = {entry.meta.patient for entry in train.entries} - {None}
        seen = sum(entry.pixels in pixels for entry in test.entries)
        return seen, len(patients & {entry.meta.patient for entry in test.entries})
    if isinstance(test, Table) and test.dataset.id == train.dataset.id:
        learned_rows, rows = (
            np.arange(len(t)) if t.rows is None else t.rows for t in (train, test)
        )
        return int(np.isin(rows, learned_rows).sum()), 0
    # Rows from elsewhere are the same when their features and their label are.
    columns = columns_of(train.to_polars())
    target = model.description.target
    trained = class_names(columns.pop(ARRAY_TARGET if target is None else target), "the training")
    if model.signature.kind == "array":
        learned = model.predictor.preparation.arrays(np.stack(list(columns.values()), axis=1))
    else:
        learned = model.features(columns)
    known = set(_tokens(learned, trained))
    return sum(token in known for token in _tokens(matrix, labels)), 0


def _tokens(matrix: NDArray[np.float64], labels: NDArray[np.str_]) -> Iterator[tuple[bytes, str]]:
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    return ((row.tobytes(), label) for row, label in zip(rows, labels.tolist(), strict=True))


def _kept(
    model: Model, test: Any, evaluation: Evaluation, matrix: NDArray[np.float64]
) -> Evaluation:
    """Store an evaluation in the lineage; the same one again is the same node."""
    workspace = model.workspace
    parents = [(model.node.id, "model")]
    if isinstance(test, Dataset) and test.workspace is workspace:
        parents.append((test.record().id, "data"))
    content = hashlib.sha256(matrix.tobytes()).hexdigest()
    said = evaluation.to_dict()
    told = msgspec.json.encode([parents, content, said]).decode()
    with workspace.transaction() as transaction:
        node = transaction.node(
            "evaluation",
            model.name,
            facts={"evaluation": said, "content": content},
            parents=parents,
            id=f"evaluation_{workspace.keys.token(told)}",
        )
    return msgspec.structs.replace(evaluation, node=node.id)


def _shown(test: Any) -> str:
    if not isinstance(test, Dataset):
        return f"a {type(test).__name__} that is not stored"
    if test.split is None:
        return test.ref
    side = test.record().facts.get("side", "a")
    return f"{test.ref}, {side} side"
