"""A prediction's turn: as owners share the process, while somebody waits for the answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from app.deps import Services
from app.predictions.predicting import Leaving
from app.predictions.stepping import Steps

T = TypeVar("T")


async def take(request: Request, services: Services, owner: str, work: Callable[[Leaving], Steps[T]]) -> T:
    """Do the work of this owner's request, whose body has been read; it hears when the client leaves.

    Raises:
        ClientDisconnect: the client has left.
    """
    leaving = Leaving(owner)
    watch = asyncio.create_task(_watch(request, leaving))
    try:
        async with services.pool.shares.of(owner):
            return await services.stepping.through(work(leaving))
    except CancelledError as error:
        raise ClientDisconnect from error
    finally:
        watch.cancel()


async def _watch(request: Request, leaving: Leaving) -> None:
    """Say when the client is gone; its body has been read, so that nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    leaving.leave()
