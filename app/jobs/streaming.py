"""A job's events as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.deps import Services
from models_store import jobs
from models_store.database.tables import EventRow
from models_store.errors import NotFoundError, UnavailableError
from models_store.keys import Caller

_POLL_SECONDS: Final = 0.3
_KEEP_ALIVE_SECONDS: Final = 15.0
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def stream(services: Services, caller: Caller, job_id: str, after: int) -> Response:
    """Events after ``after`` as they come, until the job has ended; 204 where nothing can come any more.

    Raises:
        NotFoundError: ``job_not_found``.
    """
    feed = _Feed(services, caller, job_id, after)
    first, ended = await run_in_threadpool(feed.read)
    if after and ended and not first:
        return Response(status_code=204)
    return StreamingResponse(feed.chunks(first, ended=ended), media_type="text/event-stream", headers=_HEADERS)


class _Feed:
    """Reads on from where the client is."""

    def __init__(self, services: Services, caller: Caller, job_id: str, after: int) -> None:
        self._services, self._caller, self._job_id, self._after = services, caller, job_id, after

    def read(self) -> tuple[Sequence[EventRow], bool]:
        """The next events, and whether these are the last: the state is read first, as its event comes with it."""
        with self._services.database.read() as session:
            state = jobs.get(session, self._job_id, owner=self._caller.sees).state
            rows, more = jobs.events(session, self._job_id, after=self._after)
        self._after = rows[-1].id if rows else self._after
        return rows, state in jobs.TERMINAL and not more

    async def chunks(self, rows: Sequence[EventRow], *, ended: bool) -> AsyncIterator[bytes]:
        """Everything that is sent. It ends at once when the process is being stopped, and the client comes back."""
        yield b"retry: 1000\n\n"
        quiet_since = time.monotonic()
        while True:
            for row in rows:
                yield _encoded(row)
            if ended or self._services.stopping.is_set():
                return
            if rows:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _KEEP_ALIVE_SECONDS:
                quiet_since = time.monotonic()
                yield b": keep-alive\n\n"
            await asyncio.sleep(_POLL_SECONDS)
            try:
                rows, ended = await run_in_threadpool(self.read)
            except UnavailableError:
                rows = ()  # a moment without the database need not end the stream
            except NotFoundError:
                return


def _encoded(row: EventRow) -> bytes:
    data = to_json(row.data, inf_nan_mode="null")  # JSON on one line: nothing in it can end the event early
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.id, row.type.encode(), data)
