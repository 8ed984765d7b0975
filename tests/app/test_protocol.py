"""Heads of requests on a real socket, against bounds that are small enough for a test."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.protocol import bounded
from tests.app.service import until

_SECONDS = 0.3
_BYTES = 2000


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, whatever is still to come of the body."""
    del receive
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the protocol is spoken."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_hello, http=bounded(_BYTES, _SECONDS), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    until(lambda: server.started, 10, "the server has started")
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(10)


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def _rest(connection: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass  # it hung up while there was more to come from here
    return received


def _said(port: int, content: bytes) -> bytes:
    with _connected(port) as connection:
        connection.sendall(content)
        return _rest(connection)


def _code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


def test_a_head_within_the_bounds_is_answered(port: int) -> None:
    answer = _said(port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1500 + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, id="one endless header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 20_000, id="endless headers"),
        pytest.param(b"GET /" + b"x" * 100_000, id="an endless address"),
        pytest.param(b"GET /" + b"x" * 2500 + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="a long address"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2500 + b"\r\n\r\n", id="a long header"),
    ],
)
def test_a_head_beyond_the_bound_is_refused_and_the_connection_ended(head: bytes, port: int) -> None:
    assert _code(_said(port, head)) == (431, "head_too_large")


def test_the_bound_holds_for_every_request_of_a_connection_by_itself(port: int) -> None:
    small = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1500 + b"\r\n\r\n"
    with _connected(port) as connection:
        for _ in range(5):
            connection.sendall(small)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_headers_behind_a_chunked_body_are_bounded_as_well(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with _connected(port) as connection:
        connection.sendall(head + b"X: x\r\n" * 50_000)
        rest = _rest(connection)  # returns only because the connection is ended
    assert rest.count(b"HTTP/1.1 200 OK") <= 1


def test_a_head_that_does_not_come_whole_is_given_up(port: int) -> None:
    assert _code(_said(port, b"GET / HTTP/1.1\r\nHost:")) == (408, "head_too_slow")


def test_a_connection_that_brings_nothing_is_closed_without_a_word(port: int) -> None:
    assert _said(port, b"") == b""


@pytest.mark.parametrize("content", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"hello\r\n\r\n"])
def test_what_is_no_http_is_answered_as_a_problem_with_the_headers_of_every_answer(content: bytes, port: int) -> None:
    answer = _said(port, content)
    assert _code(answer) == (400, "malformed_request")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    for name in (b"x-request-id: ", b"x-content-type-options: nosniff", b"connection: close"):
        assert name in head
