"""Encoding: how columns or images become the matrix an estimator learns from.

An encoding is fitted on training rows and kept as data. The same object then encodes test sets,
whole tables and the single record of a request, so training and serving cannot differ.
"""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, Self, cast

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt, InvalidInput
from lepton_ai.data.columns import Columns, Kind, columns_of, kind_of, texts
from lepton_ai.data.encoders import (
    Boolean,
    Category,
    Column,
    Date,
    Impute,
    Matrix,
    Number,
    Project,
    Standardise,
    Step,
)

__all__ = ["Encoding", "Skipped"]

_FEW = 20  # below so many rows, distinct values do not yet look like identifiers
_DENSE = 0.5
_NAMED = 10  # columns in a message
_PLAIN = {int, float, type(None)}


class Skipped(Struct, frozen=True):
    """A column that the encoding leaves out, and why."""

    column: str
    reason: str


class Encoding(Struct, frozen=True, dict=True):
    """Fitted steps from columns, or from arrays of one shape, to a float64 matrix.

    Attributes:
        columns: one step for each column that is used, in the order of the features.
        shape: of one item, where the encoding reads arrays instead of columns.
        steps: what is then done to the matrix.
        skipped: columns that are known but not used; a record may hold them or not.
    """

    columns: tuple[Column, ...] = ()
    shape: tuple[int, ...] | None = None
    steps: tuple[Step, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def fit(
        cls,
        data: Any,
        kinds: Mapping[str, Kind | Literal["skip"]] | None = None,
        *,
        standardise: bool = True,
        components: int | float | None = None,
        max_categories: int = 100,
    ) -> Self:
        """Learn an encoding from training data.

        Numbers and dates have gaps filled by the median, with an indicator where training had
        gaps, and are standardised. Text becomes one feature for each category. Left out are
        columns without any value, text that is different in each row, and whole numbers that
        count the rows: they identify a row and teach nothing; ``kinds`` overrules that.

        Args:
            data: a frame, a mapping from column name to values, or an array (n, ...) such as
                stacked images. No target column among them.
            kinds: the kind of a column where its type does not tell: postal codes are a
                "category", and "skip" leaves a column out.
            standardise: whether to subtract the mean and divide by the standard deviation.
            components: principal components to project on: their number, or the share of the
                variance they must explain.
            max_categories: of more categories in one column, the rest counts as unknown.

        Raises:
            InvalidInput: there are no rows or usable columns, or one holds values of no use.
        """
        if isinstance(data, np.ndarray):
            return cls._fit_array(data, standardise=standardise, components=components)
        values = columns_of(data)
        rows = len(next(iter(values.values()), ()))
        if not rows:
            raise InvalidInput("an encoding is learned from rows; the data has none")
        unknown = [name for name in kinds or {} if name not in values]
        if unknown:
            raise InvalidInput(f"kinds names columns that are not there: {unknown}")
        columns: list[Column] = []
        skipped: list[Skipped] = []
        for name, column in values.items():
            step = _fit_column(name, column, (kinds or {}).get(name), max_categories)
            (skipped if isinstance(step, Skipped) else columns).append(step)  # type: ignore[arg-type]
        if not columns:
            raise InvalidInput(
                "no column is of use: "
                + "; ".join(f"{skip.column!r} {skip.reason}" for skip in skipped)
            )
        draft = cls(columns=tuple(columns), skipped=tuple(skipped))
        plain = [
            place
            for place, step in enumerate(
                chain.from_iterable([step] * len(step.features()) for step in columns)
            )
            if isinstance(step, Category | Boolean)
        ]
        return draft._fit_steps(
            draft._encode(values), impute=True, keep=plain, scale=standardise, components=components
        )

    @classmethod
    def _fit_array(
        cls, array: NDArray[Any], *, standardise: bool, components: int | float | None
    ) -> Self:
        if array.ndim < 2 or not array.size or array.dtype.kind not in "biuf":
            raise InvalidInput(
                "an encoding is learned from an array of numbers (rows, ...) with at least one row "
                f"and column; got shape {array.shape} of {array.dtype}"
            )
        draft = cls(shape=array.shape[1:])
        return draft._fit_steps(
            draft._flatten(array),
            impute=array.ndim == 2,
            keep=(),
            scale=standardise,
            components=components,
        )

    def _fit_steps(
        self,
        matrix: Matrix,
        *,
        impute: bool,
        keep: Iterable[int],
        scale: bool,
        components: int | float | None,
    ) -> Self:
        steps: list[Step] = []
        width = matrix.shape[1]
        if impute:
            steps.append(Impute.fit(matrix, self.feature_names))
            matrix = steps[-1].apply(matrix)
        elif np.isnan(matrix).any():
            raise InvalidInput("the images hold pixels that are not numbers (NaN)")
        if scale:
            steps.append(Standardise.fit(matrix, [*keep, *range(width, matrix.shape[1])]))
            matrix = steps[-1].apply(matrix)
        if components is not None:
            steps.append(Project.fit(matrix, components))
        return msgspec.structs.replace(self, steps=tuple(steps))

    def apply(self, data: Any) -> Matrix:
        """Return the matrix (rows, features) of columns or arrays.

        Args:
            data: what `fit` takes, or a list of records (mappings from column name to value).

        Raises:
            InvalidInput: a column is missing, unknown or of the wrong type, or an array has
                another shape; the message names it.
        """
        if self.shape is not None:
            matrix = self._flatten(np.asarray(data))
        elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
            matrix = self._encode_records(data)
        else:
            matrix = self._encode(columns_of(data))
        for step in self.steps:
            matrix = step.apply(matrix)
        return matrix

    @cached_property
    def feature_names(self) -> list[str]:
        """The name of each feature, in the order of the matrix' columns."""
        if self.shape is None:
            names = [name for step in self.columns for name in step.features()]
        elif len(self.shape) == 1:
            names = [f"x{place}" for place in range(self.shape[0])]
        else:
            names = [f"pixel {place}" for place in np.ndindex(self.shape)]
        for step in self.steps:
            names = step.features(names)
        return names

    def to_json(self) -> bytes:
        """Return the encoding as JSON; equal encodings give equal bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read an encoding back, exactly as it was.

        Raises:
            Corrupt: the bytes are not an encoding.
        """
        try:
            encoding = msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise Corrupt(f"not an encoding: {error}") from error
        width = encoding._plan[-1] if encoding.shape is None else math.prod(encoding.shape)
        for step in encoding.steps:
            width = step.width(width)
        return encoding

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(step.column for step in self.columns)

    @cached_property
    def _plan(self) -> tuple[list[Number], Any, list[int], list[tuple[Column, slice]], int]:
        """The columns of numbers, read in one go, their places, and the other columns'."""
        numeric: list[Number] = []
        places: list[int] = []
        others: list[tuple[Column, slice]] = []
        width = 0
        for step in self.columns:
            features = len(step.features())
            if isinstance(step, Number):
                numeric.append(step)
                places.append(width)
            else:
                others.append((step, slice(width, width + features)))
            width += features
        names = [step.column for step in numeric]
        read = itemgetter(*names) if len(names) > 1 else lambda record: [record[n] for n in names]
        return numeric, read, places, others, width

    def _encode(self, values: Columns) -> Matrix:
        self._check_names(values.keys())
        numeric, _, places, others, width = self._plan
        matrix = np.empty((len(next(iter(values.values()))), width))
        for step, place in zip(numeric, places, strict=True):
            matrix[:, place] = step.encode(values[step.column])
        for other, span in others:
            matrix[:, span] = other.encode(values[other.column]).reshape(len(matrix), -1)
        return matrix

    def _encode_records(self, records: Sequence[Mapping[str, Any]]) -> Matrix:
        for record in records:
            if not isinstance(record, Mapping):
                raise InvalidInput(
                    f"a record is a mapping from column name to value; got {type(record).__name__}"
                )
            if record.keys() != self._names:
                self._check_names(record.keys())
        numeric, read, places, others, width = self._plan
        matrix = np.empty((len(records), width))
        if numeric and records:
            rows = [read(record) for record in records]
            block = _block(rows)
            if block is not None:
                matrix[:, places] = block
            else:
                for step, place, column in zip(
                    numeric, places, zip(*rows, strict=True), strict=True
                ):
                    matrix[:, place] = step.encode(column)
        for other, span in others:
            encoded = other.encode([record[other.column] for record in records])
            matrix[:, span] = encoded.reshape(len(matrix), -1)
        return matrix

    def _flatten(self, array: NDArray[Any]) -> Matrix:
        shape = cast("tuple[int, ...]", self.shape)
        if array.shape[1:] != shape or array.dtype.kind not in "biuf":
            raise InvalidInput(
                f"expected numbers of shape (rows, {', '.join(map(str, shape))}); got shape "
                f"{array.shape} of {array.dtype}"
            )
        matrix = array.reshape(len(array), -1).astype(np.float64)
        if np.isinf(matrix).any():
            row, place = np.argwhere(np.isinf(matrix))[0]
            raise InvalidInput(f"row {row} holds an infinite number at place {place}")
        return matrix

    def _check_names(self, names: Collection[str]) -> None:
        """Refuse columns that lack, and columns that training did not have."""
        lacking = [step.column for step in self.columns if step.column not in names]
        known = self._names | {skip.column for skip in self.skipped}
        unknown = [name for name in names if name not in known]
        if not lacking and not unknown:
            return
        said = []
        if lacking:
            said.append(f"missing: {_few(map(repr, lacking))}")
        if unknown:
            said.append(f"unknown: {_few(map(repr, unknown))}")
            close = difflib.get_close_matches(str(unknown[0]), lacking or self._names, n=1)
            if close:
                said.append(f"did you mean {close[0]!r} by {unknown[0]!r}?")
        raise InvalidInput(
            f"the columns do not fit; {'; '.join(said)}. Expected "
            f"{_few(f'{step.column} ({_kind(step)})' for step in self.columns)}; a value "
            "that is not known is given as null"
        )


def _few(names: Iterable[str]) -> str:
    """Return names for a message, which a table of a hundred columns must not drown."""
    every = list(names)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _block(rows: Sequence[Sequence[Any]]) -> Matrix | None:
    """Turn rows of numbers and None into one array: a call a column would cost ten times that."""
    if not set(map(type, chain.from_iterable(rows))) <= _PLAIN:
        return None
    try:
        block = np.array(rows, dtype=np.float64)
    except OverflowError:
        return None
    return None if np.isinf(block).any() else block


def _fit_column(
    name: str, values: NDArray[Any], kind: Kind | Literal["skip"] | None, limit: int
) -> Column | Skipped:
    if kind == "skip":
        return Skipped(name, "was to be skipped")
    written = texts(values) if kind == "category" or values.dtype.kind == "O" else None
    if written is not None:
        present = [text for text in written if text is not None]
        distinct = len(set(present))
        empty, counts = not present, False
        identifies = len(present) >= _FEW and distinct == len(present)
    else:
        gaps = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
        empty, identifies = bool(gaps.all()), False
        counts = (
            values.dtype.kind == "f"
            and len(values) >= _FEW
            and not gaps.any()
            and bool((np.diff(values) > 0).all() and (values % 1 == 0).all())
            # With the gaps that a split leaves; sorted measurements are sparser.
            and len(values) > _DENSE * (values[-1] - values[0])
        )
    if empty:
        return Skipped(name, "holds no value")
    if kind is None and (identifies or counts):
        return Skipped(name, "is different in each row, as an identifier is")
    kind = kind or kind_of(name, values)
    if kind == "category":
        return Category.fit(name, values, limit)
    if kind in _KINDS:
        return _KINDS[kind](name)
    raise InvalidInput(
        f"the kind of column {name!r} must be one of {[*_KINDS, 'category', 'skip']}; got {kind!r}"
    )


_KINDS: dict[str, type[Number | Boolean | Date]] = {
    "number": Number,
    "boolean": Boolean,
    "date": Date,
}


def _kind(step: Column) -> str:
    return type(step).__name__.lower()
