"""One attempt at a job, as the code that does the work sees it: its row, its folder, and whether to go on."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from models_store import leases, storage
from models_store.database.engine import Database
from models_store.database.tables import JobRow, Json
from models_store.errors import DatabaseUnavailableError, LeaseLostError
from models_store.leases import Claim
from worker.settings import WorkerSettings

RENEW_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.5
STORAGE_SECONDS: Final = 30.0
"""So long a request to the artifact store is tried again: the job has nothing better to do."""
LOST_EXIT: Final = 75
_log = structlog.get_logger()


class CancelledByOwnerError(Exception):
    """The owner wants the job to stop for good."""


class StoppedPolitelyError(Exception):
    """The worker is being stopped: leave a checkpoint and give the job back."""


class Attempt:
    """The running attempt. ``beat()`` is called between any two steps of work.

    A thread renews the lease. It does so only while the work beats and the job has time left, and ends the process when
    the lease cannot be renewed until its end: what this attempt would do later must not reach anybody.
    """

    def __init__(self, database: Database, settings: WorkerSettings, claim: Claim, directory: Path) -> None:
        self.database, self.settings, self.claim, self.directory = database, settings, claim, directory
        self.storage = storage.opened(settings, STORAGE_SECONDS, self._move)
        self.cancel_requested = False
        self.stop_requested = False
        self._beaten = time.monotonic()
        self._renewed = time.monotonic()
        self._reported, self._phase = 0.0, ""
        self._latest: float | None = None
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._keep, name="lease", daemon=True)

    def row(self) -> JobRow:
        """The job's row as it is now."""
        with self.database.read() as session:
            return session.get_one(JobRow, self.claim.job_id)

    def hear_term(self) -> None:
        """Let SIGTERM ask this attempt to stop, and do nothing else."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, _signum: int, _frame: FrameType | None) -> None:
        self.stop_requested = True

    def start(self) -> None:
        """Begin to renew the lease."""
        self._heart.start()

    def end(self) -> None:
        """Stop renewing; the row has reached its end or was given back."""
        self._ended.set()

    def beat(self) -> None:
        """Say that the work moves.

        Raises:
            CancelledByOwnerError: stop for good.
        """
        self._move()
        if self.cancel_requested:
            raise CancelledByOwnerError

    def _move(self) -> None:
        self._beaten = time.monotonic()

    def check_stop(self) -> None:
        """Where nothing is worth a checkpoint: stop here if the worker is being stopped.

        Raises:
            StoppedPolitelyError: give the job back.
            CancelledByOwnerError: stop for good.
        """
        self.beat()
        if self.stop_requested:
            raise StoppedPolitelyError

    def progress(self, phase: str, fraction: float, **more: float | int | None) -> None:
        """Report progress at most once a second, a new phase at once; ``fraction`` 0–1 of the whole job."""
        clock = time.monotonic()
        if phase == self._phase and clock - self._reported < 1.0 and fraction < 1.0:
            return
        self._phase, self._reported = phase, clock
        progress: Json = {"phase": phase, "fraction": round(fraction, 4), **more}
        try:
            leases.report_progress(self.database, self.claim, progress)
        except DatabaseUnavailableError as error:
            _log.warning("progress_not_reported", reason=error.message)

    def point_to(self, checkpoint: Json) -> None:
        """Make a checkpoint that is durable the one to resume from."""
        self.persist(lambda: leases.save_checkpoint(self.database, self.claim, checkpoint))

    def persist(self, write: Callable[[], None]) -> None:
        """Do a write that must not be lost, again and again while the database does not answer.

        The end of the lease ends it: then this process ends too.
        """
        while True:
            try:
                return write()
            except DatabaseUnavailableError as error:
                _log.warning("write_repeated", reason=error.message)
                time.sleep(LOOK_SECONDS)

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self._look()
            except LeaseLostError:
                if not self._ended.is_set():
                    self._die("another attempt owns this job, or it has ended")
            except DatabaseUnavailableError as error:
                _log.warning("lease_not_renewed", reason=error.message)
            if time.monotonic() - self._renewed > leases.LEASE_SECONDS:
                self._die("the lease could not be renewed")

    def _look(self) -> None:
        clock = time.monotonic()
        if clock - self._beaten > self.settings.stall_timeout_seconds:
            leases.fail(self.database, self.claim, self._stalled())
            self._die("stalled")
        if self._latest is None:
            left = self.settings.max_job_seconds - leases.spent(self.database, self.claim)
            self._latest = clock + left
        if clock > self._latest:
            leases.fail(self.database, self.claim, self._overdue())
            self._die("over its time limit")
        if clock - self._renewed > RENEW_SECONDS:
            self.cancel_requested = leases.renew(self.database, self.claim)
            self._renewed = clock
        else:
            self.cancel_requested = leases.standing(self.database, self.claim).cancel_requested

    def _stalled(self) -> Json:
        seconds = round(self.settings.stall_timeout_seconds)
        message = f"The job made no step for {seconds} seconds and was stopped. Retry it; if it repeats, see its log."
        return {"code": "stalled", "message": message, "param": None}

    def _overdue(self) -> Json:
        seconds = round(self.settings.max_job_seconds)
        message = f"The job ran for {seconds:,} seconds, the most that a job may. Train fewer epochs or on less data."
        return {"code": "time_limit", "message": message, "param": None}

    def _die(self, reason: str) -> None:
        _log.error("attempt_ends", job=self.claim.job_id, reason=reason)
        os._exit(LOST_EXIT)
