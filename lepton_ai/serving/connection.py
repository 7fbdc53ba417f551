"""Connections with limits: a client that dawdles or sends endless headers is cut off.

uvicorn limits neither. Every connection is looked at about once a second, instead of a timer
for each request: the hot path pays two assignments.
"""

import asyncio
import time
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lepton_ai.core.ids import new_id

__all__ = ["Connection", "cut_off"]

MOST_HEADER_BYTES = 64 * 1024
"""The request line and all headers together."""

PATIENCE_SECONDS = 20.0
"""How long a request may take to arrive, and an answer to be taken, before bytes count."""

LEAST_BYTES_PER_SECOND = 16 * 1024
"""Every so many bytes that arrive give a slow upload one more second."""


class Connection(HttpToolsProtocol):
    """One connection of a client, by uvicorn's HTTP/1.1 protocol with httptools."""

    def connection_made(self, transport: Any) -> None:
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._waiting_since: float | None = time.monotonic()
        self._stalled_since: float | None = None
        self._received = 0
        self._in_head = True

    def on_message_begin(self) -> None:
        """Start to wait for the rest of a request."""
        super().on_message_begin()
        self._waiting_since = time.monotonic()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Go on from the headers to the body."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is complete."""
        super().on_message_complete()
        self._waiting_since = None
        self._received = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse headers that do not end."""
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the headers are longer than {MOST_HEADER_BYTES} bytes")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the form of every other error."""
        self._refuse(400, msg)

    def pause_writing(self) -> None:
        """Note when the client stopped taking its answer."""
        super().pause_writing()
        self._stalled_since = time.monotonic()

    def resume_writing(self) -> None:
        """Note that the client takes its answer again."""
        super().resume_writing()
        self._stalled_since = None

    def _refuse(self, status: int, message: str) -> None:
        body = msgspec.json.encode({"error": message, "request_id": new_id("req")})
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (STATUS_LINE[status], len(body), body)
        )
        self.transport.close()

    def dawdles(self, now: float) -> bool:
        """Tell whether the client has used up the time it has."""
        if self._stalled_since is not None and now - self._stalled_since > PATIENCE_SECONDS:
            return True
        if self._waiting_since is None:
            return False
        earned = 0.0 if self._in_head else self._received / LEAST_BYTES_PER_SECOND
        return now - self._waiting_since > PATIENCE_SECONDS + earned


async def cut_off(connections: set[Any]) -> None:
    """Close the connections of clients that dawdle, for as long as the server runs."""
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for connection in list(connections):
            if isinstance(connection, Connection) and connection.dawdles(now):
                connection.transport.abort()
