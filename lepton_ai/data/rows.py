"""Items: what a split must know of any kind of data, by row number.

One small class for each kind: image sets, frames (tables become frames) and arrays.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.columns import is_frame
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.table import Table

__all__ = ["Items", "items_of"]

_IMAGE_GROUPS = ("patient", "study", "series")


class Items(ABC):
    """The rows of some data: their labels, groups and equality, and how to take some."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def labels(self) -> NDArray[Any] | None:
        """Return the label of each item, None where there are none."""

    @abstractmethod
    def column(self, name: str, what: str) -> NDArray[Any]:
        """Return what an argument means by a name, a value for each item."""

    @abstractmethod
    def equals(self, groups_by: str | None) -> NDArray[np.intp]:
        """Return a number for each item; exactly equal items share it."""

    @abstractmethod
    def take(self, rows: NDArray[np.intp]) -> Any:
        """Return data of the same kind with these rows only."""

    def name(self, row: int) -> str:
        """Return what a report calls an item."""
        return str(row)

    def file(self, row: int) -> str:
        """Return where a person finds an item."""
        return f"row {row}"

    def default_groups(self) -> tuple[str | None, NDArray[Any]]:
        """Return what is kept together unless said otherwise, and its name."""
        return None, np.arange(len(self))

    def values(self, wish: Any, what: str) -> NDArray[Any]:
        """Return the values that an argument gives by a column's name or as an array."""
        if isinstance(wish, str):
            return self.column(wish, what)
        values = _array(wish)
        if values.shape != (len(self),):
            raise InvalidInput(
                f"{what} needs one value for each of the {len(self)} items; got shape "
                f"{values.shape}"
            )
        return values

    def groups(self, wish: Any) -> tuple[str | None, NDArray[np.intp]]:
        """Return what the items are grouped by, and the number of each one's group."""
        if wish is None:
            return None, np.arange(len(self))
        if isinstance(wish, str) and wish == "auto":
            name, values = self.default_groups()
        else:
            name = wish if isinstance(wish, str) else "the given groups"
            values = self.values(wish, "group")
        # What names no group belongs to nobody else's.
        own = [object() if _missing(value) else value for value in values.tolist()]
        return name, _codes(own)


class _Images(Items):
    def __init__(self, images: ImageSet) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def labels(self) -> NDArray[Any] | None:
        return self._images.labels

    def name(self, row: int) -> str:
        return self._images.entries[row].id

    def file(self, row: int) -> str:
        entry = self._images.entries[row]
        index = "" if entry.index is None else f"[{entry.index}]"
        return entry.parts[0].path + index

    def default_groups(self) -> tuple[str | None, NDArray[Any]]:
        by_patient = any(entry.group == entry.meta.patient for entry in self._images.entries)
        name = "patient" if by_patient else "the group set at reading"
        return name, self._images.groups

    def column(self, name: str, what: str) -> NDArray[Any]:
        if name not in _IMAGE_GROUPS:
            raise InvalidInput(
                f"{what} must be one of {', '.join(_IMAGE_GROUPS)}, or an array with one value "
                f"for each image; got {name!r}"
            )
        metas = [entry.meta for entry in self._images.entries]
        values = [getattr(meta, name) for meta in metas]
        return np.array(values, dtype=object)

    def equals(self, groups_by: str | None) -> NDArray[np.intp]:
        return _codes(entry.pixels for entry in self._images.entries)

    def take(self, rows: NDArray[np.intp]) -> Any:
        return self._images.take(rows)


