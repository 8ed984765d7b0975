"""One ``finetuned up`` a data folder."""

import fcntl
import json
import os
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from finetuned.failure import UpError

_NAME: Final = "up.lock"


class DataDirLock:
    """Holds a data folder for this process; the kernel lets go of it however the process ends.

    Raises:
        UpError: another process holds it.
    """

    def __init__(self, data_dir: Path, url: str) -> None:
        self._data_dir = data_dir
        self._holder = {"pid": os.getpid(), "host": socket.gethostname(), "url": url}
        self.left_behind = False
        """Whether the last holder was killed, so that its children may just be ending."""

    def __enter__(self) -> Self:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = (self._data_dir / _NAME).open("a+")
        if not _try(self._file.fileno()):
            self._file.close()
            raise UpError(f"finetuned already runs on {self._data_dir}: {_described(holder(self._data_dir))}.")
        self.left_behind = self._file.tell() > 0
        self._write(json.dumps(self._holder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("")
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()


def holder(data_dir: Path) -> dict[str, str | int] | None:
    """Who holds the folder: pid, host and url; ``None`` if nobody does."""
    try:
        with (data_dir / _NAME).open() as file:
            if _try(file.fileno()):
                return None
            found: dict[str, str | int] = json.loads(file.read() or "{}")
    except FileNotFoundError:
        return None
    return found


def stop_holder(data_dir: Path, timeout: float) -> int:
    """Ask the process that holds the folder to stop, wait until it has, and give its pid.

    Raises:
        UpError: nobody holds it, it runs on another machine, or it does not stop in time.
    """
    found = holder(data_dir)
    if found is None:
        raise UpError(f"Nothing runs on {data_dir}. Is it the right --data-dir?")
    if found.get("host") != socket.gethostname():
        raise UpError(f"finetuned on {data_dir} is {_described(found)}. Stop it there.")
    pid = int(found["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while holder(data_dir) is not None:
        if time.monotonic() > deadline:
            raise UpError(f"Process {pid} did not stop within {timeout:.0f} s. See {data_dir / 'logs'}.")
        time.sleep(0.1)
    return pid


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _described(found: dict[str, str | int] | None) -> str:
    if not found:
        return "a process that is just starting or stopping"
    return f"process {found['pid']} on {found['host']}, {found['url']}"
