"""Effects carried out one after the other, blocking."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, TypeVar

import httpx

from finetuned.client.bodies import Body
from finetuned.client.connection import Target, request_options
from finetuned.client.effects import Ask, Call, Course, Do, Feed, Item, Op, Open, Read, Sleep

T = TypeVar("T")


class BlockingSession:
    """A pool of connections, used by one call at a time in each thread."""

    def __init__(self, target: Target) -> None:
        self.service = target.service
        self._http = httpx.Client(**target.options)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def run(self, work: Op[T]) -> T:
        """The work's result."""
        course: Course[Any, T] = Course(work)
        for _ in self._items(course):
            pass
        return course.result

    def each(self, work: Feed[T]) -> Iterator[T]:
        """The work's results, each when it is reached."""
        return self._items(Course(work))

    def _items(self, course: Course[T, Any]) -> Iterator[T]:
        with closing(course), closing(_Hands(self._http)) as hands:
            while (effect := course.effect) is not None:
                if isinstance(effect, Item):
                    yield effect.value
                    course.answer(None)
                    continue
                try:
                    result = self.service if isinstance(effect, Ask) else hands.do(effect)
                except httpx.TransportError as error:
                    course.fail(error)
                else:
                    course.answer(result)


class _Hands:
    """Does what one piece of work asks for, and holds the answer that it has open."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._opened: httpx.Response | None = None
        self._pieces: Iterator[Any] | None = None

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def do(self, effect: Call | Open | Read | Sleep | Do) -> Any:
        match effect:
            case Call():
                return self._send(effect, stream=False)
            case Open():
                self.close()
                self._opened, self._pieces = self._send(effect.call, stream=True), None
                if not self._opened.is_success:
                    self._opened.read()
                return self._opened
            case Read():
                return self._next(lines=effect.lines)
            case Sleep():
                return time.sleep(effect.seconds)
            case Do():
                return effect.function()

    def _send(self, call: Call, *, stream: bool) -> httpx.Response:
        content = _flowing(call.body) if call.body else None
        request = self._http.build_request(call.method, call.route, content=content, **request_options(call))
        return self._http.send(request, stream=stream)

    def _next(self, *, lines: bool) -> Any:
        if self._pieces is None and self._opened is not None:
            self._pieces = self._opened.iter_lines() if lines else self._opened.iter_bytes()
        return next(self._pieces or iter(()), None)


def _flowing(body: Body) -> Iterator[bytes]:
    sent = 0
    for piece in body.pieces():
        yield piece
        sent += len(piece)
        body.told(sent)
    body.told(sent, ended=True)