class _Frame(Items):
    def __init__(self, frame: Any, target: str | None) -> None:
        native = nw.from_native(frame)
        self._frame = native.collect() if isinstance(native, nw.LazyFrame) else native
        self._target = target
        if target is not None:
            self.column(target, "target")

    def __len__(self) -> int:
        return len(self._frame)

    def labels(self) -> NDArray[Any] | None:
        return None if self._target is None else self.column(self._target, "target")

    def column(self, name: str, what: str) -> NDArray[Any]:
        if name not in self._frame.columns:
            raise InvalidInput(
                f"{what} names the column {name!r}, which is not there; there are "
                f"{self._frame.columns}"
            )
        return _array(self._frame[name])

    def equals(self, groups_by: str | None) -> NDArray[np.intp]:
        beside = {self._target, groups_by}
        frame = self._frame.drop([name for name in self._frame.columns if name in beside])
        if not frame.columns:
            return np.arange(len(self))
        try:
            return _codes(frame.to_polars().hash_rows().to_list())
        except (ImportError, TypeError, ValueError, pl.exceptions.PolarsError):
            # Objects that Polars does not hold, or no pyarrow to bring pandas columns to it.
            return _codes(map(repr, frame.iter_rows()))

    def take(self, rows: NDArray[np.intp]) -> Any:
        return self._frame[rows.tolist()].to_native()


class _Pair(Items):
    def __init__(self, features: Any, labels: Any) -> None:
        self._rows = _Frame(features, None) if is_frame(features) else None
        self._array = np.asarray([] if self._rows is not None else features)
        self._labels = labels
        if len(self) != len(labels):
            raise InvalidInput(f"X has {len(self)} rows, but y has {len(labels)} labels")

    def __len__(self) -> int:
        return len(self._rows) if self._rows is not None else len(self._array)

    def labels(self) -> NDArray[Any] | None:
        return _array(self._labels)

    def column(self, name: str, what: str) -> NDArray[Any]:
        if self._rows is not None:
            return self._rows.column(name, what)
        raise InvalidInput(
            f"{what} must be an array with one value for each row of X, which has no named "
            f"columns; got {name!r}"
        )

    def equals(self, groups_by: str | None) -> NDArray[np.intp]:
        if self._rows is not None:
            return self._rows.equals(groups_by)
        array = np.ascontiguousarray(self._array)
        if array.dtype.kind == "O":
            return _codes(map(repr, array.tolist()))
        return _codes(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in array)

    def take(self, rows: NDArray[np.intp]) -> Any:
        labels = nw.from_native(self._labels, series_only=True, pass_through=True)
        return (
            self._array[rows] if self._rows is None else self._rows.take(rows),
            labels[rows.tolist()].to_native()
            if isinstance(labels, nw.Series)
            else np.asarray(labels)[rows],
        )


def items_of(data: Any, target: str | None = None) -> Items:
    """Return the items of an image set, a table, a frame or a pair (X, y).

    Raises:
        InvalidInput: the data is none of these, or ``target`` does not go with it.
    """
    if isinstance(data, Table):
        return _Frame(data.to_polars(), target)
    if isinstance(data, ImageSet | tuple) and target is not None:
        raise InvalidInput(
            f"target names the column of labels of a table; {type(data).__name__} has labels of "
            "its own"
        )
    if isinstance(data, ImageSet):
        return _Images(data)
    if isinstance(data, tuple) and len(data) == 2:
        return _Pair(*data)
    if is_frame(data):
        return _Frame(data, target)
    raise InvalidInput(
        "expected an ImageSet, a Table, a pandas, Polars or Arrow frame, or a pair of arrays "
        f"(X, y); got {type(data).__name__}"
    )


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _codes(values: Iterable[Any]) -> NDArray[np.intp]:
    """Number the distinct values from 0, in the order in which they first occur."""
    numbers: dict[Any, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return np.array(codes, dtype=np.intp)


def _array(values: Any) -> NDArray[Any]:
    """Return a list, a series or an array as an array; numbers stay numbers."""
    series = nw.from_native(values, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        return np.asarray(values)
    if series.dtype.is_numeric() or (series.dtype == nw.Boolean and not series.is_null().any()):
        return series.to_numpy()
    array = np.empty(len(series), dtype=object)
    array[:] = series.to_list()
    return array
