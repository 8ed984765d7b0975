"""``/ui/jobs/new``: data set, backbone, start; with what would be done, and how long it would take, before."""

import asyncio
from typing import Annotated, Final

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app.deps import CallerDep, Services, ServicesDep
from app.jobs import creating, preflighting
from app.jobs.schemas import Preflight
from app.operating.backbones import BackbonesQuery, list_backbones
from app.operating.schemas import BackboneInfo
from app.web.jobs import asked
from app.web.rendering import redirected, render
from app.web.routing import page_router
from models_store import datasets
from models_store.database.tables import DatasetRow
from models_store.errors import FinetunedError
from models_store.keys import Caller
from models_store.spec import JobSpec, Training

router = page_router("/ui/jobs/new")
_DATASETS: Final = 12
_OTHERS: Final = 20
_LOOK_SECONDS: Final = 0.5
Chosen = Annotated[str | None, Query(max_length=300)]


@router.get("")
def page(
    request: Request, services: ServicesDep, caller: CallerDep, dataset: Chosen = None, backbone: Chosen = None
) -> Response:
    """The form."""
    rows = _datasets(services, caller, dataset)
    chosen = dataset or (rows[0].id if rows else None)
    return render(
        request, "jobs/new.html", nav="jobs", datasets=rows, chosen=chosen, backbone=backbone, defaults=Training()
    )


@router.get("/backbones")
def backbones(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset: Chosen = None,
    backbone: Chosen = None,
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What a job on this data set can start from, that which is here first."""
    task = _task(services, caller, dataset)
    here = _found(services, caller, task, search, available=True)
    others = _found(services, caller, task, search, available=False)[:_OTHERS] if search else []
    named = {info.backbone for info in (*here, *others)}
    typed = search.strip() if "/" in search and search.strip() not in named else None
    return render(
        request, "jobs/_backbones.html", here=here, others=others, typed=typed, backbone=backbone, search=search
    )


@router.post("/preflight")
async def preflight(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """What is known without a worker: the decision by sizes."""
    spec = asked.spec(await request.form())
    try:
        settled = await run_in_threadpool(preflighting.settle, services, caller, spec)
    except FinetunedError as error:
        return render(request, "jobs/_refused.html", error=error)
    return render(request, "jobs/_preflight.html", preflight=settled, measured=False)


@router.post("/measure")
async def measure(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """What real steps on a free worker tell."""
    spec = asked.spec(await request.form())
    try:
        found = await _while_wanted(request, services, caller, spec)
    except FinetunedError as error:
        return render(request, "jobs/_refused.html", error=error)
    return render(request, "jobs/_preflight.html", preflight=found, measured=True)


@router.post("")
async def start(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Put the job into the queue, and go to its page."""
    spec = asked.spec(await request.form())
    row = await run_in_threadpool(creating.create, services, caller, spec)
    return redirected(f"/ui/jobs/{row.id}")


async def _while_wanted(request: Request, services: Services, caller: Caller, spec: JobSpec) -> Preflight:
    """Measure as long as somebody waits for it: the job that is started meanwhile needs the worker.

    Raises:
        ClientDisconnect: nobody does any more.
        FinetunedError: as :func:`app.jobs.preflighting.preflight` does.
    """
    measuring = asyncio.create_task(preflighting.preflight(services, caller, spec))
    while not measuring.done() and not await request.is_disconnected():
        await asyncio.wait({measuring}, timeout=_LOOK_SECONDS)
    if not measuring.done():
        measuring.cancel()
        await asyncio.wait({measuring})
    if measuring.cancelled():
        raise ClientDisconnect
    return measuring.result()


def _datasets(services: Services, caller: Caller, wanted: str | None) -> list[DatasetRow]:
    """The newest, and the one that is asked for."""
    with services.database.read() as session:
        rows, _ = datasets.page(session, owner=caller.sees, limit=_DATASETS)
        usable = [row for row in rows if row.status != "failed"]
        if wanted is not None and wanted not in {row.id for row in usable}:
            usable.insert(0, datasets.get(session, wanted, owner=caller.sees, with_problems=False))
    return usable


def _task(services: Services, caller: Caller, dataset: str | None) -> str | None:
    if dataset is None:
        return None
    with services.database.read() as session:
        return datasets.get(session, dataset, owner=caller.sees, with_problems=False).task


def _found(services: Services, caller: Caller, task: str | None, search: str, *, available: bool) -> list[BackboneInfo]:
    query = BackbonesQuery(limit=100, search=search.strip() or None, available=available)
    listed = list_backbones(query, services, caller).data
    return [info for info in listed if task is None or info.task in {None, task}]
