"""``/ui/workers``: who works, on what, and what waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request, Response
from sqlalchemy import func, select

from app.deps import CallerDep, Services, ServicesDep
from app.web import live
from app.web.rendering import html, render
from app.web.routing import page_router
from models_store import jobs, keys, workers
from models_store.database.tables import ACTIVE, JobRow, WorkerRow
from models_store.keys import Caller

router = page_router("/ui/workers")
_SHOWN: Final = 20


@dataclass(frozen=True)
class Working:
    """How things stand."""

    workers: Sequence[WorkerRow]
    busy: frozenset[str]
    """Workers that have a job now, whoever's."""
    current: dict[str, str]
    """Which, by worker; for admins."""
    counts: dict[tuple[str, str], int]
    """Jobs that have not ended, by lane and state: the caller's own, an admin's all."""

    def count(self, state: str) -> int:
        """Of both lanes."""
        return sum(count for (_, found), count in self.counts.items() if found == state)


@router.get("")
def page(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """The page."""
    return render(request, "workers/workers.html", nav="workers", **_shown(services, caller))


@router.get("/live")
async def live_page(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Its content, as it changes."""

    def part() -> live.Part:
        return live.Part(html(request, "workers/_workers.html", **_shown(services, caller)))

    return await live.stream(services, part)


def state(services: Services, caller: Caller) -> Working:
    """Workers and queue, as this caller may see them."""
    counts = select(JobRow.lane, JobRow.state, func.count()).where(ACTIVE).group_by(JobRow.lane, JobRow.state)
    if caller.sees is not None:
        counts = counts.where(JobRow.owner == caller.sees)
    with services.database.read() as session:
        current = workers.current_jobs(session)
        return Working(
            workers=workers.live(session),
            busy=frozenset(current),
            current=current if caller.role == keys.ADMIN else {},
            counts={(lane, found): count for lane, found, count in session.execute(counts)},
        )


def _shown(services: Services, caller: Caller) -> dict[str, Any]:
    with services.database.read() as session:
        found = {
            status: jobs.page(session, owner=caller.sees, limit=_SHOWN, status=status)[0]
            for status in ("running", "queued")
        }
    return {"working": state(services, caller), "active": [*found["running"], *found["queued"]]}
