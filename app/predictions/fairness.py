"""One owner's predictions must not keep out everybody else's, however many there are and however long each takes."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from models_store.errors import UnavailableError

_OVERLOADED = "Too many predictions wait already. Send it again after the time in Retry-After."


class Places:
    """So many requests may be answered or wait at once; of one owner, three quarters of them."""

    def __init__(self, most: int) -> None:
        self._most, self._each = most, most - most // 4
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    @contextmanager
    def of(self, owner: str) -> Iterator[None]:
        """One of the places, for as long as the block lasts.

        Raises:
            UnavailableError: ``overloaded``, there is none for this owner.
        """
        with self._lock:
            if self._held.total() >= self._most or self._held[owner] >= self._each:
                raise UnavailableError("overloaded", _OVERLOADED)
            self._held[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[owner] -= 1
                if not self._held[owner]:
                    del self._held[owner]


@dataclass
class _Gate:
    """Lets so many threads of one owner through at once."""

    semaphore: threading.Semaphore
    threads: int = 0
    """That are within or wait."""


@dataclass
class Turns:
    """So many at once of each owner: who waits for nobody else's is given its share by the system's scheduler."""

    each: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _gates: dict[str, _Gate] = field(default_factory=dict)

    @contextmanager
    def of(self, owner: str) -> Iterator[None]:
        """Wait for a turn, and have it for as long as the block lasts."""
        with self._lock:
            gate = self._gates.setdefault(owner, _Gate(threading.Semaphore(self.each)))
            gate.threads += 1
        try:
            with gate.semaphore:
                yield
        finally:
            with self._lock:
                gate.threads -= 1
                if not gate.threads:
                    del self._gates[owner]
