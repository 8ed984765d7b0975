"""A process that ``finetuned up`` keeps alive, and that ends with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from finetuned import tether

_MAX_LOG_BYTES: Final = 50 * 2**20
_TAIL_BYTES: Final = 4096
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SETTLED_SECONDS: Final = 60.0
_TETHER: Final = [sys.executable, "-I", "-S", str(Path(tether.__file__).resolve())]


class Child:
    """One process in a group of its own, with its output in a log file.

    Args:
        name: for messages and for the log's name.
        command: what to run.
        environment: all of its environment.
        log_dir: where ``<name>.log`` is.
        pass_fds: open files that it inherits.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        log_dir: Path,
        pass_fds: Collection[int] = (),
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log_dir / f"{name}.log"
        self._pass_fds = pass_fds
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._log_start = 0
        self._deaths = 0
        self._restart_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that was started last."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. The tether binds it to the thread that calls this, which should be the main one."""
        self._rotate()
        self._restart_at = None
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*_TETHER, str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                pass_fds=self._pass_fds,
                process_group=0,
            )

    def tend(self, say: Callable[[str], None]) -> None:
        """Notice a death, and start anew after a pause that grows while deaths come quickly."""
        if self.running:
            return
        now = time.monotonic()
        if self._restart_at is None:
            self._deaths = 1 if now - self._started > _SETTLED_SECONDS else self._deaths + 1
            pause = min(_LONGEST_PAUSE_SECONDS, 0.5 * 2 ** (self._deaths - 1))
            self._restart_at = now + pause
            say(f"{self.obituary()}\nStarting it again in {pause:g} s.")
        elif now >= self._restart_at:
            self.start()

    def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.wait()

    def terminate(self) -> None:
        """Ask it to end; what it started itself is its own to end."""
        if self._process is not None and self.running:
            self._process.terminate()

    def kill(self) -> None:
        """End it and its group at once."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def obituary(self) -> str:
        """How it ended, with the last lines that it wrote."""
        code = self._process.poll() if self._process else None
        how = (
            f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
        )
        lines = [f"    {line}" for line in self.last_lines()]
        return "\n".join([f"{self.name} {how}. Its last lines ({self._log}):", *lines])

    def last_lines(self, count: int = 15) -> list[str]:
        """The end of what this run of it has written."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, self._log.stat().st_size - _TAIL_BYTES))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]

    def _rotate(self) -> None:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > _MAX_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))


def stop_all(children: Collection[Child], grace: float, hurried: Callable[[], bool]) -> None:
    """Ask all of them to end; kill who has not after ``grace`` seconds, or once the user is in a hurry."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + grace
    while any(child.running for child in children) and time.monotonic() < deadline and not hurried():
        time.sleep(0.05)
    for child in children:
        child.kill()
