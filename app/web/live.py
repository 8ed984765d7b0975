"""Parts of a page that the server sends again when they have changed, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.deps import Services
from models_store.errors import NotFoundError, UnavailableError

_POLL_SECONDS: Final = 1.0
_LONGEST: Final = 300
"""Looks; then the browser asks again, and whether it is still signed in is checked."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Part:
    """A part as it is now."""

    html: str
    say: str = ""
    """For those who hear the page; empty where the change need not be told."""
    over: bool = False
    """It will not change any more."""


async def stream(services: Services, render: Callable[[], Part]) -> Response:
    """Send a part now, and again whenever ``render`` gives another one.

    Raises:
        FinetunedError: what ``render`` raises at first.
    """
    first = await run_in_threadpool(render)
    return StreamingResponse(_chunks(services, render, first), media_type="text/event-stream", headers=_HEADERS)


async def _chunks(services: Services, render: Callable[[], Part], first: Part) -> AsyncIterator[bytes]:
    part, sent = first, None
    yield b"retry: 1000\n\n"
    for _ in range(_LONGEST):
        if part != sent:
            yield _encoded(part)
            sent = part
        if part.over or services.stopping.is_set():
            return
        await asyncio.sleep(_POLL_SECONDS)
        try:
            part = await run_in_threadpool(render)
        except UnavailableError:
            continue  # a moment without the database need not end the stream
        except NotFoundError:
            return


def _encoded(part: Part) -> bytes:
    return b"event: html\ndata: %s\n\n" % to_json({"html": part.html, "say": part.say, "over": part.over})
