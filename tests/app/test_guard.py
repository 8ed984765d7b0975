import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from app.settings import AppSettings
from models_store.database.tables import DatasetRow
from tests.app.service import ADMIN_KEY, Running, assert_problem, running, upload_texts


def _answer(raw: socket.socket) -> tuple[int, bytes]:
    """Status and body of an answer after which the service closes the connection."""
    received = b""
    try:
        while chunk := raw.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass  # the service has closed while we still sent
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def _send_chunks(raw: socket.socket, size: int, count: int) -> int:
    """Send a chunked body until the service hangs up; gives how many bytes were sent."""
    chunk = b"%x\r\n%s\r\n" % (size, b"x" * size)
    for sent in range(count):
        try:
            raw.sendall(chunk)
        except OSError:
            return sent * size
    return count * size


def _head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: test", *lines, "", ""]).encode()


@pytest.mark.parametrize("path", ["/jobs", "/datasets", "/predict", "/keys", "/models", "/metrics", "/workers", "/no"])
def test_everything_else_needs_a_key(service: Running, path: str) -> None:
    with service.client(key=None) as client:
        answer = client.get(path)
    assert_problem(answer, 401, "missing_key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/healthz", "/readyz/api", "/openapi.json", "/docs"])
def test_what_holds_no_data_needs_no_key(service: Running, path: str) -> None:
    with service.client(key=None) as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer ft_no", "Basic abc", "Bearer", "Bearer \xff"])
def test_a_wrong_key_is_refused(service: Running, header: str) -> None:
    with service.client(key=None) as client:
        answer = client.get("/jobs", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.json()["code"] in {"missing_key", "invalid_key"}


def test_a_huge_chunked_body_without_key_is_refused_before_it_is_read(service: Running) -> None:
    with socket.create_connection(service.address, timeout=20) as raw:
        raw.sendall(_head("/datasets", "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b"))
        assert _send_chunks(raw, 1 << 20, 10_000) < 10_000 << 20
        status, body = _answer(raw)
    assert status == 401
    assert json.loads(body)["code"] == "missing_key"


@pytest.fixture
def small(settings: AppSettings) -> Iterator[Running]:
    """A service with low limits."""
    limits = {
        "max_json_bytes": 100_000,
        "max_upload_bytes": 200_000,
        "body_silence_seconds": 0.3,
        "body_grace_seconds": 0.5,
        "body_min_rate": 1000.0,
    }
    with running(settings.model_copy(update=limits)) as started:
        yield started


def test_a_declared_length_over_the_limit_is_refused(small: Running) -> None:
    with small.client() as client:
        assert_problem(client.post("/jobs", content=b"x" * 100_001), 413, "body_too_large")


@pytest.mark.parametrize(
    ("path", "kind"), [("/jobs", "application/json"), ("/datasets", "multipart/form-data; boundary=b")]
)
def test_a_chunked_body_is_counted_while_it_comes(small: Running, path: str, kind: str) -> None:
    prefix = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield prefix
        for _ in range(30):
            yield b"x" * 10_000

    with small.client() as client:
        answer = client.post(path, content=body(), headers={"Content-Type": kind})
    assert_problem(answer, 413, "body_too_large")
    assert not list(small.settings.uploads_dir.iterdir())


def _authorized(path: str) -> bytes:
    key = f"Authorization: Bearer {ADMIN_KEY}"
    return _head(path, key, "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b")


def test_a_body_that_stops_coming_is_given_up(small: Running) -> None:
    with socket.create_connection(small.address, timeout=10) as raw:
        raw.sendall(_authorized("/datasets") + b"3\r\n--b\r\n")
        status, body = _answer(raw)
    assert (status, json.loads(body)["code"]) == (408, "body_too_slow")


def test_a_body_that_drips_is_given_up(small: Running) -> None:
    started = time.monotonic()
    with socket.create_connection(small.address, timeout=0.05) as raw:
        raw.sendall(_authorized("/datasets") + b"3\r\n--b\r\n")
        received = b""
        while not received and time.monotonic() - started < 10:
            try:
                raw.sendall(b"1\r\n-\r\n")
                received = raw.recv(65536)
            except TimeoutError:
                continue
    assert b" 408 " in received


def test_a_sane_request_id_is_kept(service: Running) -> None:
    with service.client() as client:
        assert client.get("/jobs", headers={"X-Request-ID": "trace-1.a_B"}).headers["x-request-id"] == "trace-1.a_B"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"}{"'])
def test_any_other_request_id_is_replaced(service: Running, given: str) -> None:
    with service.client() as client:
        made = client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("path", ["/jobs/a%00b", "/jobs?dataset=a%00b"])
def test_a_nul_in_the_address_is_refused(service: Running, path: str) -> None:
    with service.client() as client:
        assert_problem(client.get(path), 422, "nul_character")


def test_a_fault_of_ours_tells_nothing_of_the_inside(service: Running) -> None:
    with service.client() as client:
        dataset = upload_texts(client)
        with service.database.write() as session:
            session.get_one(DatasetRow, dataset).task = "canary"  # such a row cannot be shown
        answer = client.get(f"/datasets/{dataset}")
    assert_problem(answer, 500, "internal_error")
    assert "canary" not in answer.text


def test_a_wrong_client_does_not_end_the_service(service: Running) -> None:
    with socket.create_connection(service.address, timeout=10) as raw:
        raw.sendall(_authorized("/datasets") + b"3\r\n--b\r\n")
    with service.client() as client:
        assert client.get("/healthz").status_code == httpx.codes.OK
