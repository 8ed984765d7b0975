"""Wait until nothing that we started computes any more: a process that still imports is no fair neighbour."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final

import psutil

_INTERVAL_SECONDS: Final = 1.0
_IDLE_SHARE: Final = 0.1
"""Of one core, by all processes together: loops that look after leases go on."""


def settle(longest_seconds: float = 60.0, *, besides: int | None = None) -> None:
    """Return once this process's descendants have been idle for a second.

    ``besides`` is a process that is left out with its children: a peer that polls is never idle.

    Raises:
        TimeoutError: they have not come to rest.
    """
    deadline = time.monotonic() + longest_seconds
    before = _processor_seconds(besides)
    while time.monotonic() < deadline:
        time.sleep(_INTERVAL_SECONDS)
        now = _processor_seconds(besides)
        if sum(spent - before.get(pid, 0.0) for pid, spent in now.items()) < _IDLE_SHARE * _INTERVAL_SECONDS:
            return
        before = now
    raise TimeoutError(f"What the bench has started still computes after {longest_seconds:.0f} s.")


def _processor_seconds(besides: int | None) -> dict[int, float]:
    """Processor time by process, of all that live now."""
    spent: dict[int, float] = {}
    for process in _descendants(psutil.Process(), besides):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent[process.pid] = times.user + times.system
    return spent


def _descendants(process: psutil.Process, besides: int | None) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        for child in process.children():
            if child.pid != besides:
                yield child
                yield from _descendants(child, besides)
