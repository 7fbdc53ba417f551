"""Examples: rows to learn from, whatever kind of data they come in, and where they are kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import columns_of, is_frame, numbers, texts
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.read_table import read_table
from lepton_ai.data.table import Table
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, Task
from lepton_ai.storage import Workspace

__all__ = ["ARRAY_TARGET", "Examples", "class_names", "gather", "in_order", "order_of"]

# The column of the labels in the table that rows of numbers are kept in.
ARRAY_TARGET = "target"


class Examples(Struct, frozen=True, kw_only=True):
    """Rows to learn from.

    Attributes:
        kind: what a row is.
        dataset: where the rows are kept.
        labels: the class of each row, as text (rows,); empty where rows have none.
        values: for a regression, the target of each row (rows,).
        weights: of the rows.
        times: for tables with a time column, the order of the rows (rows,).
        columns: for tables, the columns that may become features, by name.
        matrix: for arrays, the numbers (rows, columns).
        groups: what each row belongs to (its patient), where that is known.
        target: for tables, the column of the labels.
        grouped_by: for tables, the column of the groups.
        beside: for tables, further columns that are no features: of weights, of time.
    """

    kind: Literal["image", "table", "array"]
    dataset: ImageSet | Table
    labels: NDArray[np.str_]
    values: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    times: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]] | None = None
    matrix: NDArray[np.float64] | None = None
    groups: Sequence[str] | None = None
    target: str | None = None
    grouped_by: str | None = None
    beside: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return some of the rows of a table, in this order."""
        assert self.columns is not None
        return msgspec.structs.replace(
            self,
            labels=self.labels[rows] if len(self.labels) else self.labels,
            values=None if self.values is None else self.values[rows],
            weights=None if self.weights is None else self.weights[rows],
            times=None if self.times is None else self.times[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
            groups=None if self.groups is None else [self.groups[row] for row in rows],
        )


def gather(
    data: Any,
    *,
    target: Any,
    groups: str | None = None,
    name: str | None = None,
    workspace: Workspace | None = None,
    task: Task = CLASSIFICATION,
    sample_weight: str | None = None,
    time: str | None = None,
) -> Examples:
    """Bring training data of any kind into one form; what is not stored yet is stored.

    Args:
        data: an `ImageSet`, a `Table`, a frame (pandas, Polars, Arrow), rows of numbers with
            ``target`` the labels, a tuple of both, or examples that were gathered before.
        target: the column of the labels, or the labels; None for a task without.
        groups: the column that says what belongs together.
        name: for the dataset, where a new one is made.
        workspace: where a new one is kept.
        task: what the rows are learned for.
        sample_weight: the column of the rows' weights.
        time: the column of the rows' order.

    Raises:
        InvalidInput: labels are missing, or the data is of no such kind.
    """
    if isinstance(data, Examples):
        return data
    if isinstance(data, ImageSet):
        if sample_weight is not None or time is not None:
            raise InvalidInput("sample_weight= and time= are about the columns of a table")
        return _of_images(data, target, groups, task)
    if isinstance(data, Table):
        return _of_table(data, target, groups, task, sample_weight, time)
    workspace = workspace or Workspace.open()
    if is_frame(data) or isinstance(data, Mapping):
        columns = list(data) if isinstance(data, Mapping) else list(columns_of(data))
        _check_target(target, columns, task)
        table = read_table(data, name=name or str(target or "table"), workspace=workspace)
        return _of_table(table, target, groups, task, sample_weight, time)
    if isinstance(data, tuple) and len(data) == 2 and target is None and task.labelled:
        data, target = data
    if sample_weight is not None or time is not None:
        raise InvalidInput(
            "sample_weight= and time= name columns, so they need a table: pass a frame"
        )
    return _of_array(data, target, groups, name, workspace, task)


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


def _values(column: Sequence[Any] | NDArray[Any], where: str) -> NDArray[np.float64]:
    """Return a regression's target as numbers.

    Raises:
        InvalidInput: some are missing, infinite, or no numbers.
    """
    values = numbers(where, column)
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise InvalidInput(
            f"{int(wrong.sum())} of {len(values)} rows have no finite value in {where} (the first "
            f"is row {int(wrong.argmax())}); leave them out, or mend them"
        )
    return values


def _labelled(
    task: Task, column: Sequence[Any] | NDArray[Any] | None, where: str
) -> dict[str, Any]:
    """Return the targets as the fields of `Examples` that hold them."""
    if not task.labelled or column is None:
        return {"labels": np.empty(0, dtype=str)}
    if task is REGRESSION:
        return {"labels": np.empty(0, dtype=str), "values": _values(column, where)}
    return {"labels": class_names(column, where)}


def _of_images(images: ImageSet, target: Any, groups: str | None, task: Task) -> Examples:
    if target is not None or groups is not None:
        raise InvalidInput(
            "an image set knows its labels and patients itself; leave out target= and groups=, "
            "and pass label= or group= to read_images"
        )
    if images.labels is None and task.labelled:
        raise InvalidInput(
            f"the images of {images.ref} have no labels; read them from class folders, a "
            "labels.csv or a DICOM attribute: read_images(path, label=...)"
        )
    grouped = images.groups
    return Examples(
        kind="image",
        dataset=images,
        groups=grouped.tolist() if len(set(grouped.tolist())) < len(grouped) else None,
        **_labelled(task, images.labels, images.ref),
    )


def _of_table(
    table: Table,
    target: Any,
    groups: str | None,
    task: Task,
    sample_weight: str | None,
    time: str | None,
) -> Examples:
    _check_target(target, table.columns, task)
    if groups is None and table.split is not None and table.split.grouped_by in table.columns:
        groups = table.split.grouped_by
    for word, column in {"groups": groups, "sample_weight": sample_weight, "time": time}.items():
        if column is not None and (column not in table.columns or column == target):
            raise InvalidInput(
                f"{word}={column!r} is no column beside the target {target!r}; the columns are: "
                f"{', '.join(table.columns)}"
            )
    columns = columns_of(table.to_polars())
    targets = None if target is None else columns.pop(target)
    belongs = None if groups is None else [str(value) for value in texts(columns.pop(groups))]
    weighed = None if sample_weight is None else _weights(columns.pop(sample_weight), sample_weight)
    moments = None if time is None else order_of(columns.pop(time), time)
    if not columns:
        raise InvalidInput(f"{table.ref} has no column beside {target!r} to learn from")
    return Examples(
        kind="table",
        dataset=table,
        columns=columns,
        groups=belongs,
        target=target,
        grouped_by=groups,
        weights=weighed,
        times=moments,
        beside=tuple(name for name in (sample_weight, time) if name is not None),
        **_labelled(task, targets, f"column {target!r}"),
    )


def _weights(column: NDArray[Any], name: str) -> NDArray[np.float64]:
    values = _values(column, f"column {name!r}")
    if (values < 0).any() or not values.any():
        raise InvalidInput(f"sample_weight={name!r} must hold no negative number, and one above 0")
    return values


def order_of(column: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return moments as numbers that sort alike."""
    if column.dtype.kind == "M":
        missing = np.isnat(column)
        values = column.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    else:
        values = numbers(name, column)
        missing = ~np.isfinite(values)
    if missing.any():
        raise InvalidInput(f"time={name!r} has {int(missing.sum())} rows without a moment")
    return values


def _of_array(
    data: Any, target: Any, groups: str | None, name: str | None, workspace: Workspace, task: Task
) -> Examples:
    matrix = np.asarray(data)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf" or not matrix.size:
        raise InvalidInput(
            "expected an image set, a table, a frame, or rows of numbers (rows, columns); got "
            f"{type(data).__name__} that makes an array of {matrix.dtype} {matrix.shape}"
        )
    if task.labelled and (target is None or isinstance(target, str) or len(target) != len(matrix)):
        raise InvalidInput(
            f"{len(matrix)} rows of numbers need as many labels: train_{task.noun}((X, y)) or "
            f"train_{task.noun}(X, target=y)"
        )
    if groups is not None:
        raise InvalidInput("groups= names a column, so it needs a table: pass a frame")
    found = _labelled(task, None if target is None else np.asarray(target), "the target")
    matrix = matrix.astype(np.float64)
    columns: dict[str, NDArray[Any]] = {f"x{n}": column for n, column in enumerate(matrix.T)}
    if task.labelled:
        columns[ARRAY_TARGET] = found.get("values", found["labels"])
    table = read_table(columns, name=name or "array", workspace=workspace)
    return Examples(kind="array", dataset=table, matrix=matrix, **found)


def _check_target(target: Any, columns: Sequence[str], task: Task) -> None:
    if not task.labelled:
        if target is not None:
            raise InvalidInput(
                f"{task.name} learns without a target; leave out target={target!r}, and drop the "
                "column if it is not to be learned from"
            )
        return
    if not isinstance(target, str) or target not in columns:
        kind = "values" if task is REGRESSION else "labels"
        raise InvalidInput(
            f"target={target!r} is no column; name the column of the {kind}, one of: "
            f"{', '.join(columns)}"
        )


def in_order(labels: "Mapping[str, int] | set[str]") -> list[str]:
    """Return class names sorted: numbers by value, else as text."""
    try:
        return sorted(labels, key=float)
    except ValueError:
        return sorted(labels)
