"""``/healthz``, ``/readyz``, ``/metrics``, ``/workers``."""

from typing import Any, Final

from fastapi import APIRouter, Response
from sqlalchemy import select

from app.deps import CallerDep, Page, PageDep, Services, ServicesDep, rfc3339
from app.errors import responses
from app.operating.schemas import Health, Readiness, Worker
from app.queue import broker_answers
from models_store import keys, labels, workers
from models_store.errors import UnavailableError

router = APIRouter(tags=["operating"])
_OPEN: Final = responses(needs_key=False)
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {**_OPEN, 503: {"model": Readiness, "description": "Not ready."}}


@router.get("/healthz", responses=_OPEN)
async def health() -> Health:
    """The process lives."""
    return Health()


@router.get("/readyz", responses=_NOT_READY)
def ready(response: Response, services: ServicesDep) -> Readiness:
    """Database, broker and a live worker: the service can run jobs."""
    checks = {
        **_database_checks(services),
        "broker": broker_answers(services.settings.redis_url),
    }
    return _readiness(response, checks)


@router.get("/readyz/api", responses=_NOT_READY)
def ready_api(response: Response, services: ServicesDep) -> Readiness:
    """Database alone: this process can answer requests. For load balancers."""
    return _readiness(response, {"database": database_answers(services)})


@router.get(
    "/metrics",
    response_class=Response,
    responses={**responses(), 200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
)
def metrics(services: ServicesDep, _caller: CallerDep) -> Response:
    """Numbers for Prometheus."""
    return Response(services.telemetry.render(services.database), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/workers", responses=responses())
def list_workers(query: PageDep, services: ServicesDep, caller: CallerDep) -> Page[Worker]:
    """Workers that were seen in the last half minute; only an admin sees which job each runs."""
    with services.database.read() as session:
        rows = [row for row in workers.live(session) if query.after is None or row.id > query.after]
        jobs = workers.current_jobs(session) if caller.role == keys.ADMIN else {}
    data = [
        Worker(
            id=row.id,
            lane=row.lane,
            device=row.device,
            labels=labels.listed(row.labels),
            draining=row.draining,
            job=jobs.get(row.id),
            started_at=rfc3339(row.started_at),
            seen_at=rfc3339(row.seen_at),
        )
        for row in rows[: query.limit]
    ]
    return Page(data=data, has_more=len(rows) > query.limit)


def database_answers(services: Services) -> bool:
    """Whether this process can answer requests."""
    return _database_checks(services)["database"]


def _database_checks(services: Services) -> dict[str, bool]:
    try:
        with services.database.read() as session:
            session.execute(select(1))
            return {"database": True, "worker": bool(workers.live(session))}
    except UnavailableError:
        return {"database": False, "worker": False}


def _readiness(response: Response, checks: dict[str, bool]) -> Readiness:
    good = all(checks.values())
    response.status_code = 200 if good else 503
    return Readiness.model_validate(
        {
            "status": "ok" if good else "unavailable",
            "checks": {name: "ok" if passed else "failed" for name, passed in checks.items()},
        }
    )
