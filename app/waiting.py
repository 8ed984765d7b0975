"""``Prefer: wait=N`` (RFC 7240): hold an answer until the work is over, without holding a thread."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from starlette.concurrency import run_in_threadpool

MAX_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.25
_WAIT: Final = re.compile(r"""(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])""", re.IGNORECASE)
T = TypeVar("T")


def seconds(prefer: str | None) -> float:
    """How long the client wants to wait at most; 0 where it does not say so, or not in a form that is known."""
    found = _WAIT.search(prefer or "")
    return min(float(found.group(1)), MAX_SECONDS) if found else 0.0


async def wait(read: Callable[[], T], over: Callable[[T], bool], prefer: str | None, stopping: threading.Event) -> T:
    """Read until what is read is over, the time is up, or the process is being stopped; give what was read last."""
    deadline = time.monotonic() + seconds(prefer)
    while True:
        value = await run_in_threadpool(read)
        if over(value) or stopping.is_set() or time.monotonic() >= deadline:
            return value
        await asyncio.sleep(_POLL_SECONDS)


def applied(prefer: str | None) -> dict[str, str]:
    """The header that says that the preference was understood."""
    asked = seconds(prefer)
    return {"Preference-Applied": f"wait={asked:.0f}"} if asked else {}
