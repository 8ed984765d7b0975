"""``python -m worker``: one process a lane, a heartbeat, and the sweep. Ends them all when it is told to stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import structlog

from models_store import copies, counters, logs, processors, retention, storage, workers
from models_store.database.engine import Database
from models_store.errors import UnavailableError
from models_store.labels import Labels, offered, shown
from models_store.sweep import INTERVAL_SECONDS, ring_for_needs, sweep
from models_store.tidy import tidy
from worker import gpus
from worker.bell import Bell
from worker.celery_app import TASKS, own_queue
from worker.settings import WorkerSettings
from worker.tasks import worker_id

_log = structlog.get_logger()
_STOP_SECONDS = 30.0
TIDY_SECONDS = 600.0
DRAIN_LOOK_SECONDS = 1.0


def main() -> None:
    """Run until SIGTERM or SIGINT, or, after SIGUSR1, until the running jobs have ended."""
    orders = _Orders()

    def on_stop(_signum: int, _frame: FrameType | None) -> None:
        orders.give(orders.stop)

    def on_drain(_signum: int, _frame: FrameType | None) -> None:
        orders.give(orders.drain)

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, on_stop)
    signal.signal(signal.SIGUSR1, on_drain)
    logs.configure()
    _Launcher(WorkerSettings()).run(orders)


class _Orders:
    """What signals have asked for."""

    def __init__(self) -> None:
        self.stop, self.drain = threading.Event(), threading.Event()
        self._news = threading.Event()

    def give(self, order: threading.Event) -> None:
        order.set()
        self._news.set()

    def rest(self, seconds: float) -> None:
        """Wait, but not past a new order."""
        self._news.wait(seconds)
        self._news.clear()


def offering(device: str, more: str) -> Labels:
    """What jobs may require of this worker: what it is, and what its operator says of it."""
    return {"cpu": 0, **({} if device == "cpu" else {workers.GPU: 0}), **offered(more)}


class _Launcher:
    def __init__(self, settings: WorkerSettings) -> None:
        self._database = Database(settings.resolved_database_url)
        self._bell = Bell(settings.redis_url)
        self._device = gpus.names()
        self._labels = offering(self._device, settings.worker_labels)
        self._settings = settings
        self._storage = storage.opened(settings)
        self._tidy_at = 0.0
        self._lanes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, orders: _Orders) -> None:
        while not (orders.stop.is_set() or orders.drain.is_set()):
            self._start_missing_lanes()
            self._tick()
            self._ring_for_needs()
            orders.rest(INTERVAL_SECONDS)
        while not orders.stop.is_set() and self._drain_lanes():
            self._tick(draining=True)
            orders.rest(DRAIN_LOOK_SECONDS)
        self._stop_lanes()
        self._farewell()

    def _drain_lanes(self) -> bool:
        """Ask the lanes that are left to end after their job, again for one that was just starting; whether any is."""
        left = [process for process in self._lanes.values() if process.poll() is None]
        for process in left:
            process.send_signal(signal.SIGUSR1)
        return bool(left)

    def _start_missing_lanes(self) -> None:
        for lane in TASKS:
            process = self._lanes.get(lane)
            if process is not None and process.poll() is not None:
                _log.error("lane_died", lane=lane, returncode=process.returncode)
            if process is None or process.poll() is not None:
                command = [sys.executable, "-m", "worker.lane", lane, str(os.getpid()), shown(self._labels)]
                environment = {**os.environ, **processors.openmp(os.environ)}  # of every process below the lane, too
                self._lanes[lane] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, env=environment, process_group=0
                )

    def _tick(self, *, draining: bool = False) -> None:
        try:
            memory = None if self._device == "cpu" else gpus.memory()
            for lane in TASKS:
                me = worker_id(os.getpid(), lane)
                workers.seen(self._database, workers.Seen(me, lane, self._device, self._labels, draining, memory))
            sweep(self._database, self._bell.ring)
            if time.monotonic() > self._tidy_at:
                self._tidy_at = time.monotonic() + TIDY_SECONDS
                retention.apply(self._database, self._settings, self._storage)
                tidy(self._database, self._settings, self._storage)
                copies.tidy(self._database, self._settings.store_dir, self._storage)
                counters.settle(self._database)
                self._database.scrub()
        except UnavailableError as error:
            _log.warning("sweep_skipped", reason=error.message)

    def _ring_for_needs(self) -> None:
        """So that a job that few can run need not wait until one of these happens to hear its bell."""
        try:
            ring_for_needs(self._database, TASKS, self._labels, self._ring_own)
        except UnavailableError as error:
            _log.warning("sweep_skipped", reason=error.message)

    def _ring_own(self, job_id: str, lane: str) -> None:
        self._bell.ring(job_id, lane, own_queue(lane, self._labels))

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
