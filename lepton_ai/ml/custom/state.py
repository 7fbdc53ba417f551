"""State: what a custom model learned, as tensors (safetensors) and plain data (JSON).

Every value is told by its type, so that it comes back as it was. Nothing here can name code: what
is no array, number, text, list, tuple, mapping or estimator of scikit-learn is refused.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from lepton_ai.core.optional import load
from lepton_ai.ml.runtimes.runtime import Refused

__all__ = ["dumps", "loads"]

_KEY = "model"
_MOST_BYTES = 2**30
_MOST_TEXT = 2**24
_DEEPEST = 32
_NUMERIC = "biuf"
_PLAIN = (bool, int, float, str)
# Estimators of scikit-learn are kept as skops keeps them, under its list of types.
_LIBRARY = "sklearn"
_SKOPS = "lepton_ai.ml.runtimes.skops"


def dumps(head: Mapping[str, Any], state: Mapping[str, Any]) -> bytes:
    """Write a head of plain data and a state, the same bytes for the same values.

    Raises:
        Refused: a value is of no type that is stored; the message names it.
    """
    tensors: dict[str, NDArray[Any]] = {}
    tree = {name: _told(value, name, tensors, 0) for name, value in state.items()}
    text = json.dumps({**head, "state": tree}, sort_keys=True)
    if len(text) > _MOST_TEXT:
        raise Refused(
            f"the state holds {len(text)} bytes of plain data, at most {_MOST_TEXT} are stored; "
            "keep numbers in NumPy arrays instead of lists"
        )
    return safetensors.numpy.save(tensors, metadata={_KEY: text})


def loads(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a head and a state back.

    Raises:
        Refused: the file is too large, is no such file, or holds a value that `dumps` never writes.
    """
    if len(data) > _MOST_BYTES:
        raise Refused(f"the model has {len(data)} bytes; at most {_MOST_BYTES} are loaded")
    length = int.from_bytes(data[:8], "little")
    if length > min(2 * _MOST_TEXT, len(data)):
        raise Refused(f"the model's header has {length} bytes; at most {2 * _MOST_TEXT} are read")
    try:
        head = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        tree = head.pop("state")
        tensors = safetensors.numpy.load(data)
        state = {str(name): _back(value, tensors, 0) for name, value in tree.items()}
    except Refused:
        raise
    except Exception as error:
        # Whatever a parser raises on hostile bytes, a caller sees one error.
        raise Refused(f"the file is no custom model: {error}") from error
    return head, state


def _told(value: Any, name: str, tensors: dict[str, NDArray[Any]], depth: int) -> Any:
    if depth > _DEEPEST:
        raise Refused(f"{name!r} is nested deeper than {_DEEPEST} levels")
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _NUMERIC:
        return {"array" if isinstance(value, np.ndarray) else "scalar": _kept(value, tensors)}
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return {"texts": [list(value.shape), value.ravel().tolist()]}
    if isinstance(value, np.str_):
        return str(value)
    if type(value) is list:
        return [_told(item, name, tensors, depth + 1) for item in value]
    if type(value) is tuple:
        return {"tuple": [_told(item, name, tensors, depth + 1) for item in value]}
    if type(value) is dict:
        pairs = [[_told(part, name, tensors, depth + 1) for part in pair] for pair in value.items()]
        return {"dict": pairs}
    if type(value).__module__.partition(".")[0] == _LIBRARY:
        written: bytes = load(f"{_SKOPS}:dumps", extra="all")(value)
        return {"skops": _kept(np.frombuffer(written, dtype=np.uint8), tensors)}
    kind = type(value) if not isinstance(value, np.ndarray) else f"array of {value.dtype}"
    raise Refused(
        f"the attribute {name!r} holds a {kind}, which is never stored: a model keeps numbers, "
        "text, NumPy arrays of them, lists, tuples, dicts and estimators of scikit-learn. Give the "
        "class state() -> dict of such values, and a class method from_state(state)"
    )


def _kept(value: Any, tensors: dict[str, NDArray[Any]]) -> str:
    name = f"{len(tensors):06d}"
    array = np.asarray(value)
    # Reshaped, because a contiguous copy of a single number would be a vector.
    tensors[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    return name


def _texts(given: Any, tensors: Any, depth: int) -> NDArray[Any]:
    shape, words = given
    return np.array([str(word) for word in words], dtype=str).reshape(shape)


def _pairs(given: Any, tensors: Any, depth: int) -> dict[Any, Any]:
    pairs = [[_back(part, tensors, depth + 1) for part in pair] for pair in given]
    return {key: value for key, value in pairs}  # noqa: C416


# How a value is marked -> what makes it of (its content, the tensors, how deep it lies).
_MARKS: dict[str, Callable[[Any, Any, int], Any]] = {
    "array": lambda given, tensors, depth: np.array(tensors[given]),
    "scalar": lambda given, tensors, depth: tensors[given][()],
    "texts": _texts,
    "tuple": lambda given, tensors, depth: tuple(_back(item, tensors, depth + 1) for item in given),
    "dict": _pairs,
    "skops": lambda given, tensors, depth: load(f"{_SKOPS}:loads", extra="all")(
        tensors[given].tobytes()
    ),
}


def _back(given: Any, tensors: Mapping[str, NDArray[Any]], depth: int) -> Any:
    if depth > _DEEPEST:
        raise Refused(f"the model's state is nested deeper than {_DEEPEST} levels")
    if isinstance(given, list):
        return [_back(item, tensors, depth + 1) for item in given]
    if isinstance(given, dict):
        ((mark, content),) = given.items()
        return _MARKS[mark](content, tensors, depth)
    return given
