"""How often a key may ask, and an address may guess: token buckets in the memory of this process.

Each process of the service counts for itself; behind a load balancer a key has as many buckets as there are processes.
Called on the event loop alone, so nothing is locked.
"""

import math
import re
import time
from collections.abc import Callable
from typing import Final

from app.settings import AppSettings
from models_store.errors import TooManyError
from models_store.keys import Caller

_MOST: Final = 10_000
"""Buckets that are remembered: about a megabyte."""
_ROUNDING: Final = 1e-6
"""Seconds; sums of times must not cost a token."""
_STARTS: Final = re.compile(
    r"(/ui)?/(datasets|checkpoints|weights|jobs|jobs/preflight|jobs/[^/]+/retry|models/.+/evaluate)/?"
)


class Buckets:
    """A token bucket for each key, kept as the one time at which it will be full again.

    This is the generic cell rate algorithm (ITU-T I.371, annex A). A key that was long unheard of has a full bucket,
    whether it is remembered or not, so memory is bounded: where there are too many, those that are full go, and then
    those that were used least recently.

    Args:
        tokens: the size of a bucket; 0 takes everybody.
        seconds: in which an empty one fills up.
    """

    def __init__(self, tokens: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = seconds / tokens if tokens else 0.0
        self._slack = seconds - self._interval + _ROUNDING
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: str) -> float:
        """Seconds until this key has a token; 0 if it has one."""
        if not self._interval:
            return 0.0
        return max(0.0, self._full_at.get(key, 0.0) - self._clock() - self._slack)

    def take(self, key: str) -> float:
        """Take a token; where there is none, nothing is taken. Gives what :meth:`wait` gave."""
        waiting = self.wait(key)
        if self._interval and not waiting:
            full_at = max(self._full_at.pop(key, 0.0), self._clock()) + self._interval
            self._full_at[key] = full_at  # at the end: the order is that of use
            if len(self._full_at) > _MOST:
                self._forget()
        return waiting

    def _forget(self) -> None:
        """Down to half, so that it is seldom done."""
        clock = self._clock()
        left = [(key, at) for key, at in self._full_at.items() if at > clock]
        self._full_at = dict(left[-_MOST // 2 :])


class Rates:
    """What a key may ask of this process."""

    def __init__(self, settings: AppSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = Buckets(settings.max_requests_per_second, 1.0, clock)
        self._starts = Buckets(settings.max_starts_per_minute, 60.0, clock)

    def check(self, caller: Caller, method: str, path: str) -> None:
        """Count a request of this caller's key.

        Raises:
            TooManyError: ``too_many_requests``.
        """
        waiting = self._requests.take(caller.key)
        if not waiting and method == "POST" and _STARTS.fullmatch(path):
            waiting = self._starts.take(caller.key)
        if waiting:
            raise too_many(waiting, "This key sends more requests than it may.")


def too_many(waiting: float, what: str) -> TooManyError:
    """The error for who has no token for so many seconds."""
    seconds = math.ceil(waiting)
    message = f"{what} Wait {seconds} s, then send them more slowly."
    return TooManyError("too_many_requests", message, retry_after=seconds)
