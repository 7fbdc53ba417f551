"""Examples: rows with labels, whatever kind of data they come in, and where they are kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import columns_of, is_frame, texts
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["ARRAY_TARGET", "Examples", "class_names", "gather", "in_order"]

# The column of the labels in the table that rows of numbers are kept in.
ARRAY_TARGET = "target"


class Examples(Struct, frozen=True, kw_only=True):
    """Rows to learn from.

    Attributes:
        kind: what a row is.
        dataset: where the rows are kept.
        labels: the class of each row, as text (rows,).
        columns: for tables, the columns that may become features, by name.
        matrix: for arrays, the numbers (rows, columns).
        groups: what each row belongs to (its patient), where that is known.
        target: for tables, the column of the labels.
        grouped_by: for tables, the column of the groups.
    """

    kind: Literal["image", "table", "array"]
    dataset: ImageSet | Table
    labels: NDArray[np.str_]
    columns: Mapping[str, NDArray[Any]] | None = None
    matrix: NDArray[np.float64] | None = None
    groups: Sequence[str] | None = None
    target: str | None = None
    grouped_by: str | None = None

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return some of the rows of a table, in this order."""
        assert self.columns is not None
        return msgspec.structs.replace(
            self,
            labels=self.labels[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
            groups=None if self.groups is None else [self.groups[row] for row in rows],
        )


def gather(
    data: Any, *, target: Any, groups: str | None, name: str | None, workspace: Workspace | None
) -> Examples:
    """Bring training data of any kind into one form; what is not stored yet is stored.

    Args:
        data: an `ImageSet`, a `Table`, a frame (pandas, Polars, Arrow), rows of numbers with
            ``target`` the labels, or a tuple of both.
        target: the column of the labels, or the labels.
        groups: the column that says what belongs together.
        name: for the dataset, where a new one is made.
        workspace: where a new one is kept.

    Raises:
        InvalidInput: labels are missing, or the data is of no such kind.
    """
    if isinstance(data, ImageSet):
        return _of_images(data, target, groups)
    if isinstance(data, Table):
        return _of_table(data, target, groups)
    workspace = workspace or Workspace.open()
    if is_frame(data) or isinstance(data, Mapping):
        _check_target(target, list(data) if isinstance(data, Mapping) else list(columns_of(data)))
        return _of_table(
            read_table(data, name=name or str(target), workspace=workspace), target, groups
        )
    if isinstance(data, tuple) and len(data) == 2 and target is None:
        data, target = data
    return _of_array(data, target, groups, name, workspace)


def class_names(labels: Sequence[Any] | NDArray[Any], where: str) -> NDArray[np.str_]:
    """Return labels as text: 1, 1.0 and "1" are one class, True is ``true``.

    Args:
        labels: one for each row.
        where: what holds them, for messages.

    Raises:
        InvalidInput: some are missing, or they are measurements instead of classes.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "f":
        present = labels[~np.isnan(labels)]
        if (present % 1 != 0).any():
            raise InvalidInput(
                f"{where} holds measurements such as {present[present % 1 != 0][0]}, not classes; "
                "a classifier needs classes: cut the values into ranges first"
            )
    written = texts(labels)
    missing = sum(label is None for label in written)
    if missing:
        raise InvalidInput(
            f"{missing} of {len(written)} rows have no label in {where}; leave them out, or label "
            "them"
        )
    return np.array(written, dtype=str)


def _of_images(images: ImageSet, target: Any, groups: str | None) -> Examples:
    if target is not None or groups is not None:
        raise InvalidInput(
            "an image set knows its labels and patients itself; leave out target= and groups=, "
            "and pass label= or group= to read_images"
        )
    if images.labels is None:
        raise InvalidInput(
            f"the images of {images.ref} have no labels; read them from class folders, a "
            "labels.csv or a DICOM attribute: read_images(path, label=...)"
        )
    grouped = images.groups
    return Examples(
        kind="image",
        dataset=images,
        labels=class_names(images.labels, images.ref),
        groups=grouped.tolist() if len(set(grouped.tolist())) < len(grouped) else None,
    )


def _of_table(table: Table, target: Any, groups: str | None) -> Examples:
    _check_target(target, table.columns)
    if groups is None and table.split is not None and table.split.grouped_by in table.columns:
        groups = table.split.grouped_by
    if groups is not None and (groups not in table.columns or groups == target):
        raise InvalidInput(f"groups={groups!r} is no column beside the target {target!r}")
    columns = columns_of(table.to_polars())
    labels = class_names(columns.pop(target), f"column {target!r}")
    belongs = None if groups is None else [str(value) for value in texts(columns.pop(groups))]
    if not columns:
        raise InvalidInput(f"{table.ref} has no column beside {target!r} to learn from")
    return Examples(
        kind="table",
        dataset=table,
        labels=labels,
        columns=columns,
        groups=belongs,
        target=target,
        grouped_by=groups,
    )


def _of_array(
    data: Any, target: Any, groups: str | None, name: str | None, workspace: Workspace
) -> Examples:
    matrix = np.asarray(data)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf" or not matrix.size:
        raise InvalidInput(
            "expected an image set, a table, a frame, or rows of numbers (rows, columns); got "
            f"{type(data).__name__} that makes an array of {matrix.dtype} {matrix.shape}"
        )
    if target is None or isinstance(target, str) or len(target) != len(matrix):
        raise InvalidInput(
            f"{len(matrix)} rows of numbers need as many labels: train_classifier((X, y)) or "
            "train_classifier(X, target=y)"
        )
    if groups is not None:
        raise InvalidInput("groups= names a column, so it needs a table: pass a frame")
    labels = class_names(np.asarray(target), "the target")
    matrix = matrix.astype(np.float64)
    columns: dict[str, NDArray[Any]] = {f"x{n}": column for n, column in enumerate(matrix.T)}
    table = read_table({**columns, ARRAY_TARGET: labels}, name=name or "array", workspace=workspace)
    return Examples(kind="array", dataset=table, labels=labels, matrix=matrix)


def _check_target(target: Any, columns: Sequence[str]) -> None:
    if not isinstance(target, str) or target not in columns:
        raise InvalidInput(
            f"target={target!r} is no column; name the column of the labels, one of: "
            f"{', '.join(columns)}"
        )


def in_order(labels: "Mapping[str, int] | set[str]") -> list[str]:
    """Return class names sorted: numbers by value, else as text."""
    try:
        return sorted(labels, key=float)
    except ValueError:
        return sorted(labels)
