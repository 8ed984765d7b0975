"""Watches the child process that does a job's work. Never imports torch, so that nothing heavy can go wrong here."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from models_store import jobs, leases, spans, storage
from models_store.database.engine import Database
from models_store.database.tables import JobRow, Json
from models_store.errors import DatabaseUnavailableError, LeaseLostError, StorageUnavailableError
from models_store.jobs import FINE_TUNE, LANES, TERMINAL
from models_store.leases import Claim
from worker import memory
from worker.reserve import ALONE_SECONDS, BEGUN, Reserve
from worker.settings import WorkerSettings

POLL_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 0.25
NEXT_SECONDS: Final = 2.0
"""How often a job's successor is looked for, until there is one; a job's own start comes first."""
CANCEL_TERM_SECONDS: Final = 2.0
CANCEL_KILL_SECONDS: Final = 4.0
STOP_KILL_SECONDS: Final = 20.0
_log = structlog.get_logger()


def supervise(database: Database, settings: WorkerSettings, claim: Claim, stopping: Event, reserve: Reserve) -> None:
    """Run a claimed job in a child process to the end of this attempt, whatever that end is."""
    directory = attempt_directory(settings, claim)
    directory.mkdir(parents=True, exist_ok=True)
    events = settings.memory_events or memory.events_file()
    kills = memory.kills(events)
    try:
        with (directory / "child.log").open("ab") as log:
            returncode = _run(database, claim, stopping, reserve, log)
    finally:
        reserve.rest()
    starved = returncode == -signal.SIGKILL and memory.kills(events) > kills
    try:
        _settle(database, claim, _reason(returncode, directory, starved=starved), stopped=stopping.is_set())
        _tidy(database, settings, claim, directory)
    except DatabaseUnavailableError as error:
        _log.warning("attempt_not_settled", job=claim.job_id, reason=error.message)  # the reaper will


def attempt_directory(settings: WorkerSettings, claim: Claim) -> Path:
    """Where this attempt's files live; a late writer of another attempt has a folder of its own."""
    return settings.scratch_dir / claim.job_id / f"fence-{claim.fence}"


def _run(database: Database, claim: Claim, stopping: Event, reserve: Reserve, log: BinaryIO) -> int:
    """Do the attempt in the standby where there is one, else in a new process; gives the exit code."""
    standby = reserve.take(claim.job_id, claim.fence, log.fileno())
    if standby is not None:
        ended = _attend(database, claim, standby.process, stopping, reserve)
        begun = standby.says(BEGUN)
        standby.end()
        if begun or not ended or stopping.is_set():
            return int(standby.process.returncode)
        _log.warning(
            "standby_died", job=claim.job_id, reason="before it began the job, which gets a process of its own"
        )
    child = _start(claim, log)
    _attend(database, claim, child, stopping, reserve)
    return int(child.returncode)


def _start(claim: Claim, log: BinaryIO) -> subprocess.Popen[bytes]:
    words = [claim.job_id, str(claim.fence), str(os.getpid()), spans.traceparent() or ""]
    command = [sys.executable, "-m", "worker.child", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)


def _attend(
    database: Database, claim: Claim, child: subprocess.Popen[bytes], stopping: Event, reserve: Reserve
) -> bool:
    """Watch a child to its end, whatever that is, and leave nothing of it; tells whether it ended by itself."""
    try:
        return Watch(database, claim, child, stopping, reserve).until_exit()
    finally:
        _kill_group(child)
        child.wait()


