"""The peers: how each is started, and what it is sent."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from bench import machine
from bench.serving.environment import BENTOML, LITSERVE, variables
from bench.serving.samples import Kind

_HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 10.0
_CLASSES: Final = "2"
_OWN_PEERS: Final = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A server that is no part of this project; ``listed`` tells whether it wants its input in a list."""

    name: str
    kind: Kind
    arguments: tuple[str, ...]
    """After ``python``; PORT stands for the port."""
    folder: Path
    variables: dict[str, str]
    listed: bool = False

    def body(self, given: str) -> dict[str, Any]:
        """The JSON that it takes."""
        return {"inputs": [given] if self.listed else given}


def all_peers(peers: Path, encoder: Path, cache: Path) -> list[Peer]:
    """Every peer, with as many threads as there are cores, at the settings that its file came with."""
    threads = ("--threads", str(machine.cores()), "--classes", _CLASSES, "--port", "PORT")
    image = {"ARCH": "resnet50", "CLASSES": _CLASSES}
    text = {"ENCODER": str(encoder), "CLASSES": _CLASSES}
    uvicorn = ("-m", "uvicorn", "--host", _HOST, "--port", "PORT", "--log-level", "warning")
    bentoml = ("-m", "bentoml", "serve", "--host", _HOST, "--port", "PORT", "bentoml_image:ImageClassifier")
    home = {"BENTOML_HOME": str(cache / "bentoml")}
    lit = f"LitServe {LITSERVE}"
    plain = "FastAPI and eager torch"
    return [
        Peer(lit, "image", ("litserve_image.py", "--arch", "resnet50", *threads), peers, {}),
        Peer(f"BentoML {BENTOML}", "image", bentoml, peers, {**image, **home}, listed=True),
        Peer(plain, "image", (*uvicorn, "fastapi_image:app"), peers, image),
        Peer(lit, "text", ("litserve_text.py", "--encoder", str(encoder), *threads), peers, {}),
        Peer(plain, "text", (*uvicorn, "fastapi_text:app"), _OWN_PEERS, text),
    ]


@dataclass(frozen=True)
class Serving:
    """A peer that runs: its address, and its process."""

    url: str
    pid: int

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It does nothing meanwhile: some poll, and take a good part of a core with nothing to do."""
        process = psutil.Process(self.pid)
        everyone = [process, *process.children(recursive=True)]
        for one in everyone:
            one.suspend()
        try:
            yield
        finally:
            for one in everyone:
                one.resume()


@contextmanager
def serving(peer: Peer, python: Path, port: int, given: str, log: Path) -> Iterator[Serving]:
    """The peer, which has answered once, until the end of the block.

    Raises:
        RuntimeError: it does not answer; with its last words.
    """
    url = f"http://{_HOST}:{port}/predict"
    command = [str(python), *(str(port) if part == "PORT" else part for part in peer.arguments)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=peer.folder,
            env={**variables(), **peer.variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
    try:
        _await_answer(peer, process, url, given, log)
        yield Serving(url, process.pid)
    finally:
        _stop(process)


def _await_answer(peer: Peer, process: subprocess.Popen[bytes], url: str, given: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.post(url, json=peer.body(given), timeout=_READY_SECONDS).is_success:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{peer.name} does not answer: {log.read_text('utf-8', 'replace')[-1000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then end its whole group: some leave processes behind."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
