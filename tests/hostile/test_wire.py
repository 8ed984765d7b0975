"""HTTP that no polite client sends: endless and lying bodies and heads, smuggled requests, slowness, odd addresses."""

import gzip
import socket
import time

import pytest

from tests.e2e.service import KEY, Service, until
from tests.hostile.conftest import LIMITS, memory, uploads
from tests.hostile.wire import Wire, answers, chunk, flood, received

_MIB = 1 << 20
_FORM = "Content-Type: multipart/form-data; boundary=b"
_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
_SOCKETS_BUFFER = 16 * _MIB
"""The kernels of both sides may hold this much that nobody has read."""


@pytest.mark.parametrize("path", ["/datasets", "/weights", "/checkpoints", "/predict", "/jobs", "/nowhere"])
def test_an_endless_body_without_a_key_is_refused_unread(path: str, wire: Wire) -> None:
    with wire.connected() as connection:
        connection.sendall(wire.post(path, _FORM, key=False))
        sent = flood(connection, chunk(b"x" * _MIB), 500 * _MIB)
        first = answers(received(connection))[0]
    assert (first.status, first.code) == (401, "missing_key")
    assert sent < 150 * _MIB


@pytest.mark.parametrize("path", ["/datasets", "/weights", "/checkpoints", "/predict", "/jobs"])
def test_an_endless_body_with_a_key_is_cut_off_while_it_comes(path: str, wire: Wire, service: Service) -> None:
    before, left = memory(service), uploads(service)
    with wire.connected() as connection:
        kind = "Content-Type: application/json" if path == "/jobs" else _FORM
        connection.sendall(wire.post(path, kind) + chunk(_PART))
        sent = flood(connection, chunk(b"x" * _MIB), 500 * _MIB)
        first = answers(received(connection))[0]
    assert (first.status, first.code) == (413, "body_too_large")
    assert sent < 150 * _MIB
    assert memory(service) - before < 100 * _MIB
    assert not uploads(service) - left


def test_a_declared_length_over_the_limit_is_refused_at_once(wire: Wire) -> None:
    head = wire.head("POST /datasets", _FORM, "Content-Length: 10000000000", "Connection: close")
    assert [answer.code for answer in wire.said(head)] == ["body_too_large"]


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: -5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "X\0: a",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_none(framing: str, wire: Wire) -> None:
    """Request smuggling: what follows must never be answered as a request of its own."""
    smuggled = wire.head("GET /keys", "Connection: close")
    found = wire.said(wire.head("POST /jobs", "Content-Type: application/json", framing) + b"0\r\n\r\n" + smuggled)
    assert [answer.status for answer in found] == [400]
    assert found[0].code == "malformed_request"
    assert "connection: close" in found[0].head


@pytest.mark.parametrize(
    "broken", [b"ZZ\r\nabc\r\n", b"ffffffffffffffffff\r\n{", b"-1\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n"]
)
def test_a_chunk_with_a_lying_size_ends_the_connection(broken: bytes, wire: Wire) -> None:
    found = wire.said(wire.post("/jobs", "Content-Type: application/json") + broken + wire.head("GET /keys"))
    assert [answer.status for answer in found] == [400]


def test_a_body_that_is_shorter_than_declared_is_given_up(wire: Wire, service: Service) -> None:
    left = uploads(service)
    found = wire.said(wire.head("POST /datasets", _FORM, "Content-Length: 1000") + _PART)
    assert [(answer.status, answer.code) for answer in found] == [(408, "body_too_slow")]
    assert not uploads(service) - left


def test_a_body_that_is_longer_than_declared_is_no_second_request_unless_it_is_one(wire: Wire) -> None:
    body = b'{"dataset": "ds_x", "backbone": "y"}'
    head = wire.head("POST /jobs", "Content-Type: application/json", f"Content-Length: {len(body)}")
    found = wire.said(head + body + b"more of it\r\n\r\n")
    assert [answer.status for answer in found[1:]] in ([], [400])


