"""The Open Inference Protocol, version 2: reading requests for inference and writing answers.

A leaf: bytes in, arrays out, and back; it knows neither models nor the server. Source:
https://github.com/kserve/open-inference-protocol and its binary tensor data extension.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.serving import tensors
from lepton_ai.serving.messages import HttpError

__all__ = ["InferRequest", "Output", "decode", "encode"]

EXAMPLE = (
    '{"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP64", "data": [0.1, 0.2, 0.3]}'
    "]}"
)


# Bounded as NumPy bounds them: the product of a million huge numbers takes minutes.
_Shape = Annotated[list[Annotated[int, Meta(ge=0, le=2**63 - 1)]], Meta(max_length=64)]


class _Input(Struct):
    name: str
    shape: _Shape
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class _Wanted(Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Body(Struct):
    inputs: list[_Input]
    id: str = ""
    outputs: list[_Wanted] | None = None
    parameters: dict[str, Any] = {}


class InferRequest(Struct, frozen=True):
    """A decoded request: its tensors by name, and which outputs it asks for in which form.

    ``wanted`` maps the name of each output to whether it shall be binary; None asks for all.
    """

    id: str
    inputs: dict[str, NDArray[Any]]
    rows: int
    wanted: dict[str, bool] | None
    binary: bool


class Output(Struct, frozen=True):
    """One output tensor with its datatype in the protocol's words."""

    name: str
    datatype: str
    array: NDArray[Any]


_BODY = msgspec.json.Decoder(_Body)


def decode(body: bytes, header_length: bytes | None) -> InferRequest:
    """Read a request for inference.

    Args:
        body: the HTTP body.
        header_length: the value of ``Inference-Header-Content-Length`` when binary tensors
            follow the JSON, else None.

    Raises:
        HttpError: 400 when the JSON is malformed.
        InvalidInput: the tensors do not fit what the JSON says of them.
    """
    document, rest = _divide(body, header_length)
    try:
        request = _BODY.decode(document)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{error}; a right request is {EXAMPLE}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, f"the body is not JSON: {error}") from None
    if not request.inputs:
        raise InvalidInput(f"the request has no inputs; a right one is {EXAMPLE}")
    inputs: dict[str, NDArray[Any]] = {}
    for given in request.inputs:
        if given.name in inputs:
            raise InvalidInput(f"input {given.name!r} stands twice in the request")
        inputs[given.name], rest = _read(given, rest)
    if len(rest):
        raise InvalidInput(f"{len(rest)} bytes follow the last binary tensor")
    rows = {name: len(array) for name, array in inputs.items()}
    if len(set(rows.values())) > 1:
        raise InvalidInput(f"the inputs have different numbers of rows: {rows}")
    return InferRequest(
        id=request.id,
        inputs=inputs,
        rows=next(iter(rows.values())),
        wanted=_wanted(request),
        binary=request.parameters.get("binary_data_output") is True,
    )


def _divide(body: bytes, header_length: bytes | None) -> tuple[bytes | memoryview, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    # Python refuses to read thousands of digits as a number, and says so by a ValueError.
    readable = header_length.isdigit() and len(header_length) < 20
    if not readable or int(header_length) > len(body):
        raise HttpError(
            400,
            f"Inference-Header-Content-Length is {header_length[:20].decode('latin-1')!r}; it must "
            f"be the length in bytes of the JSON at the start of the body ({len(body)} bytes)",
        )
    view = memoryview(body)
    return view[: int(header_length)], view[int(header_length) :]


def _read(given: _Input, rest: memoryview) -> tuple[NDArray[Any], memoryview]:
    if "shared_memory_region" in given.parameters:
        raise InvalidInput(f"input {given.name!r} lies in shared memory; send its data instead")
    size = given.parameters.get("binary_data_size")
    if size is None:
        if given.data is None:
            raise InvalidInput(f"input {given.name!r} has no data; a right request is {EXAMPLE}")
        array = tensors.from_json(given.name, given.datatype, given.shape, given.data)
        return array, rest
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest):
        raise InvalidInput(
            f"input {given.name!r} has the binary_data_size {size!r}, but {len(rest)} bytes are "
            "left after the JSON; is Inference-Header-Content-Length set?"
        )
    array = tensors.from_binary(given.name, given.datatype, given.shape, rest[:size])
    return array, rest[size:]


def _wanted(request: _Body) -> dict[str, bool] | None:
    if not request.outputs:
        return None
    default = request.parameters.get("binary_data_output") is True
    wanted = {}
    for output in request.outputs:
        for parameter in ("classification", "shared_memory_region"):
            if output.parameters.get(parameter):
                raise InvalidInput(f"output {output.name!r} asks for {parameter}: not supported")
        wanted[output.name] = output.parameters.get("binary_data", default) is True
    return wanted


def encode(
    request: InferRequest,
    outputs: list[Output],
    model: str,
    version: str,
    parameters: dict[str, str],
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Write an answer: its body and its headers.

    Args:
        request: what was asked; it decides which outputs come, and in which form.
        outputs: every output of the model.
        model: the endpoint's name.
        version: the model's version.
        parameters: more about the answer, such as the prediction's id.

    Raises:
        InvalidInput: the request asks for an output that the model does not have.
    """
    by_name = {output.name: output for output in outputs}
    wanted = request.wanted
    if wanted is None:
        wanted = dict.fromkeys(by_name, request.binary)
    elif not wanted.keys() <= by_name.keys():
        unknown = ", ".join(sorted(wanted.keys() - by_name.keys()))
        raise InvalidInput(f"there is no output {unknown}; the model has {', '.join(by_name)}")
    described = []
    blobs = []
    for name, binary in wanted.items():
        array = by_name[name].array
        entry: dict[str, Any] = {
            "name": name,
            "datatype": by_name[name].datatype,
            "shape": array.shape,
        }
        if binary:
            blobs.append(tensors.to_binary(array))
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = tensors.to_json(array)
        described.append(entry)
    answer: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id:
        answer["id"] = request.id
    answer["parameters"] = parameters
    answer["outputs"] = described
    document = msgspec.json.encode(answer)
    if not blobs:
        return document, [(b"content-type", b"application/json")]
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", b"%d" % len(document)),
    ]
    return b"".join([document, *blobs]), headers
