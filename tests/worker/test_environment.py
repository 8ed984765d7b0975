"""Processes that a worker starts share the machine: their OpenMP threads sleep while they wait."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from models_store.database.engine import Database
from models_store.database.migrate import migrate
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[psutil.Process]:
    """A worker whose broker does not answer: lanes wait for it, and start nothing."""
    database = Database(WorkerSettings(data_dir=tmp_path).resolved_database_url)
    migrate(database)
    database.close()
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ours = {"FINETUNED_DATA_DIR": str(tmp_path), "FINETUNED_REDIS_URL": f"redis+socket://{tmp_path / 'none'}"}
    environment = {**inherited, **ours, "PYTHONPATH": str(ROOT), **request.param}
    process = subprocess.Popen([sys.executable, "-m", "worker"], env=environment, stderr=subprocess.DEVNULL)
    yield psutil.Process(process.pid)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for one in family:
        one.wait(10)  # they die with their parent


def lane(worker: psutil.Process) -> psutil.Process:
    """One of its lanes, once it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in worker.children():
            if "worker.lane" in child.cmdline():
                return child
    raise AssertionError("no lane")


@pytest.mark.parametrize(
    ("worker", "expected"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")],
    ids=["by default", "as the operator sets it"],
    indirect=["worker"],
)
def test_a_lane_is_told_how_its_threads_wait(worker: psutil.Process, expected: str) -> None:
    assert lane(worker).environ()["OMP_WAIT_POLICY"] == expected