def test_pipelined_requests_are_answered_in_their_order_each_with_its_own_key(wire: Wire) -> None:
    asked = wire.head("GET /keys") + wire.head("GET /keys", key=False) + wire.head("GET /healthz", "Connection: close")
    assert [answer.status for answer in wire.said(asked)] == [200, 401, 200]


def test_ten_thousand_pipelined_requests_harm_nobody(wire: Wire, service: Service) -> None:
    before = memory(service)
    with wire.connected() as connection:
        flood(connection, b"GET /jobs HTTP/1.1\r\n\r\n" * 1000, 200_000)
        assert service.client.get("/healthz").status_code == 200
    assert memory(service) - before < 100 * _MIB


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"x" * _MIB, id="endless header"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 100_000, id="endless headers"),
        pytest.param(b"GET /", b"x" * _MIB, id="endless address"),
        pytest.param(b"GET / HTTP/1.1\r\nX", b"x" * _MIB, id="endless name of a header"),
        pytest.param(b"", b"\r\n" * 100_000, id="endless empty lines"),
        pytest.param(
            b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 50_000, id="trailers"
        ),
        pytest.param(
            b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * _MIB, id="trailer"
        ),
        pytest.param(
            b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * _MIB, id="chunk extension"
        ),
    ],
)
def test_a_head_without_end_is_cut_off(start: bytes, piece: bytes, wire: Wire, service: Service) -> None:
    before = memory(service)
    with wire.connected() as connection:
        connection.sendall(start)
        sent = flood(connection, piece, 100 * _MIB)
        received(connection)
    assert sent < 50 * _MIB
    assert memory(service) - before < _SOCKETS_BUFFER + 50 * _MIB
    assert service.client.get("/healthz", timeout=5).status_code == 200


@pytest.mark.parametrize("large", ["/healthz?" + "a" * 40_000, "/" + "a" * 40_000])
def test_a_large_address_is_told_so(large: str, wire: Wire) -> None:
    found = wire.said(wire.head(f"GET {large}"))
    assert [(answer.status, answer.code) for answer in found] == [(431, "head_too_large")]


def test_large_headers_are_told_so(wire: Wire) -> None:
    found = wire.said(wire.head("GET /healthz", *["X-Padding: " + "a" * 1000] * 40))
    assert [(answer.status, answer.code) for answer in found] == [(431, "head_too_large")]


def test_headers_that_never_come_whole_are_given_up_and_block_nobody(wire: Wire, service: Service) -> None:
    """Slowloris: connections that each send a byte now and then, for ever."""
    connections = [wire.connected() for _ in range(100)]
    opened = [connection.__enter__() for connection in connections]
    try:
        for connection in opened:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert service.client.get("/healthz", timeout=5).status_code == 200
        assert _ends(opened[0], b"x")
        assert {answer.code for one in opened for answer in answers(received(one))} <= {"head_too_slow"}
    finally:
        for one in connections:
            one.__exit__(None, None, None)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"\r\n", id="empty lines"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n\r\nGET", id="after a first request"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", id="a body that nobody reads"),
    ],
)
def test_a_connection_that_brings_no_request_is_closed(start: bytes, wire: Wire) -> None:
    with wire.connected() as connection:
        connection.sendall(start)
        assert _ends(connection, b"\r\n" if start == b"\r\n" else b"x" if start else b"")


def _ends(connection: socket.socket, drop: bytes) -> bool:
    """Send a byte every now and then: whether the service closes the connection all the same."""
    connection.settimeout(0.1)
    deadline = time.monotonic() + 5 * float(LIMITS["FINETUNED_HEAD_SECONDS"])
    while time.monotonic() < deadline:
        try:
            connection.sendall(drop)
            if not connection.recv(65536):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_a_body_that_drips_is_given_up(wire: Wire) -> None:
    with wire.connected(seconds=0.1) as connection:
        connection.sendall(wire.post("/datasets", _FORM) + chunk(_PART))

        def answered() -> bytes:
            try:
                connection.sendall(chunk(b"x"))
                return connection.recv(65536)
            except TimeoutError:
                return b""

        begin = until(answered, 15, "the body is given up", every=0)
        connection.settimeout(20)
        content = begin + received(connection)
    assert answers(content)[0].code == "body_too_slow"


