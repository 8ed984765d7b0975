"""Give a target one damaged file after the other, in a confined process: what kills it, or takes long, is a finding."""

import mmap
import os
import signal
import struct
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from models_store.quarantine.confinement import confine
from tests.fuzz.mutating import damaged
from tests.fuzz.targets import TARGETS

SECONDS_EACH: Final = 10
"""Of processor time, far more than any of the files explains."""
_MEMORY: Final = 2 * 2**30
_BATCH: Final = 500
_STATE: Final = struct.Struct("=QdQ")
"""What the child says while it runs: the number of its file, and the slowest so far: its seconds and its number."""


@dataclass
class Finding:
    """A file that does what none may do."""

    target: str
    seed: int
    number: int
    what: str

    @property
    def content(self) -> bytes:
        """The file."""
        target = TARGETS[self.target]
        return damaged(target.seeds, target.words, self.seed, self.number)


@dataclass
class Run:
    """What came of it; ``slowest`` in seconds of processor time, with its number."""

    executions: int = 0
    findings: list[Finding] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)


def run(target: str, seed: int, *, count: int | None = None, seconds: float | None = None) -> Run:
    """So many files, or as many as there are in this time."""
    done = Run()
    until = None if seconds is None else time.monotonic() + seconds
    for start in _batches(count, until):
        size = _BATCH if count is None else min(_BATCH, count - start)
        number = start
        while number < start + size:
            number = _batch(done, target, seed, number, start + size)
    return done


def _batches(count: int | None, until: float | None) -> Iterator[int]:
    start = 0
    while (count is None or start < count) and (until is None or time.monotonic() < until):
        yield start
        start += _BATCH


def _batch(done: Run, target: str, seed: int, first: int, end: int) -> int:
    """Run some in one process; gives the number after the last one that it came to."""
    shared = mmap.mmap(-1, 4096)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(target, seed, range(first, end), shared, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    number, slowest, which = _STATE.unpack_from(shared)
    done.slowest = max(done.slowest, (slowest, which))
    done.executions += number - first + 1
    if status:
        how = f"killed by {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else said
        done.findings.append(Finding(target, seed, number, how))
    return int(number) + 1


def _work(target: str, seed: int, numbers: range, shared: mmap.mmap, answer: int) -> None:
    """In the child: never returns."""
    one = TARGETS[target]
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    confine(more_memory=_MEMORY, file_size=2**28, cpu_seconds=2**20)
    slowest = (0.0, 0)
    try:
        for number in numbers:
            _STATE.pack_into(shared, 0, number, *slowest)
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
            one.run(damaged(one.seeds, one.words, seed, number))
            slowest = max(slowest, (time.process_time() - started, number))
    except BaseException:  # noqa: BLE001 - that is the finding
        os.write(answer, traceback.format_exc()[-3000:].encode())
        os._exit(1)
    os._exit(0)


def kept(finding: Finding, folder: Path) -> Path:
    """Write the file of a finding."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{finding.target}-{finding.seed}-{finding.number}"
    path.write_bytes(finding.content)
    return path
