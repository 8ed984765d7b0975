"""``/ui/jobs``: the list, and a job with its curves, progress and log."""

from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from app.deps import ActorDep, CallerDep, IdPath, Services, ServicesDep
from app.jobs import creating, endpoints
from app.jobs.schemas import Job, Status
from app.web import live
from app.web.models import showing
from app.web.rendering import html, redirected, render
from app.web.routing import page_router
from models_store import datasets, jobs
from models_store.errors import NotFoundError
from models_store.keys import Caller

router = page_router("/ui/jobs")
_ROWS: Final = 50
_STATES: Final = ("running", "queued", "succeeded", "failed", "cancelled")
After = Annotated[str | None, Query(max_length=300)]
DatasetId = Annotated[str | None, Query(max_length=100)]


@router.get("")
def list_page(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    status: Status | None = None,
    dataset: DatasetId = None,
    after: After = None,
) -> Response:
    """The newest jobs, of one state or of all."""
    return render(request, "jobs/list.html", nav="jobs", **_rows(services, caller, status, dataset, after))


@router.get("/rows")
def more_rows(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    status: Status | None = None,
    dataset: DatasetId = None,
    after: After = None,
) -> Response:
    """The next jobs of the list."""
    return render(request, "jobs/_rows.html", **_rows(services, caller, status, dataset, after))


@router.get("/live")
async def live_rows(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    status: Status | None = None,
    dataset: DatasetId = None,
) -> Response:
    """The beginning of the list, as it changes."""

    def part() -> live.Part:
        return live.Part(html(request, "jobs/_rows.html", **_rows(services, caller, status, dataset, None)))

    return await live.stream(services, part)


@router.get("/{job_id}")
def page(request: Request, job_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """A job."""
    return render(request, "jobs/job.html", nav="jobs", **_shown(services, caller, job_id))


@router.get("/{job_id}/state")
def state(request: Request, job_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """What of the page changes with the job's state."""
    return render(request, "jobs/_changed.html", **_shown(services, caller, job_id))


@router.post("/{job_id}/cancel")
def cancel(request: Request, job_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Response:
    """Cancel it, and show it as it is then."""
    endpoints.cancel_job(job_id, services, caller, actor)
    return state(request, job_id, services, caller)


@router.post("/{job_id}/retry")
def retry(job_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """Start the same again, and go there."""
    row = creating.retry(services, caller, job_id)
    return redirected(f"/ui/jobs/{row.id}")


@router.delete("/{job_id}")
def delete(job_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Response:
    """Delete it, and go back to the list."""
    endpoints.delete_job(job_id, services, caller, actor)
    return redirected("/ui/jobs")


def _rows(
    services: Services, caller: Caller, status: Status | None, dataset: str | None, after: str | None
) -> dict[str, Any]:
    with services.database.read() as session:
        rows, more = jobs.page(session, owner=caller.sees, limit=_ROWS, after=after, status=status, dataset=dataset)
    shown = [Job.of(row, with_report=False) for row in rows]
    chosen = {"status": status, "dataset": dataset}
    query = "&".join(f"{name}={value}" for name, value in chosen.items() if value)
    following = shown[-1].id if more else None
    return {"rows": shown, "following": following, "first": after is None, "states": _STATES, "query": query, **chosen}


def _shown(services: Services, caller: Caller, job_id: str) -> dict[str, Any]:
    with services.database.read() as session:
        row = jobs.get(session, job_id, owner=caller.sees)
        try:
            dataset = datasets.get(session, row.dataset_id, owner=caller.sees, with_problems=False)
        except NotFoundError:
            dataset = None  # deleted meanwhile
    job = Job.of(row)
    report = (row.result or {}).get("report")
    parts = list(showing.parts(services, dataset, report)) if report else []
    began, ended = row.started_at, row.finished_at
    return {
        "job": job,
        "dataset": dataset,
        "ended": job.status in jobs.TERMINAL,
        "seconds": None if began is None or ended is None else ended - began,
        "parts": parts,
    }
