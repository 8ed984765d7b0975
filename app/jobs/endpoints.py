"""``/jobs``."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from app import waiting
from app.deps import ActorDep, CallerDep, IdempotencyKey, IdPath, Page, PreferHeader, Services, ServicesDep
from app.errors import responses
from app.jobs import answering, creating, evaluating, preflighting, streaming
from app.jobs.schemas import Event, EventsQuery, Job, JobsQuery, Metrics, Preflight
from app.reports import Report
from models_store import jobs
from models_store.keys import Caller
from models_store.spec import JobSpec

router = APIRouter(prefix="/jobs", tags=["jobs"])
_EVENT_STREAM = {"text/event-stream": {"schema": {"type": "string"}, "example": "id: 7\nevent: status\ndata: {}\n\n"}}


@router.post("", status_code=202, responses=responses(403, 404, 409, 429))
async def create_job(
    spec: JobSpec,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
    prefer: PreferHeader = None,
) -> Job:
    """Fine-tune a backbone on a data set. One that is still being imported is accepted: the job waits for it."""
    row = await run_in_threadpool(creating.create, services, caller, spec, idempotency_key)
    return await answering.accepted(services, caller, row, response, prefer)


@router.post("/preflight", responses=responses(404, 409, 429))
async def preflight(spec: JobSpec, services: ServicesDep, caller: CallerDep) -> Preflight:
    """What this job would do and take: nothing is trained. Measured within 50 seconds, where a worker is free."""
    return await preflighting.preflight(services, caller, spec)


@router.get("", responses=responses())
def list_jobs(query: Annotated[JobsQuery, Query()], services: ServicesDep, caller: CallerDep) -> Page[Job]:
    """Your jobs, newest first; without their reports, which can be long."""
    with services.database.read() as session:
        rows, more = jobs.page(session, owner=caller.sees, **query.model_dump())
    return Page(data=[Job.of(row, with_report=False) for row in rows], has_more=more)


@router.get("/{job_id}", responses=responses(404))
async def read_job(
    job_id: IdPath, response: Response, services: ServicesDep, caller: CallerDep, prefer: PreferHeader = None
) -> Job:
    """One job, with its decision, progress, metrics and, in the end, its model or its error."""
    response.headers.update(waiting.applied(prefer))
    return Job.of(await answering.awaited(services, caller, job_id, prefer))


@router.delete("/{job_id}", status_code=204, responses=responses(404, 409))
def delete_job(job_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> None:
    """Delete an ended job with its events, metrics, log and TensorBoard files. Its model stays."""
    store_dir = services.settings.store_dir
    jobs.delete(services.database, store_dir, job_id, owner=caller.sees, by=actor, storage=services.storage)
    services.database.scrub()


@router.post("/{job_id}/cancel", status_code=202, responses=responses(404, 409))
def cancel_job(job_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Job:
    """Cancel: a queued job at once, a running one within five seconds."""
    return Job.of(jobs.cancel(services.database, job_id, owner=caller.sees, by=actor))


@router.post("/{job_id}/retry", status_code=202, responses=responses(403, 404, 409, 429))
async def retry_job(
    job_id: IdPath, response: Response, services: ServicesDep, caller: CallerDep, prefer: PreferHeader = None
) -> Job:
    """A new job with the same request."""
    row = await run_in_threadpool(creating.retry, services, caller, job_id)
    return await answering.accepted(services, caller, row, response, prefer)


@router.get("/{job_id}/metrics", responses=responses(404))
def read_metrics(job_id: IdPath, services: ServicesDep, caller: CallerDep) -> Metrics:
    """The metrics of every finished epoch."""
    with services.database.read() as session:
        jobs.get(session, job_id, owner=caller.sees)
        return Metrics(epochs=list(jobs.epochs(session, job_id)))


@router.get("/{job_id}/report", responses=responses(404), response_model=Report)
def read_job_report(job_id: IdPath, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """What an evaluation found."""
    return evaluating.report(services, caller, job_id)


@router.get(
    "/{job_id}/events",
    response_model=Page[Event],
    responses={
        **responses(404),
        200: {"description": "Events, as a list or as a stream.", "content": _EVENT_STREAM},
        204: {"description": "The job has ended, and you have its last event."},
    },
)
async def read_events(
    job_id: IdPath,
    query: Annotated[EventsQuery, Query()],
    services: ServicesDep,
    caller: CallerDep,
    accept: Annotated[str, Header(max_length=4096, description="`text/event-stream` for a stream.")] = "*/*",
    last_event_id: Annotated[str | None, Header(max_length=100, description="Where a stream goes on.")] = None,
) -> Response | Page[Event]:
    """What happened to a job, oldest first; as a stream, also what happens next, until it ends."""
    if "text/event-stream" in accept.lower():
        return await streaming.stream(services, caller, job_id, _event_id(last_event_id) or query.after)
    return await run_in_threadpool(_events, services, caller, job_id, query)


def _events(services: Services, caller: Caller, job_id: str, query: EventsQuery) -> Page[Event]:
    with services.database.read() as session:
        jobs.get(session, job_id, owner=caller.sees)
        rows, more = jobs.events(session, job_id, after=query.after, limit=query.limit)
    return Page(data=[Event.of(row) for row in rows], has_more=more)


def _event_id(header: str | None) -> int:
    """An id that we did not give means: from the start."""
    return int(header) if header is not None and re.fullmatch(r"[0-9]{1,18}", header) else 0
