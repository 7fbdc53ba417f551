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


def after(connection: Connection, seconds: float) -> bool:
    """Tell whether the client has dawdled when it was looked at each second for so long."""
    looks = [connection.dawdles(1000.0 + second) for second in range(int(seconds))]
    return any(looks) or connection.dawdles(1000.0 + seconds)


HEAD = b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def answer(connection: Connection) -> None:
    connection.cycle.response_complete = True
    connection.on_response_complete()


def test_a_client_that_says_nothing_has_its_patience_and_no_more(connect):
    connection = connect()
    assert not after(connection, PATIENCE_SECONDS - 0.1)
    assert after(connection, PATIENCE_SECONDS + 0.1)


def test_headers_in_drops_gain_no_time(connect):
    connection = connect()
    assert not connection.dawdles(1000.0)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 50_000)
    assert after(connection, PATIENCE_SECONDS + 0.1)


def test_an_upload_gains_time_by_its_bytes_only(connect):
    connection = connect()
    connection.data_received(HEAD)
    assert not connection.dawdles(1000.0)
    connection.data_received(b"y" * 10 * LEAST_BYTES_PER_SECOND)
    assert not after(connection, PATIENCE_SECONDS + 9)
    assert after(connection, PATIENCE_SECONDS + 11)


def test_a_body_that_was_refused_early_is_not_read_for_ever(connect):
    connection = connect()
    connection.data_received(HEAD)
    answer(connection)
    connection.data_received(b"y" * 100)
    assert after(connection, PATIENCE_SECONDS + 1)


def test_a_complete_request_waits_for_the_server_as_long_as_it_takes(connect):
    connection = connect()
    connection.data_received(REQUEST)
    assert not after(connection, 1000)


def test_between_requests_only_the_keep_alive_timer_runs(connect):
    connection = connect()
    for _ in range(3):
        connection.data_received(REQUEST)
        answer(connection)
    assert not after(connection, 1000)
    assert connection.timeout_keep_alive_task is not None
    connection.data_received(REQUEST[:10])
    assert after(connection, PATIENCE_SECONDS + 1)


def test_many_requests_on_one_connection_are_no_long_header(connect):
    connection = connect()
    for _ in range(300):
        connection.data_received(b"GET / HTTP/1.1\r\nX: " + b"y" * 1000 + b"\r\n\r\n")
        answer(connection)
        connection.data_received(b"\r\n")
    assert not connection.transport.is_closing()


def test_a_client_that_does_not_take_its_answer_is_cut_off(connect):
    connection = connect()
    connection.data_received(REQUEST)
    connection.pause_writing()
    stalled = connection._stalled_since
    assert not connection.dawdles(stalled + PATIENCE_SECONDS - 1)
    assert connection.dawdles(stalled + PATIENCE_SECONDS + 1)
    connection.resume_writing()
    assert not after(connection, 1000)


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
