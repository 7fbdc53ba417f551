"""The limits of a connection, on the protocol itself with a transport that remembers."""

import asyncio
import json

import pytest
import uvicorn
from uvicorn.server import ServerState

from lepton_ai.serving.connection import LEAST_BYTES_PER_SECOND, PATIENCE_SECONDS, Connection


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def application(scope, receive, send) -> None:
    await asyncio.sleep(3600)


@pytest.fixture
def connect():
    """Return a function that makes a connection on a loop that does not run."""
    loop = asyncio.new_event_loop()
    made = []

    def make() -> Connection:
        config = uvicorn.Config(application, lifespan="off", log_config=None, ws="none")
        connection = Connection(config, ServerState(), {}, _loop=loop)
        connection.connection_made(Transport())
        made.append(connection)
        return connection

    yield make

    async def cancel() -> None:
        tasks = [task for connection in made for task in connection.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(cancel())
    loop.close()


def moment(connection: Connection, seconds: float) -> bool:
    """Tell whether the client has dawdled when so many seconds have passed."""
    return connection.dawdles(connection._waiting_since + seconds)


def test_a_client_that_says_nothing_has_its_patience_and_no_more(connect):
    connection = connect()
    assert not moment(connection, PATIENCE_SECONDS - 0.1)
    assert moment(connection, PATIENCE_SECONDS + 0.1)


def test_headers_in_drops_gain_no_time(connect):
    connection = connect()
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 50_000)
    assert moment(connection, PATIENCE_SECONDS + 0.1)


def test_an_upload_gains_time_by_its_bytes_only(connect):
    connection = connect()
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n")
    connection.data_received(b"y" * 10 * LEAST_BYTES_PER_SECOND)
    assert not moment(connection, PATIENCE_SECONDS + 9)
    assert moment(connection, PATIENCE_SECONDS + 11)


def test_a_complete_request_waits_for_the_server_as_long_as_it_takes(connect):
    connection = connect()
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not connection.dawdles(1e12)


def test_a_client_that_does_not_take_its_answer_is_cut_off(connect):
    connection = connect()
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.pause_writing()
    stalled = connection._stalled_since
    assert not connection.dawdles(stalled + PATIENCE_SECONDS - 1)
    assert connection.dawdles(stalled + PATIENCE_SECONDS + 1)
    connection.resume_writing()
    assert not connection.dawdles(1e12)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x00", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"x-y: z\r\n" * 12_000, b"431"),
        (b"GET /" + b"a" * 70_000, b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
    ],
)
def test_what_is_no_request_is_refused_and_closed(connect, data, status):
    connection = connect()
    connection.data_received(data)
    assert connection.transport.sent.startswith(b"HTTP/1.1 " + status)
    assert connection.transport.closed
    body = json.loads(connection.transport.sent.rpartition(b"\r\n\r\n")[2])
    assert sorted(body) == ["error", "request_id"]
