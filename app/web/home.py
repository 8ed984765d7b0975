"""The start page: what to do first, and, once there is something, how things stand."""

from typing import Any, Final

from fastapi import Request, Response

from app.deps import CallerDep, Services, ServicesDep
from app.jobs.schemas import Job
from app.web import live, working
from app.web.rendering import html, render
from app.web.routing import page_router
from models_store import datasets, jobs, registry
from models_store.keys import Caller

router = page_router()
_SHOWN: Final = 5


@router.get("/")
def home(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """The page."""
    return render(request, "home.html", nav="home", **_shown(services, caller))


@router.get("/ui/home/live")
async def live_home(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Its content, as it changes."""

    def part() -> live.Part:
        return live.Part(html(request, "_home.html", **_shown(services, caller)))

    return await live.stream(services, part)


def _shown(services: Services, caller: Caller) -> dict[str, Any]:
    with services.database.read() as session:
        found_datasets, _ = datasets.page(session, owner=caller.sees, limit=_SHOWN)
        found_jobs, _ = jobs.page(session, owner=caller.sees, limit=_SHOWN)
        found_models, _ = registry.page(session, owner=caller.sees, limit=_SHOWN)
    return {
        "datasets": found_datasets,
        "jobs": [Job.of(row, with_report=False) for row in found_jobs],
        "models": found_models,
        "working": working.state(services, caller),
    }
