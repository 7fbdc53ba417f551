"""Columns in one plain form, whatever frame, mapping or record they come from.

A column is a NumPy array: float64 for numbers (missing: NaN), datetime64[us] in UTC for dates
(missing: NaT), bool, or objects (text, booleans with gaps; missing: None).
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = [
    "Columns",
    "Kind",
    "booleans",
    "columns_of",
    "dates",
    "is_frame",
    "kind_of",
    "numbers",
    "texts",
]

Kind = Literal["number", "category", "boolean", "date"]
Columns = Mapping[str, NDArray[Any]]

_NUMBERS = {int, float, type(None)}


def is_frame(data: object) -> bool:
    """Tell whether the data is a pandas, Polars, Arrow or other table that Narwhals reads."""
    return isinstance(nw.from_native(data, pass_through=True), nw.DataFrame | nw.LazyFrame)


def columns_of(data: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of a frame, or of a mapping from name to array or list.

    Raises:
        InvalidInput: the data is of another kind, its columns differ in length, or one holds a
            type that no encoding reads (lists, durations, bytes).
    """
    if isinstance(data, Mapping):
        columns = {str(name): _plain(str(name), values) for name, values in data.items()}
    elif is_frame(data):
        frame = nw.from_native(data)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        columns = {name: _from_series(name, frame[name]) for name in frame.columns}
    else:
        raise InvalidInput(
            "expected a pandas, Polars or Arrow frame, or a mapping from column name to values; "
            f"got {type(data).__name__}"
        )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInput(f"the columns differ in length: {lengths}")
    return columns


def kind_of(name: str, column: NDArray[Any]) -> Kind:
    """Tell what a column holds: numbers, booleans, dates, or text (a category)."""
    kind = column.dtype.kind
    if kind in "fiu":
        return "number"
    if kind == "b":
        return "boolean"
    if kind == "M":
        return "date"
    types = {type(value) for value in column if value is not None}
    if types <= {bool, np.bool_} and types:
        return "boolean"
    if types <= {str}:
        return "category"
    raise _wrong(name, column, "text", lambda value: value is None or isinstance(value, str))


def numbers(name: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers as float64, NaN where missing; text and booleans are refused."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return values.astype(np.float64, copy=False)
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        values = values.astype(object)
    if not set(map(type, values)) <= _NUMBERS:
        if not all(value is None or _is_number(value) for value in values):
            raise _wrong(name, values, "a number", lambda v: v is None or _is_number(v))
        values = [None if value is None else float(value) for value in values]
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise InvalidInput(f"column {name!r} holds a number beyond 64 bits") from error


def booleans(name: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Return 1.0, 0.0 and NaN for True, False and missing; 1 and 0 are taken for them too."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "b":
        return values.astype(np.float64)
    allowed = {True: 1.0, False: 0.0, None: np.nan}  # 1 == True and 0.0 == False, as keys too
    try:
        return np.array([allowed[None if value != value else value] for value in values])
    except (KeyError, TypeError) as error:
        raise _wrong(
            name, values, "true or false", lambda v: v is None or v != v or v in (0, 1)
        ) from error


def texts(values: Sequence[Any] | NDArray[Any]) -> list[str | None]:
    """Return each value as text: ``1`` and ``1.0`` alike as "1", None where missing."""
    return [
        value if type(value) is str else _text(value)
        for value in (values.tolist() if isinstance(values, np.ndarray) else values)
    ]


def dates(name: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Return days since 1970-01-01 in UTC, NaN where missing.

    Text is read as ISO 8601; a time without a zone is taken as UTC.
    """
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "M"):
        try:
            values = np.array([_instant(value) for value in values], dtype="datetime64[us]")
        except (TypeError, ValueError) as error:
            raise _wrong(
                name, values, "a date such as 2024-03-31 or 2024-03-31T08:30:00Z", _is_date
            ) from error
    instants = values.astype("datetime64[us]")
    days = instants.astype(np.int64) / 86_400e6
    return np.where(np.isnat(instants), np.nan, days)


def _from_series(name: str, series: "nw.Series[Any]") -> NDArray[Any]:
    kind = series.dtype
    if kind.is_numeric():
        return series.cast(nw.Float64).to_numpy()
    missing = series.is_null().to_numpy()
    if kind == nw.Boolean and not missing.any():
        return series.to_numpy().astype(bool)
    if kind in (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Object):
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        values[missing] = None
        return values if kind != nw.Object else _plain(name, values)
    if kind in (nw.Date, nw.Datetime):
        if isinstance(kind, nw.Datetime) and kind.time_zone:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return series.cast(nw.Datetime("us")).to_numpy()
    if kind == nw.Unknown and missing.all():
        return np.full(len(series), np.nan)
    raise _unsupported(name, str(kind))


def _plain(name: str, values: Any) -> NDArray[Any]:
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        array = values
    elif isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InvalidInput(
            f"column {name!r} must be a list or an array, one value a row; got {values!r}. A "
            "single record goes into a list: [record]"
        )
    else:
        array = np.empty(len(values), dtype=object)
        array[:] = values
    if array.ndim != 1:
        raise InvalidInput(f"column {name!r} must be one value a row; got shape {array.shape}")
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]")
    if array.dtype.kind != "O":
        raise _unsupported(name, str(array.dtype))
    present = [value for value in array if not _is_missing(value)]
    if all(map(_is_number, present)):
        return numbers(name, [None if _is_missing(value) else value for value in array])
    if all(isinstance(value, datetime.date | np.datetime64) for value in present):
        instants = [None if _is_missing(value) else _instant(value) for value in array]
        return np.array(instants, dtype="datetime64[us]")
    cleaned = np.empty(len(array), dtype=object)
    cleaned[:] = [None if _is_missing(value) else value for value in array]
    return cleaned


def _is_missing(value: Any) -> bool:
    kinds = float | np.floating | datetime.date | np.datetime64
    return value is None or (isinstance(value, kinds) and value != value)  # NaN and NaT


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        _instant(value)
    except (TypeError, ValueError):
        return False
    return True


def _instant(value: Any) -> datetime.datetime | np.datetime64 | None:
    """Return a time without a zone, in UTC."""
    if value is None or isinstance(value, np.datetime64):
        return value
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    raise TypeError(value)


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _wrong(name: str, values: Any, expected: str, fits: Any) -> InvalidInput:
    row, value = next((row, value) for row, value in enumerate(list(values)) if not fits(value))
    return InvalidInput(
        f"column {name!r} expects {expected}; got {value!r} ({type(value).__name__}) in row {row}"
    )


def _unsupported(name: str, kind: str) -> InvalidInput:
    return InvalidInput(
        f"column {name!r} holds {kind}, which no encoding reads; convert it to numbers, text, "
        "booleans or dates, or leave it out"
    )
