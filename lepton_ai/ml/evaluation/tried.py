"""Tried: the rows that a model is measured on, and which of them it was trained on."""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, NotFound
from lepton_ai.data.columns import columns_of, texts
from lepton_ai.data.dataset import Dataset
from lepton_ai.data.frames import frame_of
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table
from lepton_ai.ml.evaluation.resampling import block_of
from lepton_ai.ml.examples import ARRAY_TARGET
from lepton_ai.ml.model import Model

__all__ = ["SeenInTraining", "Tried", "read", "shown", "trained_on", "warn_of"]

Matrix = NDArray[np.float64]


class SeenInTraining(UserWarning):
    """The test data holds rows, or further rows of groups, that the model was trained on."""


class Tried(Struct, frozen=True, kw_only=True):
    """Rows to measure a model on.

    Attributes:
        matrix: their features (rows, features).
        truth: what is known of each row, as it was given (rows, ...); None where nothing is.
        where: what holds the truth, for messages.
        groups: what each row belongs to, where that is known.
        slices: the columns whose values part the rows.
        order: the time of each row, where that is known; rows are then in its order.
        naive: of forecasts, the seasonal-naive ones, NaN where there is none.
        season: steps of a season of theirs.
    """

    matrix: Matrix
    truth: NDArray[Any] | None
    where: str
    groups: Sequence[str] | None = None
    slices: Mapping[str, NDArray[Any]] = {}
    order: NDArray[Any] | None = None
    naive: Matrix | None = None
    season: int = 1

    @property
    def block(self) -> int:
        """How many rows that follow each other are resampled together."""
        return 1 if self.order is None or self.groups is not None else block_of(len(self.matrix))

    def in_time(self) -> Self:
        """Return the rows in the order of time, where that is known."""
        if self.order is None:
            return self
        rows = np.argsort(self.order, kind="stable")
        return msgspec.structs.replace(
            self,
            matrix=self.matrix[rows],
            truth=None if self.truth is None else self.truth[rows],
            groups=None if self.groups is None else [self.groups[row] for row in rows],
            slices={name: column[rows] for name, column in self.slices.items()},
            order=self.order[rows],
        )


def read(
    model: Model,
    test: Any,
    target: Any,
    groups: str | None,
    slices: Sequence[str],
    time: str | None,
    beside: Collection[str] = (),
) -> Tried:
    """Return features and truth of test data of any kind; see `evaluate` for the arguments.

    Args:
        model: whose features are read.
        test: see `evaluate`, like the other arguments.
        target: see `evaluate`.
        groups: see `evaluate`.
        slices: see `evaluate`.
        time: see `evaluate`.
        beside: columns that may be there and are not read, unless the model needs them.

    Raises:
        InvalidInput: a column is missing, or the data is of another kind than the model's.
    """
    if isinstance(test, ImageSet):
        return _images(model, test, target, groups, slices)
    if model.signature.kind == "array" and not isinstance(test, Table):
        return _array(model, test, target, groups, slices)
    columns = columns_of(test.to_polars() if isinstance(test, Table) else frame_of(test))
    target = model.description.target if target is None else target
    if target is not None and not isinstance(target, str):
        raise InvalidInput("the truth of a table is one of its columns; name it: target='column'")
    asked = {"target": target, "groups": groups, "time": time}
    asked |= {f"slices[{place}]": name for place, name in enumerate(slices)}
    for word, name in asked.items():
        if name is not None and name not in columns:
            raise InvalidInput(f"{word}={name!r} is no column of the test data: {list(columns)}")
    parts = {name: columns[name] for name in slices}
    grouped_by = groups or model.description.grouped_by
    column = columns.get(grouped_by) if grouped_by is not None else None
    ordered_by = time or model.description.time
    order = columns.get(ordered_by) if ordered_by is not None else None
    truth = None if target is None else columns.pop(target)
    needed = {field.name for field in model.signature.inputs}
    # What windows are cut by is the model's to see.
    hidden = set(model.description.hidden)
    for name in {groups, time, *slices, *beside} - needed - hidden - {None}:
        columns.pop(str(name), None)
    return Tried(
        matrix=model.features(columns),
        truth=truth,
        where=f"column {target!r}",
        groups=None if column is None else [str(value) for value in texts(column)],
        slices=parts,
        order=order,
    ).in_time()


