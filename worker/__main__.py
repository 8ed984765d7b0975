"""``python -m worker``: one process a lane, a heartbeat, and the sweep. Ends them all when it is told to stop."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import structlog

from models_store import logs, processors, retention, workers
from models_store.database.engine import Database
from models_store.errors import UnavailableError
from models_store.sweep import INTERVAL_SECONDS, sweep
from models_store.tidy import tidy
from worker.bell import Bell
from worker.celery_app import TASKS
from worker.settings import WorkerSettings
from worker.tasks import worker_id

_log = structlog.get_logger()
_STOP_SECONDS = 30.0
TIDY_SECONDS = 600.0


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()

    def on_signal(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, on_signal)
    logs.configure()
    settings = WorkerSettings()
    _Launcher(settings).run(stop)


def device() -> str:
    """What this worker trains on, told without loading torch: the GPUs' names, or ``cpu``."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "cpu"
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    names = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    return ", ".join(names)[:200] if answer.returncode == 0 and names else "cpu"


class _Launcher:
    def __init__(self, settings: WorkerSettings) -> None:
        self._database = Database(settings.resolved_database_url)
        self._bell = Bell(settings.redis_url)
        self._device = device()
        self._settings = settings
        self._tidy_at = 0.0
        self._lanes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._start_missing_lanes()
            self._tick()
            stop.wait(INTERVAL_SECONDS)
        self._stop_lanes()
        self._farewell()

    def _start_missing_lanes(self) -> None:
        for lane in TASKS:
            process = self._lanes.get(lane)
            if process is not None and process.poll() is not None:
                _log.error("lane_died", lane=lane, returncode=process.returncode)
            if process is None or process.poll() is not None:
                command = [sys.executable, "-m", "worker.lane", lane, str(os.getpid())]
                environment = {**os.environ, **processors.openmp(os.environ)}  # of every process below the lane, too
                self._lanes[lane] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, env=environment, process_group=0
                )

    def _tick(self) -> None:
        try:
            for lane in TASKS:
                workers.seen(self._database, worker_id(os.getpid(), lane), lane, self._device)
            sweep(self._database, self._bell.ring)
            if time.monotonic() > self._tidy_at:
                self._tidy_at = time.monotonic() + TIDY_SECONDS
                retention.apply(self._database, self._settings)
                tidy(self._database, self._settings)
                self._database.scrub()
        except UnavailableError as error:
            _log.warning("sweep_skipped", reason=error.message)

    def _stop_lanes(self) -> None:
        """TERM is Celery's warm shutdown: the running job is checkpointed and given back."""
        for process in self._lanes.values():
            process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._lanes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _farewell(self) -> None:
        try:
            for lane in TASKS:
                workers.gone(self._database, worker_id(os.getpid(), lane))
        except UnavailableError as error:
            _log.warning("farewell_skipped", reason=error.message)
        self._database.close()


if __name__ == "__main__":
    main()
