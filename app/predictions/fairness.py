"""One owner's predictions must not keep out everybody else's, however many there are and however long each takes."""

import threading
from asyncio import CancelledError, Future, get_running_loop
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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


class Shares:
    """Of one owner no more requests are worked on at once than of the busiest other one, while others have any.

    What a request takes beside the engine is shared by the system among all that are worked on, so that who sends most
    would get most. For one event loop.

    Args:
        least: so many of each owner all the same, which an engine can take together.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._working: Counter[str] = Counter()
        self._waiting: dict[str, deque[Future[None]]] = {}

    @asynccontextmanager
    async def of(self, owner: str) -> AsyncIterator[None]:
        """Wait for one of this owner's shares, and have it for as long as the block lasts; first come, first served."""
        await self._turn(owner)
        try:
            yield
        finally:
            self._leave(owner)

    async def _turn(self, owner: str) -> None:
        mine: Future[None] = get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        self._admit()  # perhaps others as well, who may have more now that this owner wants more
        try:
            await mine
        except CancelledError:
            if mine.cancelled():
                self._waiting[owner].remove(mine)
                self._admit()
            else:  # it was given its share at the same moment
                self._leave(owner)
            raise

    def _leave(self, owner: str) -> None:
        self._working[owner] -= 1
        self._admit()

    def _admit(self) -> None:
        for owner, waiting in [*self._waiting.items()]:
            while waiting and self._working[owner] < self._most(owner):
                self._working[owner] += 1
                waiting.popleft().set_result(None)
            if not waiting:
                del self._waiting[owner]
        self._working = +self._working

    def _most(self, owner: str) -> float:
        """Requests of this owner that may be worked on now."""
        wanted = self._working + Counter({one: len(waiting) for one, waiting in self._waiting.items()})
        others = [count for one, count in wanted.items() if one != owner]
        return max(self._least, *others) if others else float("inf")
