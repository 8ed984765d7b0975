"""Keeps one process ready that has imported what the lane's jobs need: see :mod:`worker.standby`.

The two talk over a socket pair. The standby says ``importing``, then ``ready`` or ``failed``; the supervisor sends a
job's id, fence and trace together with the descriptor of its log; the standby answers ``begun`` before it does anything
for that job. One that dies before that word has done nothing, and the job starts in a process of its own as if there
had been no standby.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import structlog

from models_store import spans

IMPORTING: Final = "importing\n"
READY: Final = "ready\n"
FAILED: Final = "failed\n"
BEGUN: Final = "begun\n"
GENTLE: Final = "gentle"
ALONE_SECONDS: Final = 30.0
"""So long a job has the machine for itself, if no other one waits. Even imports that give way share caches and memory
with it: on two cores they made a frozen job of 7.4 s take 9.2 s."""
_LOOK_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 300.0
_ROOT: Final = Path(__file__).parent.parent
_log = structlog.get_logger()


class Standby:
    """A process that imports, or has imported, and waits for its one job."""

    def __init__(self, kind: str, pace: str) -> None:
        self._code = _code()
        self._said = ""
        self._line, theirs = socket.socketpair()
        command = [sys.executable, "-m", "worker.standby", str(os.getpid()), kind, pace]
        with theirs:
            self.process = subprocess.Popen(command, stdin=theirs.fileno(), process_group=0)

    def says(self, word: str) -> bool:
        """Whether it has said this so far."""
        with suppress(OSError):  # nothing new, or nobody there any more
            while heard := self._line.recv(64, socket.MSG_DONTWAIT):
                self._said += heard.decode()
        return word in self._said

    def hand_over(self, job_id: str, fence: int, log: int) -> bool:
        """Give it a job, if it lives, runs the code that is installed now, and is not slower than a new process."""
        try:
            if self._code != _code() or not (self.says(READY) or (self.says(IMPORTING) and self.hurry())):
                return False
            socket.send_fds(self._line, [f"{job_id} {fence} {spans.traceparent() or ''}\n".encode()], [log])
        except OSError:
            return False
        return True

    def hurry(self) -> bool:
        """Let gentle imports run at this process's own priority; false where that takes rights that it lacks."""
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        for thread in _threads(self.process.pid):
            try:
                if os.getpriority(os.PRIO_PROCESS, thread) > mine:
                    os.setpriority(os.PRIO_PROCESS, thread, mine)
            except PermissionError:
                return False
            except ProcessLookupError:
                continue  # it has just ended
        return True

    def end(self) -> None:
        """Kill it; what else was in its group goes too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._line.close()


class Reserve:
    """Starts a lane's standby, replaces it when it was used or has died, and hands it out.

    All of them are started by one thread that lasts as long as the process: Linux ends them with the thread that
    started them.
    """

    def __init__(self, kind: str | None, stopping: Event) -> None:
        self._kind, self._stopping = kind, stopping
        self._lock = threading.Condition()
        self._standby: Standby | None = None
        self._announced = False
        self._working = False
        self._closed = False
        self._deaths = 0
        self._due = 0.0

    def open(self) -> None:
        """Begin to keep one; with no kind of job to prepare for, there never is one."""
        if self._kind is not None:
            threading.Thread(target=self._keep, args=[self._kind], name="reserve", daemon=True).start()

    def take(self, job_id: str, fence: int, log: int) -> Standby | None:
        """The standby with the job handed over, or None: start a process of the job's own."""
        with self._lock:
            standby, self._standby = self._standby, None
            self._working, self._due = True, time.monotonic() + ALONE_SECONDS
        if standby is None:
            return None
        if standby.hand_over(job_id, fence, log):
            self._deaths = 0
            return standby
        standby.end()
        return None

    def hasten(self) -> None:
        """Another job waits already: prepare for it beside the one that runs."""
        with self._lock:
            self._hasten()

    def rest(self) -> None:
        """The job has ended: imports need not be gentle any more."""
        with self._lock:
            self._working = False
            self._hasten()
            if self._standby is not None:
                self._standby.hurry()

    def close(self) -> None:
        """End the standby, for good."""
        with self._lock:
            self._closed = True
            standby, self._standby = self._standby, None
        if standby is not None:
            standby.end()

    def _hasten(self) -> None:
        self._due = min(self._due, time.monotonic())
        self._lock.notify()

    def _keep(self, kind: str) -> None:
        while not self._closed:
            with self._lock:
                self._look(kind)
                self._lock.wait(_LOOK_SECONDS)

    def _look(self, kind: str) -> None:
        if self._standby is not None and self._standby.process.poll() is not None:
            self._bury(self._standby)
        elif self._standby is not None and not self._announced and self._standby.says(READY):
            self._announced = True
            _log.info("standby_ready", pid=self._standby.process.pid)
        elif self._standby is None and time.monotonic() >= self._due and not (self._closed or self._stopping.is_set()):
            self._start(kind)

    def _start(self, kind: str) -> None:
        try:
            self._standby = Standby(kind, GENTLE if self._working else "")
            self._announced = False
        except OSError as error:  # no memory, no descriptors: jobs go on without
            self._postpone(str(error))

    def _bury(self, standby: Standby) -> None:
        self._standby = None
        how = "its imports failed" if standby.says(FAILED) else f"it ended with {standby.process.returncode}"
        standby.end()
        self._postpone(how)

    def _postpone(self, reason: str) -> None:
        self._due = time.monotonic() + min(2.0**self._deaths, _LONGEST_PAUSE_SECONDS)
        self._deaths += 1
        _log.warning("standby_died", reason=reason)


def _threads(pid: int) -> Iterator[int]:
    """The ids of a process's threads; nothing where there is no ``/proc``."""
    with suppress(FileNotFoundError):
        yield from (int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())


def _code() -> int:
    """Changes when this project's files do, or what is installed: a standby that has imported the old must not run."""
    places = [Path(entry) for entry in sys.path]
    places += [file for room in ("worker", "models_store") for file in (_ROOT / room).rglob("*.py")]
    return hash(tuple((place, place.stat().st_mtime_ns) for place in places if place.exists()))