class Watch:
    """The loop around one child: lease, cancellation, polite stop; and a word to the reserve if another job waits."""

    def __init__(
        self, database: Database, claim: Claim, child: subprocess.Popen[bytes], stopping: Event, reserve: Reserve
    ) -> None:
        self._database, self._claim, self._child, self._stopping = database, claim, child, stopping
        self._reserve = reserve
        self._began = self._looked_for_next = time.monotonic()
        self._cancelled_at: float | None = None
        self._stopped_at: float | None = None
        self._lease_seen = time.monotonic()
        self._next_look = 0.0

    def until_exit(self) -> bool:
        """Return when the child has ended, or, then false, when it has to be killed."""
        while self._child.poll() is None:
            if not self._look() or self._too_late():
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _look(self) -> bool:
        """Every quarter of a second, read the row; false when the job is no longer this attempt's."""
        clock = time.monotonic()
        if clock < self._next_look:
            return True
        self._next_look = clock + LOOK_SECONDS
        try:
            standing = leases.standing(self._database, self._claim)
        except LeaseLostError:
            return False
        except DatabaseUnavailableError:
            return clock - self._lease_seen < leases.LEASE_SECONDS
        self._lease_seen = clock
        if standing.cancel_requested and self._cancelled_at is None:
            self._cancelled_at = clock
        self._look_for_next(clock)
        return not standing.lease_expired

    def _look_for_next(self, clock: float) -> None:
        """Nothing is lost if that fails."""
        if clock - self._looked_for_next < NEXT_SECONDS or clock - self._began > ALONE_SECONDS:
            return
        self._looked_for_next = clock
        with contextlib.suppress(DatabaseUnavailableError), self._database.read() as session:
            if jobs.longest_wait(session, LANES[self._claim.kind]):
                self._reserve.hasten()

    def _too_late(self) -> bool:
        """Send the signals that are due; true when patience has ended."""
        clock = time.monotonic()
        if self._stopping.is_set() and self._stopped_at is None:
            self._stopped_at = clock
            self._terminate()
        if self._cancelled_at is not None and clock - self._cancelled_at > CANCEL_TERM_SECONDS:
            self._terminate()
        over = self._cancelled_at is not None and clock - self._cancelled_at > CANCEL_KILL_SECONDS
        return over or (self._stopped_at is not None and clock - self._stopped_at > STOP_KILL_SECONDS)

    def _terminate(self) -> None:
        if self._child.poll() is None:
            os.kill(self._child.pid, signal.SIGTERM)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the child's process group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _settle(database: Database, claim: Claim, reason: Json, *, stopped: bool) -> None:
    """If the child could not end its attempt itself, end it here. An exit code never means success."""
    try:
        if stopped:
            leases.release(database, claim)
        else:
            leases.abandon(database, claim, reason)
            _log.warning("attempt_died", job=claim.job_id, reason=reason["message"])
    except LeaseLostError:
        return  # the child, its owner or the reaper has settled it


def _tidy(database: Database, settings: WorkerSettings, claim: Claim, directory: Path) -> None:
    """Nothing of an ended job's scratch is needed any more; why it failed goes to the worker's log."""
    with database.read() as session:
        row = session.get(JobRow, claim.job_id)
    if row is not None and row.state not in TERMINAL:
        return
    if row is not None and row.state == "failed":
        _log.warning("job_failed", job=claim.job_id, error=row.error, log=_tail(directory / "child.log", 4000))
    shutil.rmtree(directory.parent, ignore_errors=True)
    if claim.kind == FINE_TUNE:
        with contextlib.suppress(StorageUnavailableError):  # it is in the log, and a sweep removes them later
            storage.opened(settings).drop_files(directory.parent)


def _reason(returncode: int, directory: Path, *, starved: bool) -> Json:
    if starved:
        message = "The kernel killed the job for memory. Retry it with a smaller batch_size, or give the worker more."
        return {"code": "out_of_memory", "message": message, "param": None}
    how = f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
    last = next((line for line in reversed(_tail(directory / "child.log", 2000).splitlines()) if line.strip()), "")
    said = f" ({last.strip()[:300]})" if last else ""
    message = f"The process that ran the job {how}{said}. See the worker's log, then retry."
    return {"code": "crashed", "message": message, "param": None}


def _tail(log: Path, size: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode(errors="replace")