def test_a_gzipped_body_is_not_unpacked(service: Service) -> None:
    bomb = gzip.compress(b"[" * 50 * _MIB)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    before = memory(service)
    answer = service.client.post("/jobs", content=bomb, headers=headers)
    assert answer.status_code in {400, 415, 422}
    assert memory(service) - before < 30 * _MIB


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PATCH", "PROPFIND", "OPTIONS", "PRI"])
def test_a_method_that_is_not_offered_does_nothing_and_echoes_nothing(method: str, wire: Wire) -> None:
    found = wire.said(wire.head(f"{method} /jobs", "X-Echo: canary", "Connection: close"))
    assert [answer.status for answer in found] in ([405], [400])
    assert b"canary" not in found[0].body
    assert KEY.encode() not in found[0].body


@pytest.mark.parametrize(
    "path",
    [
        "//jobs",
        "/./jobs",
        "/healthz/../jobs",
        "/docs/../jobs",
        "/docs/%2e%2e/jobs",
        "/docs/..%2fjobs",
        "/docs//jobs",
        "/docs/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/docs/..%5c..%5cwin.ini",
        "/static/../jobs",
        "/static/%2e%2e/app/main.py",
        "/%6aobs",
        "/healthz/jobs",
        "/healthz;/../jobs",
        "/jobs%2f..%2fhealthz",
        "http://test/jobs",
        "/healthz%3f/../jobs",
    ],
)
def test_no_spelling_of_an_address_gets_in_without_a_key(path: str, wire: Wire) -> None:
    found = wire.said(wire.head(f"GET {path}", "Connection: close", key=False))
    assert found[0].status in {401, 404}
    assert b'"data"' not in found[0].body
    assert b"root:" not in found[0].body


@pytest.mark.parametrize("host", ["evil.example", "", "test\r\nX-Injected: 1", "a" * 10_000])
def test_the_host_header_decides_nothing(host: str, wire: Wire) -> None:
    request = f"GET /jobs HTTP/1.1\r\nHost: {host}\r\n{wire.authorization}\r\nConnection: close\r\n\r\n"
    found = wire.said(request.encode())
    assert [answer.status for answer in found] == [200]
    assert "evil" not in found[0].head.lower()
    assert "x-injected" not in found[0].head.lower()


@pytest.mark.parametrize(
    "header",
    [
        "Range: bytes=0-",
        "Range: bytes=" + ",".join(["0-"] * 2000),
        "Range: bytes=-99999999999999999999",
        "If-Match: *",
        "If-None-Match: *",
        "If-Modified-Since: " + "9" * 500,
        "Expect: 100-continue",
        "Expect: canary",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: YQ==\r\nSec-WebSocket-Version: 13",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: evil\r\nX-Original-URL: /keys",
        "X-HTTP-Method-Override: DELETE",
        "Accept: " + "a/b," * 3000,
        "Accept-Encoding: " + "gzip," * 3000,
        "Cookie: " + "a=b;" * 3000,
        "Prefer: " + "wait=0," * 3000,
        "Last-Event-ID: -1",
    ],
)
def test_headers_that_ask_for_strange_things_change_nothing(header: str, wire: Wire) -> None:
    found = wire.said(wire.head("GET /keys?limit=1", header, "Connection: close"))
    assert [answer.status for answer in found] == [200]
    assert b'"data":[{' in found[0].body


@pytest.mark.parametrize("path", ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"])
def test_ranges_of_a_static_file_cost_no_more_than_the_file(path: str, wire: Wire) -> None:
    many = "Range: bytes=" + ",".join(f"{n}-" for n in range(2000))
    found = wire.said(wire.head(f"GET {path}", many, "Connection: close", key=False))
    whole = wire.said(wire.head(f"GET {path}", "Connection: close", key=False))
    assert len(found[0].body) <= 2 * len(whole[0].body)
