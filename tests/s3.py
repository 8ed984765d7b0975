"""An S3 server for a test run: moto's, as a process of its own on the loopback interface, with one bucket."""

import contextlib
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

from models_store.settings import StoreSettings
from tests.cluster import free_port
from tests.e2e.service import until

BUCKET = "artifacts"
SECRET = "secret-of-the-tests"
_NAMES = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def env(self, prefix: str) -> dict[str, str]:
        """The settings of an installation that keeps its artifacts under ``prefix``."""
        return {
            "FINETUNED_STORAGE_URL": f"s3://{BUCKET}/{prefix}",
            "FINETUNED_STORAGE_ENDPOINT": self.url,
            "FINETUNED_STORAGE_REGION": "eu-central-1",
            "FINETUNED_STORAGE_ACCESS_KEY_ID": "key-of-the-tests",
            "FINETUNED_STORAGE_SECRET_ACCESS_KEY": SECRET,
        }

    def settings(self, data_dir: Path, prefix: str, **more: int) -> StoreSettings:
        """The same for code."""
        named = {name.removeprefix("FINETUNED_").lower(): value for name, value in self.env(prefix).items()}
        return StoreSettings.model_validate({"data_dir": data_dir, **named, **more})

    def keys(self, prefix: str) -> list[str]:
        """All objects of an installation, as S3 itself tells."""
        answer = httpx.get(f"{self.url}/{BUCKET}", params={"list-type": "2", "prefix": f"{prefix}/"})
        found = ET.fromstring(answer.content).iter(f"{_NAMES}Key")  # noqa: S314 - of our own server
        return [str(key.text) for key in found]

    def parts(self, key: str) -> int:
        """In how many parts an object was sent."""
        tag = httpx.head(f"{self.url}/{BUCKET}/{key}").headers["etag"].strip('"')
        return int(tag.partition("-")[2] or 1)

    def replace(self, key: str, content: bytes) -> None:
        """Write other bytes, as no part of the service would."""
        store = S3Store(
            BUCKET,
            endpoint=self.url,
            region="eu-central-1",
            access_key_id="key-of-the-tests",
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )
        obstore.put(store, key, content)


@contextlib.contextmanager
def running(log: Path) -> Iterator[Server]:
    """Start a server, and end it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        until(lambda: _made(server), 60, f"the S3 server answers; see {log}")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _made(server: Server) -> bool:
    try:
        return httpx.put(f"{server.url}/{BUCKET}", timeout=20).is_success
    except httpx.TransportError:
        return False


class Gate:
    """A TCP port in front of a server; while it is shut, whoever connects is cut off."""

    def __init__(self, server: Server) -> None:
        self._target = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        self._shut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="gate", daemon=True).start()

    def shut(self) -> None:
        """Cut off everybody, those who are connected too."""
        self._shut.set()
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Let them through again."""
        self._shut.clear()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.shut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                above, _ = self._listener.accept()
                if self._shut.is_set():
                    above.close()
                    continue
                below = socket.create_connection(self._target)
                self._ends |= {above, below}
                for source, sink in ((above, below), (below, above)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.discard(source)
        source.close()