def _images(
    model: Model, test: ImageSet, target: Any, groups: str | None, slices: Sequence[str]
) -> Tried:
    if target is not None or groups is not None:
        raise InvalidInput("an image set knows its labels and patients; leave out target=")
    known: list[str] = test.groups.tolist()
    return Tried(
        matrix=model.features(test),
        truth=None if test.labels is None else np.asarray(test.labels, dtype=object),
        where=test.ref,
        groups=known if len(set(known)) < len(known) else None,
        slices={name: _header(test, name) for name in slices},
    )


def _header(images: ImageSet, name: str) -> NDArray[Any]:
    """What the header of each image says, such as ``modality`` or a DICOM keyword."""
    found = [
        entry.meta.attributes.get(name, getattr(entry.meta, name, None)) for entry in images.entries
    ]
    if all(value is None for value in found):
        raise InvalidInput(
            f"no header of {images.ref} has {name!r}; slices of images are attributes such as "
            "'modality'"
        )
    return np.array([None if value is None else str(value) for value in found], dtype=object)


def _array(
    model: Model, test: Any, target: Any, groups: str | None, slices: Sequence[str]
) -> Tried:
    rows, truth = test if isinstance(test, tuple) else (test, target)
    if groups is not None or slices:
        raise InvalidInput("groups= and slices= name columns, so they need a table")
    if truth is not None and (isinstance(truth, str) or len(truth) != len(rows)):
        raise InvalidInput(
            "rows of numbers need a label each: evaluate(model, (X, y)) or "
            "evaluate(model, X, target=y)"
        )
    return Tried(
        matrix=model.features(rows),
        truth=None if truth is None else np.asarray(truth),
        where="the target",
    )


def trained_on(model: Model, test: Any, tried: Tried) -> tuple[int, int]:
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
    # Rows from elsewhere are the same when their features are, and their truth where it is known.
    columns = columns_of(train.to_polars())
    target = model.description.target
    truth = columns.pop(ARRAY_TARGET if target is None else target, None)
    if model.signature.kind == "array":
        learned = model.predictor.preparation.arrays(np.stack(list(columns.values()), axis=1))
    else:
        learned = model.features(columns)
    both = truth is not None and tried.truth is not None and tried.truth.ndim == 1
    known = set(_tokens(learned, truth if both else None))
    return sum(token in known for token in _tokens(tried.matrix, tried.truth if both else None)), 0


def warn_of(model: Model, rows: int, seen: int, shared: int) -> None:
    """Warn whoever called the caller of rows and patients that a model was trained on.

    Args:
        model: which.
        rows: how many there are.
        seen: how many of them it was trained on.
        shared: how many patients have other images that it was.
    """
    if seen:
        warnings.warn(
            f"{seen} of {rows} test rows equal rows that {model.ref} was trained on, so the "
            "figures flatter it; evaluate on the test side of split_data",
            SeenInTraining,
            stacklevel=3,
        )
    elif shared:
        warnings.warn(
            f"{shared} patients of the test data have other images that {model.ref} was trained "
            "on, so the figures may flatter it; split_data keeps patients together",
            SeenInTraining,
            stacklevel=3,
        )


def _tokens(matrix: Matrix, truth: NDArray[Any] | None) -> Iterator[tuple[bytes, str | None]]:
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    told = [""] * len(rows) if truth is None else texts(truth)
    return ((row.tobytes(), label) for row, label in zip(rows, told, strict=True))


def shown(test: Any) -> str:
    """Return what the test data is called."""
    if not isinstance(test, Dataset):
        return f"a {type(test).__name__} that is not stored"
    if test.split is None:
        return test.ref
    side = test.record().facts.get("side", "a")
    return f"{test.ref}, {side} side"
