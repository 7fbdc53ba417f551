"""Plain records: rows as JSON objects (or arrays of numbers) in, predictions out."""

from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.serving.messages import HttpError

__all__ = ["Answer", "decode_matrix", "decode_records", "decode_series", "encode", "example"]

Scalar = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | str | bool | None
Record = dict[str, Any]

_RECORDS = msgspec.json.Decoder(dict[str, Scalar] | list[dict[str, Scalar]])
_MATRIX = msgspec.json.Decoder(list[float | list[float | None] | None])
_SERIES = msgspec.json.Decoder(list[dict[str, Scalar] | list[dict[str, Scalar]]])
_SHOWN = 50
_EXAMPLES: dict[str, Any] = {
    "BOOL": True,
    "INT64": 1,
    "FP32": 0.5,
    "FP64": 0.5,
    "BYTES": "text",
}


class Answer(Struct, frozen=True):
    """The answer to one request: the id of its receipt, who answered, a prediction per row.

    What a prediction holds is the task's: a label and the probability of each class; a label and
    memberships; a value, with low and high where they are known; a label and a score; a forecast.
    """

    id: str
    model: str
    version: int
    predictions: list[dict[str, Any]]


def decode_records(body: bytes, signature: Signature) -> list[Record]:
    """Read one record, or an array of them.

    Raises:
        HttpError: 400 when the body is not JSON.
        InvalidInput: it is JSON of another form; the message shows a right body.
    """
    rows = _decode(_RECORDS, body, signature)
    if isinstance(rows, dict):
        return [rows]
    if not rows:
        raise InvalidInput(f"the body has no record; a right one is {example(signature)}")
    return rows  # type: ignore[no-any-return]


def decode_series(body: bytes, signature: Signature) -> list[list[Record]]:
    """Read the records of one series, or an array of such arrays.

    Raises:
        HttpError: 400 when the body is not JSON.
        InvalidInput: it is JSON of another form; the message shows a right body.
    """
    steps = _decode(_SERIES, body, signature)
    if steps and all(isinstance(step, dict) for step in steps):
        return [steps]
    if not steps or not all(isinstance(series, list) and series for series in steps):
        raise InvalidInput(
            "the body must be the records of a series, oldest first, or an array of such arrays; "
            f"a right one is {example(signature)}"
        )
    return steps  # type: ignore[no-any-return]


def decode_matrix(body: bytes, signature: Signature) -> NDArray[np.float64]:
    """Read one row of numbers, or an array of rows, as a matrix (rows, columns).

    Raises:
        HttpError: 400 when the body is not JSON.
        InvalidInput: it is JSON of another form; the message shows a right body.
    """
    rows = _decode(_MATRIX, body, signature)
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError):
        # Rows of different lengths, or rows and numbers side by side.
        matrix = np.empty(0)
    if matrix.ndim == 1 and matrix.size:
        matrix = matrix[np.newaxis]
    if matrix.ndim != 2 or not matrix.size:
        raise InvalidInput(
            f"the body must be rows of numbers, each of the same length; a right one is "
            f"{example(signature)}"
        )
    return matrix


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes, signature: Signature) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{error}; a right body is {example(signature)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(
            400, f"the body is not JSON: {error}; a right one is {example(signature)}"
        ) from None


def example(signature: Signature) -> str:
    """Return a right body, as JSON, for a model of tables or arrays; of many columns, fifty."""
    if signature.kind == "array":
        count = max(signature.inputs[0].shape[-1], 1)
        body, end = msgspec.json.encode([[0.5] * min(count, _SHOWN)]).decode(), "]]"
    else:
        count = len(signature.inputs)
        fields = signature.inputs[:_SHOWN]
        body = msgspec.json.encode({f.name: _EXAMPLES[f.datatype] for f in fields}).decode()
        end = "}"
        if signature.kind == "series" and count <= _SHOWN:
            return f"[{body}, ...] with a record for each of the last steps, oldest first"
    if count <= _SHOWN:
        return body
    # A message that lists a hundred columns hides what is wrong.
    return f"{body.removesuffix(end)},...{end} with {count} columns (GET /models lists them)"


def answer(
    prediction_id: str, model: str, version: int, predictions: list[dict[str, Any]]
) -> Answer:
    """Return the answer for rows with these predictions."""
    return Answer(prediction_id, model, version, predictions)


def encode(given: Answer) -> bytes:
    """Write an answer as JSON."""
    return msgspec.json.encode(given)
