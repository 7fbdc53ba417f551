"""Tensors as the Open Inference Protocol writes them: in JSON, and as raw little-endian bytes.

A leaf: NumPy only. Source: the protocol's "binary tensor data extension" and its table of
datatypes (https://github.com/kserve/open-inference-protocol).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput

__all__ = ["from_binary", "from_json", "to_binary", "to_json"]

Array = NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
"""NumPy's type for each datatype; BYTES is an object array of str."""

# Which JSON values may fill a tensor of each kind: NumPy alone would also read the text "1" or
# the value true as a number.
_ACCEPTED: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {float, int}}


# Of an image with channels and time; NumPy itself stops at 64.
_MOST_DIMENSIONS = 8


def datatype(name: str, text: str) -> np.dtype[Any]:
    """Return NumPy's type for a datatype of the protocol.

    Raises:
        InvalidInput: the datatype is unknown or not supported.
    """
    try:
        return DATATYPES[text]
    except KeyError:
        raise InvalidInput(
            f"input {name!r} has the datatype {text!r}; use one of {', '.join(DATATYPES)}"
        ) from None


def count(name: str, shape: list[int]) -> int:
    """Return the number of elements of a shape, which must be at least one.

    Raises:
        InvalidInput: a dimension is below 1, or there is none.
    """
    if not shape or min(shape) < 1:
        raise InvalidInput(
            f"input {name!r} has the shape {shape}; the first dimension counts the rows, and each "
            "is at least 1, such as [1, 30]"
        )
    return math.prod(shape)


def from_json(name: str, text: str, shape: list[int], data: Any) -> Array:
    """Return the tensor whose elements stand in JSON, flat or nested.

    Args:
        name: the tensor's name, for messages.
        text: its datatype, such as ``FP32``.
        shape: its shape.
        data: numbers, booleans or strings in row-major order; null is a missing value in
            floating-point tensors (NaN) and in BYTES (None).

    Raises:
        InvalidInput: the elements do not fit the datatype or the shape.
    """
    wanted = datatype(name, text)
    size = count(name, shape)
    flat = _flatten(data)
    if len(flat) != size:
        raise InvalidInput(
            f"input {name!r} has {len(flat)} elements, but its shape {shape} needs {size}"
        )
    if wanted.kind == "O":
        if not all(value is None or isinstance(value, str) for value in flat):
            raise InvalidInput(f"input {name!r} is of BYTES, so each element must be a string")
        array = np.empty(size, dtype=object)
        array[:] = flat
        return array.reshape(shape)
    return _numbers(name, text, wanted, flat).reshape(shape)


def _numbers(name: str, text: str, wanted: np.dtype[Any], flat: list[Any]) -> Array:
    if wanted.kind == "f" and None in flat:
        flat = [math.nan if value is None else value for value in flat]
    if not set(map(type, flat)) <= _ACCEPTED[wanted.kind]:
        raise InvalidInput(f"input {name!r} is of {text}, but not all its elements are such values")
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, dtype=wanted)
    except OverflowError:
        raise InvalidInput(f"input {name!r} has elements outside the range of {text}") from None


def _flatten(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput("the data of a tensor must be an array")
    while data and isinstance(data[0], list):
        if not all(isinstance(part, list) for part in data):
            raise InvalidInput("the data of a tensor is nested unevenly")
        data = [value for part in data for value in part]
    flat: list[Any] = data
    return flat


def from_binary(name: str, text: str, shape: list[int], data: memoryview) -> Array:
    """Return the tensor whose elements are raw bytes, without copying numbers.

    Args:
        name: the tensor's name, for messages.
        text: its datatype; BYTES elements are each a 4-byte length and that many UTF-8 bytes.
        shape: its shape.
        data: exactly the tensor's bytes, little-endian, row-major.

    Raises:
        InvalidInput: the bytes do not fit the datatype and the shape.
    """
    wanted = datatype(name, text)
    size = count(name, shape)
    if wanted.kind == "O":
        return _strings(name, size, data).reshape(shape)
    if len(data) != size * wanted.itemsize:
        raise InvalidInput(
            f"input {name!r} brings {len(data)} bytes, but {text} of shape {shape} has "
            f"{size * wanted.itemsize}"
        )
    if wanted.kind == "b" and data.nbytes and max(data) > 1:
        raise InvalidInput(f"input {name!r} is of BOOL, so each byte must be 0 or 1")
    return np.frombuffer(data, dtype=wanted).reshape(shape)


def _strings(name: str, size: int, data: memoryview) -> Array:
    # Every string takes 4 bytes at least: a huge shape is refused before memory is taken for it.
    if size * 4 > len(data):
        raise InvalidInput(f"input {name!r} brings fewer than the {size} strings of its shape")
    array = np.empty(size, dtype=object)
    position = 0
    for index in range(size):
        end = position + 4
        length = int.from_bytes(data[position:end], "little")
        position, end = end, end + length
        if end > len(data):
            raise InvalidInput(f"input {name!r} ends within string {index}")
        try:
            array[index] = str(data[position:end], "utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"string {index} of input {name!r} is not UTF-8") from None
        position = end
    if position != len(data):
        raise InvalidInput(f"input {name!r} brings {len(data) - position} bytes too many")
    return array


def to_json(array: Array) -> list[Any]:
    """Return the elements in row-major order, as JSON takes them."""
    flat: list[Any] = array.ravel().tolist()
    return flat


def to_binary(array: Array) -> bytes:
    """Return the elements as raw bytes, the inverse of :func:`from_binary`."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = [text.encode() for text in array.ravel()]
    return b"".join(part for text in encoded for part in (len(text).to_bytes(4, "little"), text))
