"""Predictions in steps: in a thread as long as something is done, and in none while an engine is waited for.

To wake a thread costs more than what most steps do, and sixteen that want the interpreter's lock get in each other's
way (``docs/performance.md``). So short steps share a few threads, one after the other.
"""

import asyncio
import contextlib
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from anyio import CapacityLimiter, to_thread

from app.predictions.tickets import Ticket, stopping

T = TypeVar("T")
LONG: Final = None
"""Said before a step that may take more than some milliseconds: it, and those behind it, get a thread of their own."""
Steps: TypeAlias = Generator[Ticket | None, None, T]
"""Stops at each ticket, to go on when that is done, and at :data:`LONG`; returns what was to be made."""
_PATIENCE: Final = 0.1
"""Seconds; if the few have not come to a step by then, something holds them up: a database, say."""


@dataclass(frozen=True)
class _Made(Generic[T]):
    value: T


@dataclass(frozen=True)
class _Failed:
    """Futures of a loop change some errors on their way: a client that has left would become a task that is to end."""

    error: Exception


_Found: TypeAlias = _Made[T] | _Failed | Ticket | None


class Stepping:
    """Goes through steps; for one event loop.

    Args:
        few: threads that short steps share.
        most: threads at once for all others.
    """

    def __init__(self, few: int, most: int) -> None:
        self._few = ThreadPoolExecutor(few, thread_name_prefix="requests")
        self._most = CapacityLimiter(most)
        self._held_up = self._stopped = False

    async def through(self, steps: Steps[T]) -> T:
        """What the steps make.

        Raises:
            CancelledError: (of ``concurrent.futures``) a step found that the client has left.
            UnavailableError: ``stopping``.
            Exception: what a step raises.
        """
        long = False
        try:
            while True:
                found = await (self._alone(steps) if long else self._among_few(steps))
                if isinstance(found, _Made):
                    return found.value
                if isinstance(found, _Failed):
                    raise found.error
                if found is LONG:
                    long = True
                else:
                    await _ended(found)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # threads' frames know the error, and these what was asked
            raise
        finally:
            with contextlib.suppress(ValueError):  # where a step runs still, it closes when that has ended
                steps.close()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopped = True
        self._few.shutdown(wait=False)

    async def _among_few(self, steps: Steps[T]) -> _Found[T]:
        if self._stopped:
            raise stopping()
        if self._held_up:
            return await self._alone(steps)
        coming = self._few.submit(copy_context().run, _next, steps)
        found = asyncio.wrap_future(coming)
        await asyncio.wait([found], timeout=_PATIENCE)
        if not found.done() and coming.cancel():
            self._wait_for_few()
            return await self._alone(steps)
        return await found

    def _wait_for_few(self) -> None:
        """Ask nothing more of them until they have come to this."""
        self._held_up = True
        with contextlib.suppress(RuntimeError):  # they take nothing more
            self._few.submit(int).add_done_callback(lambda _done: setattr(self, "_held_up", False))

    async def _alone(self, steps: Steps[T]) -> _Found[T]:
        return await to_thread.run_sync(_next, steps, limiter=self._most)


def _next(steps: Steps[T]) -> _Found[T]:
    try:
        return next(steps)
    except StopIteration as end:
        return _Made(end.value)
    except Exception as error:  # noqa: BLE001 - it is raised where the request is answered
        return _Failed(error)


async def _ended(ticket: Ticket) -> None:
    """Wait until a ticket's outcome is known."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    ticket.then(lambda: loop.call_soon_threadsafe(ended.set))
    await ended.wait()
