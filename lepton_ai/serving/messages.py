"""The HTTP messages of the inference server: a request, a response, a refusal.

A leaf: it knows ASGI and JSON, and nothing of models.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import msgspec

from lepton_ai.core.errors import LeptonError

__all__ = [
    "Disconnected",
    "HttpError",
    "Intake",
    "Receiver",
    "Request",
    "Response",
    "Sender",
    "error_response",
]

Receiver = Callable[[], Awaitable[MutableMapping[str, Any]]]
Sender = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = (b"content-type", b"application/json")


class HttpError(LeptonError):
    """A request is refused with this HTTP status; the message is for the client."""

    def __init__(self, status: int, message: str, headers: Iterable[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)


class Disconnected(LeptonError):
    """The client went away before its request was complete; nobody waits for an answer."""


class Response:
    """What is sent back: a status, a body, and headers beside content-length."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, headers: Iterable[Header] = (JSON,), status: int = 200) -> None:
        self.body = body
        self.headers = headers
        self.status = status

    async def send(self, send: Sender) -> None:
        """Send the head and the body as ASGI messages."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def error_response(
    status: int, message: str, request_id: str, headers: Iterable[Header] = ()
) -> Response:
    """Return the JSON body that every refusal and failure has."""
    body = msgspec.json.encode({"error": message, "request_id": request_id})
    return Response(body, [JSON, (b"lepton-request-id", request_id.encode()), *headers], status)


class Intake:
    """The bytes of request bodies that are in memory now, bounded for the whole process.

    Args:
        largest: the longest body of one request, in bytes.
        total: the longest sum of the bodies that are held at once, in bytes.
    """

    def __init__(self, largest: int, total: int) -> None:
        self.largest = largest
        self.total = max(total, largest)
        self.held = 0

    def reserve(self, size: int) -> None:
        """Count ``size`` more bytes as held.

        Raises:
            HttpError: 503 when the sum would pass the bound; the client should come back.
        """
        if self.held + size > self.total:
            raise HttpError(
                503,
                f"the server already holds {self.held} bytes of requests; try again in a moment",
                [(b"retry-after", b"1")],
            )
        self.held += size

    def release(self, size: int) -> None:
        """Count ``size`` bytes as gone."""
        self.held -= size

    def too_large(self) -> HttpError:
        """Return the refusal of a body that is longer than one may be."""
        return HttpError(
            413,
            f"the body is longer than the {self.largest} bytes that one request may have; send "
            "fewer rows at a time, or start the server with a larger LEPTON_MAX_REQUEST_BYTES",
        )


class Request:
    """One request: its headers by lower-case name, the path's parameters, the body on demand."""

    __slots__ = (
        "_intake",
        "_receive",
        "_reserved",
        "headers",
        "method",
        "parameters",
        "path",
        "principal",
        "query",
    )

    def __init__(self, scope: MutableMapping[str, Any], receive: Receiver, intake: Intake) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.parameters: Mapping[str, str] = {}
        self.principal = ""
        self._receive = receive
        self._intake = intake
        self._reserved = 0

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty when there is none."""
        return _media_type(self.headers.get(b"content-type", b""))

    async def body(self) -> bytes:
        """Read the whole body.

        Raises:
            HttpError: 413 when it is too long, 415 for an unknown content coding, 400 when its
                compressed data is broken, 503 when the server holds too many bodies.
            Disconnected: the client went away first.
        """
        intake = self._intake
        declared = self.headers.get(b"content-length")
        if declared is not None:
            # The HTTP parser has already refused a length that is no number or too large a one,
            # but not the thousands of zeros in front that int() refuses.
            size = int(declared.lstrip(b"0") or b"0")
            if size > intake.largest:
                raise intake.too_large()
            self._reserve(size)
        message = await self._receive()
        if message["type"] != "http.request":
            raise Disconnected
        data: bytes = message["body"]
        if message.get("more_body", False):
            data = await self._rest(data)
        elif declared is None:
            self._grow(len(data))
        if b"content-encoding" in self.headers:
            return self._decompress(data)
        return data

    async def _rest(self, first: bytes) -> bytes:
        parts = bytearray(first)
        while True:
            self._grow(len(parts))
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            parts += message["body"]
            if not message.get("more_body", False):
                self._grow(len(parts))
                return bytes(parts)

    def _reserve(self, size: int) -> None:
        self._intake.reserve(size)
        self._reserved += size

    def _grow(self, size: int) -> None:
        if size > self._intake.largest:
            raise self._intake.too_large()
        if size > self._reserved:
            self._reserve(size - self._reserved)

    def _decompress(self, data: bytes) -> bytes:
        coding = self.headers[b"content-encoding"].strip().lower()
        if coding == b"identity":
            return data
        if coding not in (b"gzip", b"deflate"):
            raise HttpError(
                415,
                f"the content coding {coding.decode('latin-1')!r} is unknown; "
                "send the body as it is, or with gzip or deflate",
                [(b"accept-encoding", b"gzip, deflate")],
            )
        # 32 added to the window size: zlib tells the gzip from the zlib format by itself.
        stream = zlib.decompressobj(32 + zlib.MAX_WBITS)
        try:
            plain = stream.decompress(data, self._intake.largest + 1)
        except zlib.error as error:
            raise HttpError(400, f"the compressed body is broken: {error}") from None
        if len(plain) > self._intake.largest:
            raise self._intake.too_large()
        if not stream.eof:
            raise HttpError(400, "the compressed body ends too early")
        self._grow(len(plain))
        return plain

    def release(self) -> None:
        """Give back the room that the body took; the request has been answered."""
        self._intake.release(self._reserved)
        self._reserved = 0


@lru_cache(maxsize=64)
def _media_type(header: bytes) -> str:
    return header.partition(b";")[0].strip().lower().decode("latin-1")
