"""Waiting for an end, however long it takes; an API that is restarted meanwhile is waited for."""

import time
from collections.abc import Callable
from typing import Final

from finetuned.client.effects import Ask, Call, Op, Service, Sleep
from finetuned.client.errors import Json
from finetuned.client.requests import read

_WATCH_SECONDS: Final = 1


def wait(
    route: str, pending: set[str], on_update: Callable[[Json], None] | None = None, seconds: float | None = None
) -> Op[Json]:
    """Ask until the status is none of ``pending``.

    Raises:
        TimeoutError: it is still, after ``seconds``.
    """
    service: Service = yield Ask()
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        hold = _WATCH_SECONDS if on_update else service.hold_seconds
        if deadline is not None:
            hold = max(0, min(hold, round(deadline - asked)))
        found = yield from read(Call("GET", route, headers={"Prefer": f"wait={hold}"}, repeatable=True))
        if on_update is not None:
            on_update(found)
        if found["status"] not in pending:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"{found['id']} is {found['status']} after {seconds:g} s. It goes on; wait again.")
        # A proxy may drop the Prefer header: then the answer comes at once, and we must not ask without pause.
        pause = _WATCH_SECONDS / 2 - (time.monotonic() - asked)
        if pause > 0:
            yield Sleep(pause)
