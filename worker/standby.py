"""``python -m worker.standby PARENT KIND PACE``: import what a kind of job needs before the job comes, then do one job.

Until it is handed a job it touches neither the database nor a GPU: it holds three descriptors and waits on one of them.
:mod:`worker.reserve` keeps one ready and says how the two talk. The imports run in a thread beside, so that a job that
comes in their midst has its lease renewed from the start, as in :mod:`worker.child`.
"""

import contextlib
import ctypes
import importlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from models_store import spans
from worker import child
from worker.parent import die_with_parent
from worker.reserve import BEGUN, FAILED, GENTLE, IMPORTING, READY

IDLE_NAME: Final = "finetuned-idle"
BUSY_NAME: Final = "finetuned-job"
STARTS_THREADS: Final = ("numpy", "scipy.linalg", "openvino")
_PR_SET_NAME: Final = 15
_OOM_SCORE: Final = Path("/proc/self/oom_score_adj")


def main(parent_pid: int, kind: str, pace: str) -> int:
    """Entry point; the exit code is for the log only."""
    die_with_parent(parent_pid)
    _show_as(IDLE_NAME)
    line = socket.socket(fileno=os.dup(0))
    imports = Imports(line, kind, gently=pace == GENTLE)
    with _first_to_go():
        imports.start()
        words, log = _handed_over(line)
    if not words:
        return 1  # the imports failed, or there is no parent any more
    _begin(line, log)
    return child.work(words[0], int(words[1]), "".join(words[2:]), imports.awaited)


class Imports:
    """The thread that imports; ``gently``, it takes only what processor time nobody else wants."""

    def __init__(self, line: socket.socket, kind: str, *, gently: bool) -> None:
        self._line, self._kind, self._gently = line, kind, gently
        self._thread = threading.Thread(target=self._run, name="imports", daemon=True)

    def start(self) -> None:
        """Begin. Libraries that start threads of their own come first: threads inherit the lowered priority."""
        for name in STARTS_THREADS:
            importlib.import_module(name)
        self._thread.start()

    def awaited(self) -> None:
        """Return when everything is there, or has failed: then importing it again tells why."""
        self._thread.join()

    def _run(self) -> None:
        if self._gently and sys.platform.startswith("linux"):  # elsewhere priority is not a thread's own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        with contextlib.suppress(OSError):  # a parent that is gone needs no word
            self._line.sendall(IMPORTING.encode())
            if self._imported():
                self._line.sendall(READY.encode())
            else:
                self._line.sendall(FAILED.encode())
                self._line.shutdown(socket.SHUT_RD)  # which ends the wait for a job

    def _imported(self) -> bool:
        try:
            importlib.import_module(child.RUNNERS[self._kind])
            spans.prepare()
        except BaseException:  # noqa: BLE001 - whatever it is: the job's own child will meet it, too, and tell
            traceback.print_exc()
            return False
        return True


def _handed_over(line: socket.socket) -> tuple[list[str], int]:
    """Wait for the job: id, fence and, where there is one, trace; its log as a descriptor. Nothing, if none comes."""
    message, descriptors, _flags, _sender = socket.recv_fds(line, 1024, 1)
    return message.decode().split(), (descriptors or [-1])[0]


def _begin(line: socket.socket, log: int) -> None:
    """Become the job's own process: its log is what this process says, and nobody is at its input any more."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for target in (1, 2):
        os.dup2(log, target)
    os.close(log)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    _show_as(BUSY_NAME)
    line.sendall(BEGUN.encode())


@contextlib.contextmanager
def _first_to_go() -> Iterator[None]:
    """While it is idle: when the kernel runs out of memory it takes this process, never a job.

    Raises:
        OSError: the score cannot be taken back; such a process must not begin a job.
    """
    before = _OOM_SCORE.read_text() if _OOM_SCORE.exists() else ""
    with contextlib.suppress(OSError):
        _OOM_SCORE.write_text("1000")
    yield
    if before and _OOM_SCORE.read_text() != before:
        _OOM_SCORE.write_text(before)


def _show_as(name: str) -> None:
    """What ``ps`` and ``top`` call this process; at most 15 bytes."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
