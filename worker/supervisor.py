"""Watches the child process that does a job's work. Never imports torch, so that nothing heavy can go wrong here."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import structlog

from models_store import leases
from models_store.database.engine import Database
from models_store.errors import LeaseLostError, UnavailableError
from models_store.leases import Claim
from worker.settings import WorkerSettings

POLL_SECONDS: Final = 0.2
CANCEL_TERM_SECONDS: Final = 2.0
CANCEL_KILL_SECONDS: Final = 4.0
STOP_KILL_SECONDS: Final = 20.0
_log = structlog.get_logger()


def supervise(database: Database, settings: WorkerSettings, claim: Claim, stopping: Event) -> None:
    """Run a claimed job in a child process to the end of this attempt, whatever that end is."""
    directory = attempt_directory(settings, claim)
    directory.mkdir(parents=True, exist_ok=True)
    child = _start(claim, directory)
    watch = _Watch(database, claim, child, stopping)
    try:
        watch.until_exit()
    finally:
        _kill_group(child)
        child.wait()
    _settle(database, claim, child.returncode, directory, stopped=stopping.is_set())


def attempt_directory(settings: WorkerSettings, claim: Claim) -> Path:
    """Where this attempt's files live; a late writer of another attempt has a folder of its own."""
    return settings.scratch_dir / claim.job_id / f"fence-{claim.fence}"


def _start(claim: Claim, directory: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "worker.child", claim.job_id, str(claim.fence), str(os.getpid())]
    with (directory / "child.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)


class _Watch:
    """The loop around one child: lease, cancellation, polite stop."""

    def __init__(self, database: Database, claim: Claim, child: subprocess.Popen[bytes], stopping: Event) -> None:
        self._database, self._claim, self._child, self._stopping = database, claim, child, stopping
        self._cancelled_at: float | None = None
        self._stopped_at: float | None = None
        self._lease_seen = time.monotonic()
        self._next_look = 0.0

    def until_exit(self) -> None:
        """Return when the child has ended or had to be killed."""
        while self._child.poll() is None:
            if not self._look() or self._too_late():
                return
            time.sleep(POLL_SECONDS)

    def _look(self) -> bool:
        """Once a second, read the row; false when the job is no longer this attempt's."""
        clock = time.monotonic()
        if clock < self._next_look:
            return True
        self._next_look = clock + 1.0
        try:
            standing = leases.standing(self._database, self._claim)
        except LeaseLostError:
            return False
        except UnavailableError:
            return clock - self._lease_seen < leases.LEASE_SECONDS
        if not standing.lease_expired:
            self._lease_seen = clock
        if standing.cancel_requested and self._cancelled_at is None:
            self._cancelled_at = clock
        return not standing.lease_expired

    def _too_late(self) -> bool:
        """Send the signals that are due; true when patience has ended."""
        clock = time.monotonic()
        if self._stopping.is_set() and self._stopped_at is None:
            self._stopped_at = clock
            self._signal(signal.SIGTERM)
        if self._cancelled_at is not None and clock - self._cancelled_at > CANCEL_TERM_SECONDS:
            self._signal(signal.SIGTERM)
        over = self._cancelled_at is not None and clock - self._cancelled_at > CANCEL_KILL_SECONDS
        return over or (self._stopped_at is not None and clock - self._stopped_at > STOP_KILL_SECONDS)

    def _signal(self, sig: signal.Signals) -> None:
        if self._child.poll() is None:
            os.kill(self._child.pid, sig)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the child's process group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _settle(database: Database, claim: Claim, returncode: int, directory: Path, *, stopped: bool) -> None:
    """If the child could not end its attempt itself, end it here. An exit code never means success."""
    try:
        if stopped:
            leases.release(database, claim)
        else:
            leases.abandon(database, claim, _reason(returncode, directory))
    except LeaseLostError:
        return  # the child, its owner or the reaper has settled it
    except UnavailableError as error:
        _log.warning("attempt_not_settled", job=claim.job_id, reason=error.message)  # the reaper will


def _reason(returncode: int, directory: Path) -> dict[str, str | None]:
    how = f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
    last = _last_line(directory / "child.log")
    message = f"The process that ran the job {how}{f' ({last})' if last else ''}. See the worker's log, then retry."
    return {"code": "crashed", "message": message, "param": None}


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
