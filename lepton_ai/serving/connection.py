"""Connections with limits: a client that dawdles or sends endless headers is cut off.

uvicorn limits neither, and writes head and body of an answer in two system calls. Every
connection is looked at once a second, instead of a timer for each request, and the writes of
one turn of the event loop leave together: the hot path is no longer for it, but shorter.
"""

import asyncio
import time
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lepton_ai.core.ids import new_id

__all__ = ["Connection", "cut_off"]

MOST_HEADER_BYTES = 64 * 1024
"""The request line and all headers together, but for what came with their last bytes."""

PATIENCE_SECONDS = 20.0
"""How long a request may take to arrive, and an answer to be taken, before bytes count."""

LEAST_BYTES_PER_SECOND = 16 * 1024
"""Every so many bytes of a body give it one more second."""


class Connection(HttpToolsProtocol):
    """One connection of a client, by uvicorn's HTTP/1.1 protocol with httptools."""

    def connection_made(self, transport: Any) -> None:
        """Start to count what the client sends."""
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]
        self._received = 0
        self._head = 0
        self._waiting: tuple[object, float, int] | None = None
        self._stalled_since: float | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; refuse headers that do not end."""
        self._received += len(data)
        HttpToolsProtocol.data_received(self, data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._head = 0
        elif cycle is None or not cycle.more_body:
            self._head += len(data)
            if self._head > MOST_HEADER_BYTES and not self.transport.is_closing():
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
        """Tell whether the client has used up its time since a call first found it waited for.

        Args:
            now: the monotonic time in seconds.
        """
        if self._stalled_since is not None and now - self._stalled_since > PATIENCE_SECONDS:
            return True
        cycle = self.cycle
        in_body = cycle is not None and cycle.more_body
        # Between requests uvicorn's own timer runs; it stops at the first byte of the next.
        in_head = cycle is None or (
            cycle.response_complete and not self.pipeline and self.timeout_keep_alive_task is None
        )
        if not in_body and not in_head:
            self._waiting = None
            return False
        if self._waiting is None or self._waiting[0] is not cycle:
            self._waiting = (cycle, now, self._received)
        _, since, received = self._waiting
        earned = (self._received - received) / LEAST_BYTES_PER_SECOND if in_body else 0.0
        return now - since > PATIENCE_SECONDS + earned


class _Joined:
    """A transport that sends what is written in one turn of the loop by one system call."""

    __slots__ = ("_loop", "_parts", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        # Asked for at every request, so not looked up by name each time.
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def cut_off(connections: set[Any]) -> None:
    """Close the connections of clients that dawdle, for as long as the server runs."""
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for connection in list(connections):
            if isinstance(connection, Connection) and connection.dawdles(now):
                connection.transport.abort()
