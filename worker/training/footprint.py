"""How much memory there is on this machine, and how much some work takes at its peak."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from worker.memory import events_file

_STATM: Final = Path("/proc/self/statm")
_MEMINFO: Final = Path("/proc/meminfo")
_PAGE: Final = 4096
_LOOK_SECONDS: Final = 0.001


class Peak:
    """The highest resident memory of this process inside the ``with`` block, in bytes; None where it cannot be read.

    A thread looks every millisecond, as the kernel's own high-water mark goes back to the start of the process.
    """

    def __init__(self, read: Callable[[], int | None] | None = None) -> None:
        self._read = read or resident
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, name="peak", daemon=True)
        self.bytes: int | None = None

    def __enter__(self) -> Self:
        self.bytes = self._read()
        self._watch.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()
        self._note()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self._note()

    def _note(self) -> None:
        now = self._read()
        if now is not None and self.bytes is not None:
            self.bytes = max(self.bytes, now)


def resident() -> int | None:
    """Bytes of memory that this process holds; None on systems that do not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def available() -> int | None:
    """Bytes that may still be taken: what the machine has free, or the cgroup (version 2) allows if that is less."""
    amounts = [amount for amount in (_free(), allowed(events_file().parent)) if amount is not None]
    return min(amounts) if amounts else None


def _free() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def allowed(cgroup: Path) -> int | None:
    """Bytes that a cgroup may still take; None where it has no limit."""
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no such cgroup, or "max": no limit
        return None
