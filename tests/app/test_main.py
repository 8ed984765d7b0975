"""The process as it is started: its logs, its end, its one embedded migration."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.app.service import until

KEY = "ft_canary-key"


@dataclass
class Process:
    """``python -m app``, and what it wrote."""

    popen: subprocess.Popen[bytes]
    url: str
    log: Path

    def healthy(self) -> bool:
        assert self.popen.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def process(tmp_path: Path, broker_url: str) -> Iterator[Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "FINETUNED_DATA_DIR": str(tmp_path / "data"),
        "FINETUNED_REDIS_URL": broker_url,
        "FINETUNED_API_KEY": KEY,
        "FINETUNED_PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as file:
        popen = subprocess.Popen([sys.executable, "-m", "app"], env=env, stdout=file, stderr=file)
    started = Process(popen, f"http://127.0.0.1:{port}", log)
    until(started.healthy, 60, "the service answers")
    yield started
    popen.kill()
    popen.wait(10)


def test_no_client_can_forge_a_line_of_the_log_or_find_a_key_there(process: Process) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=process.url, headers=headers) as client:
        client.get('/jobs/a%0a{"event": "forged"}')
        client.get("/jobs", params={"api_key": KEY})
        files = {"file": ('a\n{"event": "forged"}.csv', b"text,label\n")}
        client.post("/datasets", files=files, data={"name": 'a\n{"event": "forged"}'})
    process.popen.send_signal(signal.SIGTERM)
    process.popen.wait(20)
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert {"request", "Shutting down"} <= {line["event"] for line in lines}
    assert "forged" not in {line["event"] for line in lines}
    assert KEY not in process.log.read_text()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_when_it_is_asked_to(process: Process, sig: signal.Signals) -> None:
    process.popen.send_signal(sig)
    process.popen.wait(10)
    assert "Traceback" not in process.log.read_text()


def test_what_lives_as_long_as_the_process_is_never_looked_over_for_garbage() -> None:
    """In a process of its own: the collector of this one is left alone."""
    told = "import gc; from app import main; main._warm_up(); print(gc.get_freeze_count(), len(gc.get_objects()))"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    frozen, left = map(int, ended.stdout.split())
    assert frozen > 100_000
    assert left < frozen / 10
