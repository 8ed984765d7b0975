"""HTTP by hand: what a polite client would never send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, and the body where it is JSON."""

    status: int
    head: str
    body: bytes

    @property
    def code(self) -> str:
        """The problem's code."""
        problem: dict[str, Any] = json.loads(self.body)
        return str(problem["code"])


class Wire:
    """Opens connections to the service."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self.authorization = f"Authorization: Bearer {key}"

    @contextmanager
    def connected(self, seconds: float = 20) -> Iterator[socket.socket]:
        """A plain connection; reading gives up after so many seconds."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=seconds) as connection:
            yield connection

    def said(self, content: bytes) -> list[Answer]:
        """Every answer to these bytes; the service must close the connection by itself."""
        with self.connected() as connection:
            connection.sendall(content)
            return answers(received(connection))

    def head(self, line: str, *headers: str, key: bool = True) -> bytes:
        """A request's head."""
        own = [self.authorization] if key else []
        return "\r\n".join([f"{line} HTTP/1.1", "Host: test", *own, *headers, "", ""]).encode()

    def post(self, path: str, *headers: str, key: bool = True) -> bytes:
        """The head of a POST whose body comes in chunks."""
        return self.head(f"POST {path}", "Transfer-Encoding: chunked", *headers, key=key)


def chunk(content: bytes) -> bytes:
    """A chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def received(connection: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    content = b""
    try:
        while part := connection.recv(65536):
            content += part
    except ConnectionError:
        pass  # it has closed while we still sent
    return content


def answers(content: bytes) -> list[Answer]:
    """The answers in what was received."""
    found: list[Answer] = []
    while content:
        head, _, rest = content.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        lengths = [line for line in text.lower().split("\r\n") if line.startswith("content-length:")]
        length = int(lengths[0].partition(":")[2]) if lengths else len(rest)
        found.append(Answer(int(text.split()[1]), text, rest[:length]))
        content = rest[length:]
    return found


def flood(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send the same piece again and again until the service hangs up; gives the bytes that were sent."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    except OSError:
        return sent
    return sent
