"""``finetuned up`` with the real API, worker, broker and database."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from finetuned import Client, keyfile
from finetuned.lock import holder
from tests.finetuned.waiting import until

_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FINETUNED_")}


class _Up:
    """One run of ``finetuned up``."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._log = data_dir.parent / "up.log"
        command = [sys.executable, "-m", "finetuned", "up", "--port", "0", "--data-dir", str(data_dir)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=_ENVIRONMENT)

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        return str((holder(self.data_dir) or {})["url"])

    def client(self) -> Client:
        return Client(self.url, keyfile.read(self.data_dir))

    def family(self) -> list[Any]:
        """Every process below it."""
        found: list[Any] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def part(self, words: str) -> Any:
        """The child that was started with these words, or ``None``."""
        children = psutil.Process(self.process.pid).children()
        return next((child for child in children if words in " ".join(child.cmdline())), None)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said
        return "is ready" in self.said

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False


@contextmanager
def _up(data_dir: Path) -> Iterator[_Up]:
    up = _Up(data_dir)
    try:
        until(up.is_ready, f"it is ready:\n{up.said}", 90)
        yield up
    finally:
        family = up.family() if up.process.poll() is None else []
        up.process.kill()
        up.process.wait()
        psutil.wait_procs(family, timeout=45)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """In a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:
        yield Path(folder) / "data"


def _gone(family: list[Any]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)


@pytest.mark.parametrize("stop", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_signal_stops_all_of_it_in_order(data_dir: Path, stop: signal.Signals) -> None:
    with _up(data_dir) as up:
        family = up.family()
        assert len(family) >= 3
        up.process.send_signal(stop)

        assert up.process.wait(60) == 0
        assert _gone(family)
        assert up.said.endswith("Stopped.\n")
        assert holder(data_dir) is None


@pytest.mark.slow
def test_killing_it_leaves_no_orphan_and_the_next_one_starts(data_dir: Path) -> None:
    with _up(data_dir) as up:
        family = up.family()
        up.process.kill()
        up.process.wait()

        until(lambda: _gone(family), "every child ends", 45)

    with _up(data_dir) as up:
        assert up.answers()


@pytest.mark.slow
def test_second_start_finds_key_and_data_again(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(
        "text,label\n" + "".join(f"film {n},{'good' if n % 2 else 'bad'}\n" for n in range(20))
    )
    with _up(data_dir) as up:
        key = keyfile.read(data_dir)
        assert key is not None
        assert up.said.count(key) == 1
        with up.client() as client:
            dataset = client.upload_dataset(tmp_path / "films.csv")
            assert dataset["status"] == "ready", dataset
        up.process.send_signal(signal.SIGINT)
        up.process.wait(60)

    with _up(data_dir) as up, up.client() as client:
        assert keyfile.read(data_dir) == key
        assert key not in up.said
        assert client.dataset(dataset["id"])["fingerprint"] == dataset["fingerprint"]


@pytest.mark.slow
def test_second_one_on_the_same_folder_says_who_runs_where(data_dir: Path) -> None:
    with _up(data_dir) as up:
        command = [sys.executable, "-m", "finetuned", "up", "--port", "0", "--data-dir", str(data_dir)]
        second = subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT, timeout=60, check=False)

        assert second.returncode == 1
        assert f"process {up.process.pid}" in second.stderr
        assert up.url in second.stderr
        assert up.answers()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), [("api", "-m app"), ("worker", "-m worker"), ("valkey", "valkey.sock")])
def test_part_that_dies_is_told_and_started_again(data_dir: Path, name: str, words: str) -> None:
    with _up(data_dir) as up:
        victim = up.part(words)
        victim.kill()

        until(lambda: f"{name} was ended by SIGKILL" in up.said, "the death is told")
        until(lambda: up.part(words) not in {None, victim}, "it is started again")
        until(up.answers, "it is ready again", 60)


@pytest.mark.slow
def test_second_signal_does_not_wait(data_dir: Path) -> None:
    with _up(data_dir) as up:
        worker = up.part("-m worker")
        worker.suspend()  # so that it cannot end by itself
        up.process.send_signal(signal.SIGINT)
        until(lambda: "Stopping" in up.said, "it is stopping")
        up.process.send_signal(signal.SIGINT)

        assert up.process.wait(15) == 0


def test_broken_setting_is_told_with_the_part_s_own_words(data_dir: Path) -> None:
    command = [sys.executable, "-m", "finetuned", "up", "--port", "0", "--data-dir", str(data_dir)]
    environment = {**_ENVIRONMENT, "FINETUNED_MAX_UPLOAD_BYTES": "plenty"}

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=90, check=False)

    assert done.returncode == 1
    assert "api ended with code 1" in done.stderr
    assert "max_upload_bytes" in done.stderr
    assert "Traceback" not in done.stderr.splitlines()[0]
