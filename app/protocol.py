"""HTTP/1.1 as uvicorn reads it, with bounds that it has not: on a request's head, and on how long one may take to come.

Without them one client without a key fills the memory with a header that has no end, or every place for a connection
with heads that never come whole (Slowloris). What holds for bodies is in :mod:`app.guard`.
"""

import asyncio
import uuid
from functools import cached_property
from http import HTTPStatus
from typing import ClassVar

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import errors
from app.headers import secured

_BETWEEN = 4
"""Bytes that part a header's name from its value, and one header from the next."""
_UNWANTED_BYTES = 32 * 2**20


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Heads are request lines and headers; what comes behind a chunked body counts as well."""

    head_bytes: ClassVar[int]
    head_seconds: ClassVar[float]

    _head = 0
    """Bytes of the current request's headers, as far as they are complete."""
    _unread = 0
    """Bytes that came since the parser last told of something whole: a head, or a piece of a body."""
    _unwanted = 0
    """Bytes of a body that came when its request had been answered."""
    _too_large = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """A first head is due."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse what has come for too long without making sense."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > self.head_bytes:
            self._refuse_head()
        elif self._idle and self.timeout_keep_alive_task is None:
            self._expect_head()
        else:
            self._expect_nothing()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = self._unwanted = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is complete."""
        self._count(len(name) + len(value) + _BETWEEN)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._count(len(self.url))
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece came. What comes after the answer is only counted: closing at once could undo the answer."""
        self._unread = 0
        self._unwanted += len(body) if self._idle else 0
        if self._unwanted > _UNWANTED_BYTES:
            self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come whole."""
        self._unread = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words, always the same
        """Answer what is no HTTP."""
        if self._too_large:
            self._refuse_head()
            return
        detail = "This is no HTTP/1.1 request. Send it with a common HTTP client."
        self._end(errors.problem(400, "malformed_request", detail, request_id=self._id))

    def _count(self, more: int) -> None:
        self._head += more
        if self._head > self.head_bytes:
            self._too_large = True
            raise ValueError("the parser stops at this, and data_received answers")

    @cached_property
    def _id(self) -> str:
        """For the answer to what is no request; there is at most one on a connection."""
        return uuid.uuid4().hex

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._unread:
            detail = "The request's headers came too slowly. Send them at once."
            self._end(errors.problem(408, "head_too_slow", detail, request_id=self._id))
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        detail = f"Address and headers have more than {self.head_bytes:,} bytes. Send fewer, or put it into the body."
        self._end(errors.problem(431, "head_too_large", detail, request_id=self._id))

    def _end(self, answer: Response) -> None:
        """Close the connection, with an answer where no other is on its way; there is no request that could have it."""
        if not self.transport.is_closing() and (self._idle or not self.cycle.response_started):
            self.transport.write(_written(answer, self._id))
        self.transport.close()


def _written(answer: Response, request_id: str) -> bytes:
    """The answer as HTTP/1.1 has it."""
    headers = secured([*answer.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")])
    status = f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()
    return b"\r\n".join([status, *(b"%s: %s" % header for header in headers), b"", bytes(answer.body)])


def bounded(head_bytes: int, head_seconds: float) -> type[BoundedProtocol]:
    """The protocol with these bounds, for ``uvicorn.Config(http=…)``."""
    return type("BoundedProtocol", (BoundedProtocol,), {"head_bytes": head_bytes, "head_seconds": head_seconds})
