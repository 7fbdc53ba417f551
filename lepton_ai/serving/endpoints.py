"""The routes of the inference server: every one with the permission it needs."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from lepton_ai import __version__
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.security.policy import Permission
from lepton_ai.serving import oip, records
from lepton_ai.serving.batching import Batcher, Pending, Predicted
from lepton_ai.serving.messages import HttpError, Request, Response
from lepton_ai.serving.routes import Route, RouteTable
from lepton_ai.serving.service import Service
from lepton_ai.serving.uploads import files_of, is_upload

__all__ = ["ROUTES"]

T = TypeVar("T")

JSON = (b"content-type", b"application/json")

_EXPLAINING = "lepton_ai.serving.explaining"
_MOST_WAITING = 16

INLINE_BYTES = 256 * 1024
"""A longer body is read by a worker thread; shorter ones cost less than going there."""


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), [JSON], status)


async def _live(service: Service, request: Request) -> Response:
    return _json({"live": True})


async def _ready(service: Service, request: Request) -> Response:
    return _json({"ready": service.ready}, 200 if service.ready else 503)


async def _index(service: Service, request: Request) -> Response:
    routes = [
        {
            "method": route.method,
            "path": route.path,
            "permission": route.permission,
            "summary": route.summary,
        }
        for route in ROUTES.routes
    ]
    return _json({"name": "lepton-ai", "version": __version__, "routes": routes})


async def _models(service: Service, request: Request) -> Response:
    return _json(
        [
            {
                "name": name,
                "model": batcher.served.model,
                "version": batcher.served.version,
                "model_id": batcher.served.model_id,
                "deployment_id": batcher.served.deployment_id,
                "format": batcher.served.predictor.format,
                "signature": batcher.served.predictor.signature,
                "task": batcher.served.predictor.task,
                "classes": batcher.served.predictor.classes,
            }
            for name, batcher in sorted(service.batchers.items())
        ]
    )


async def _server_metadata(service: Service, request: Request) -> Response:
    return _json(
        {"name": "lepton-ai", "version": __version__, "extensions": ["binary_tensor_data"]}
    )


async def _model_metadata(service: Service, request: Request) -> Response:
    served = _find(service, request).served
    signature = served.predictor.signature
    return _json(
        {
            "name": served.endpoint,
            "versions": [str(served.version)],
            "platform": served.predictor.format,
            "inputs": signature.inputs,
            "outputs": signature.outputs,
            "parameters": {
                "kind": signature.kind,
                "model": served.model,
                "model_id": served.model_id,
                "deployment_id": served.deployment_id,
                "task": served.predictor.task,
                "classes": served.predictor.classes,
            },
        }
    )


async def _model_ready(service: Service, request: Request) -> Response:
    _find(service, request)
    return _json({"ready": True})


async def _infer(service: Service, request: Request) -> Response:
    batcher = _find(service, request)
    body = await request.body()
    header_length = request.headers.get(b"inference-header-content-length")
    names = {field.name for field in batcher.served.predictor.signature.outputs}
    read = partial(_read_tensors, service, names, body, header_length, request.principal)
    asked, pending = read() if len(body) <= INLINE_BYTES else await _in_worker(service, read)
    predicted = await _predicted(batcher, pending)
    served = batcher.served
    predictor = served.predictor
    tensors = predictor.outcome.tensors(predicted.labels, predicted.answers)
    outputs = [
        oip.Output(field.name, field.datatype, tensors[field.name])
        for field in predictor.signature.outputs
    ]
    answer, headers = oip.encode(
        asked, outputs, served.endpoint, str(served.version), {"prediction_id": predicted.id}
    )
    return Response(answer, [*headers, *_provenance(batcher, predicted)])


def _read_tensors(
    service: Service, names: set[str], body: bytes, header_length: bytes | None, principal: str
) -> tuple[oip.InferRequest, Pending]:
    asked = oip.decode(body, header_length)
    unknown = (asked.wanted or {}).keys() - names
    if unknown:
        raise InvalidInput(
            f"there is no output {', '.join(sorted(unknown))}; ask for {' or '.join(sorted(names))}"
        )
    digest = service.digest(body)
    return asked, Pending("tensors", asked.inputs, asked.rows, digest, principal)


async def _predict(service: Service, request: Request) -> Response:
    batcher = _find(service, request)
    pending = await _asked(service, batcher, request)
    predicted = await _predicted(batcher, pending)
    served = batcher.served
    answer = records.answer(
        predicted.id,
        served.endpoint,
        served.version,
        served.predictor.outcome.records(predicted.labels, predicted.answers),
    )
    return Response(records.encode(answer), [JSON, *_provenance(batcher, predicted)])


async def _explain(service: Service, request: Request) -> Response:
    batcher = _find(service, request)
    served = batcher.served
    module = await _in_worker(service, partial(load, _EXPLAINING, extra="all"))
    wanted = module.wanted(request.query)
    pending = await _asked(service, batcher, request)
    if pending.rows > module.MOST_ROWS:
        raise InvalidInput(
            f"{pending.rows} rows are too many to explain at once; send up to {module.MOST_ROWS}"
        )
    if service.waiting >= _MOST_WAITING:
        raise HttpError(
            503,
            f"{service.waiting} requests wait for explanations already; try again in a moment",
            [(b"retry-after", b"1")],
        )
    service.waiting += 1
    try:
        async with service.explaining:
            explainer = await _in_worker(service, partial(service.explainer, served))
            # Loaded before the model is asked: one without a basis leaves no receipt.
            predicted = await _predicted(batcher, pending)
            work = partial(module.explained, explainer, pending, predicted, wanted)
            found = await _in_worker(service, work)
    finally:
        service.waiting -= 1
    answer = module.Explained(predicted.id, served.endpoint, served.version, found)
    return Response(msgspec.json.encode(answer), [JSON, *_provenance(batcher, predicted)])


async def _asked(service: Service, batcher: Batcher, request: Request) -> Pending:
    """Read the rows or images that a request is about."""
    media_type = request.media_type
    if batcher.served.predictor.signature.kind == "image":
        return await _image(service, batcher, request)
    if media_type in ("application/json", ""):
        body = await request.body()
        read = partial(_read_rows, service, batcher, body, request.principal)
        return read() if len(body) <= INLINE_BYTES else await _in_worker(service, read)
    raise HttpError(
        415,
        f"the model takes JSON with the content type application/json, not {media_type!r}; "
        f"a right body is {records.example(batcher.served.predictor.signature)}",
    )


def _read_rows(service: Service, batcher: Batcher, body: bytes, principal: str) -> Pending:
    signature = batcher.served.predictor.signature
    digest = service.digest(body)
    if signature.kind == "array":
        matrix = records.decode_matrix(body, signature)
        tensors = {signature.inputs[0].name: matrix}
        return Pending("tensors", tensors, len(matrix), digest, principal)
    if signature.kind == "series":
        series = records.decode_series(body, signature)
        return Pending("series", series, len(series), digest, principal)
    rows = records.decode_records(body, signature)
    return Pending("records", rows, len(rows), digest, principal)


async def _image(service: Service, batcher: Batcher, request: Request) -> Pending:
    content_type = request.headers.get(b"content-type", b"").decode("latin-1")
    if not is_upload(request.media_type):
        # Says what to send; the body need not be read for that.
        files_of(content_type, b"")
    body = await request.body()

    def decode() -> Pending:
        return service.image_rows(batcher, files_of(content_type, body), request.principal)

    return await _in_worker(service, decode)


async def _in_worker(service: Service, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(service.workers, work)


async def _predicted(batcher: Batcher, pending: Pending) -> Predicted:
    try:
        return await batcher.submit(pending)
    except InvalidInput as error:
        signature = batcher.served.predictor.signature
        if signature.kind == "image" or pending.form == "matrix":
            raise
        raise InvalidInput(
            f"{error}; a right body for /models/{batcher.served.endpoint}/predict is "
            f"{records.example(signature)}"
        ) from None


def _find(service: Service, request: Request) -> Batcher:
    return service.find(request.parameters["name"], request.parameters.get("version"))


def _provenance(batcher: Batcher, predicted: Predicted) -> list[tuple[bytes, bytes]]:
    return [
        (b"lepton-prediction-id", predicted.id.encode()),
        (b"lepton-model-version", b"%d" % batcher.served.version),
    ]


_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"

PUBLIC, PREDICT, READ = Permission.PUBLIC, Permission.PREDICT, Permission.READ

ROUTES = RouteTable(
    [
        Route("GET", "/", READ, _index, "what there is here"),
        Route("GET", "/models", READ, _models, "the deployed models"),
        Route("POST", "/models/{name}/predict", PREDICT, _predict, "predict from records or files"),
        Route("POST", "/models/{name}/explain", PREDICT, _explain, "predict, and say why"),
        # Probes of load balancers bring no token; they learn one bit.
        Route("GET", "/v2/health/live", PUBLIC, _live, "the process answers"),
        Route("GET", "/v2/health/ready", PUBLIC, _ready, "all that shall be served is"),
        Route("GET", "/v2", READ, _server_metadata, "about the server"),
        Route("GET", _MODEL, READ, _model_metadata, "inputs and outputs of a model"),
        Route("GET", f"{_MODEL}/ready", READ, _model_ready, "the model is served"),
        Route("POST", f"{_MODEL}/infer", PREDICT, _infer, "predict from tensors"),
        Route("GET", _VERSION, READ, _model_metadata, "the same, of one version"),
        Route("GET", f"{_VERSION}/ready", READ, _model_ready, "this version is served"),
        Route("POST", f"{_VERSION}/infer", PREDICT, _infer, "predict with this version"),
    ]
)
