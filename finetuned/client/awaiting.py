"""Effects carried out in an event loop: the network is awaited, files are read and written in threads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from typing import Any, TypeVar

import httpx

from finetuned.client.bodies import Body
from finetuned.client.connection import Target, request_options
from finetuned.client.effects import Ask, Call, Course, Do, Feed, Item, Op, Open, Read, Sleep

T = TypeVar("T")


class AwaitingSession:
    """A pool of connections that belongs to one event loop."""

    def __init__(self, target: Target) -> None:
        self.service = target.service
        self._http = httpx.AsyncClient(**target.options)

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def run(self, work: Op[T]) -> T:
        """The work's result."""
        course: Course[Any, T] = Course(work)
        async for _ in self._items(course):
            pass
        return course.result

    def each(self, work: Feed[T]) -> AsyncIterator[T]:
        """The work's results, each when it is reached."""
        return self._items(Course(work))

    async def _items(self, course: Course[T, Any]) -> AsyncIterator[T]:
        async with aclosing(_Hands(self._http)) as hands:
            with closing(course):
                while (effect := course.effect) is not None:
                    if isinstance(effect, Item):
                        yield effect.value
                        course.answer(None)
                    else:
                        await self._take(course, effect, hands)

    async def _take(self, course: Course[T, Any], effect: Any, hands: "_Hands") -> None:
        try:
            result = self.service if isinstance(effect, Ask) else await hands.do(effect)
        except httpx.TransportError as error:
            course.fail(error)
        else:
            course.answer(result)


class _Hands:
    """Does what one piece of work asks for, and holds the answer that it has open."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._opened: httpx.Response | None = None
        self._pieces: AsyncIterator[Any] | None = None

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def do(self, effect: Call | Open | Read | Sleep | Do) -> Any:
        match effect:
            case Call():
                return await self._send(effect, stream=False)
            case Open():
                await self.aclose()
                self._opened, self._pieces = await self._send(effect.call, stream=True), None
                if not self._opened.is_success:
                    await self._opened.aread()
                return self._opened
            case Read():
                return await self._next(lines=effect.lines)
            case Sleep():
                return await asyncio.sleep(effect.seconds)
            case Do():
                return await asyncio.to_thread(effect.function)

    async def _send(self, call: Call, *, stream: bool) -> httpx.Response:
        content = _flowing(call.body) if call.body else None
        request = self._http.build_request(call.method, call.route, content=content, **request_options(call))
        return await self._http.send(request, stream=stream)

    async def _next(self, *, lines: bool) -> Any:
        if self._opened is None:
            return None
        if self._pieces is None:
            self._pieces = self._opened.aiter_lines() if lines else self._opened.aiter_bytes()
        return await anext(self._pieces, None)


async def _flowing(body: Body) -> AsyncIterator[bytes]:
    """The loop goes on while a piece is read."""
    sent, pieces = 0, body.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
        sent += len(piece)
        body.told(sent)
    body.told(sent, ended=True)
