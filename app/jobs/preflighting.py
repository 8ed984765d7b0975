"""``POST /jobs/preflight``: a job of an internal kind measures on a worker, and its row is taken back."""

import contextlib
from typing import Final

from starlette.concurrency import run_in_threadpool

from app import waiting
from app.deps import Services
from app.jobs import creating
from app.jobs.schemas import Preflight
from app.quotas import check_active_jobs
from models_store import datasets, decision, jobs, labels, workers
from models_store.database.tables import JobRow
from models_store.errors import ConflictError, FinetunedError, InvalidError
from models_store.keys import Caller
from models_store.spec import JobSpec

_LONGEST: Final = "wait=50"
"""Clients often give up after a minute."""
_NOBODY: Final = "No worker is free, so nothing was measured. Ask again when one is; GET /workers tells."
_SLOW: Final = "It could not be measured within 50 seconds, so the job will take long on this worker."


async def preflight(services: Services, caller: Caller, spec: JobSpec) -> Preflight:
    """Measure where a worker is free, else tell what is known without one.

    Raises:
        FinetunedError: as for a job; ``dataset_not_ready``, or what the job would have failed with.
    """
    settled = await run_in_threadpool(settle, services, caller, spec)
    resolved = JobSpec.model_validate(settled.config)
    if not await run_in_threadpool(_a_worker_is_free, services, resolved):
        return settled.model_copy(update={"note": _NOBODY})
    row = await run_in_threadpool(_ask, services, caller, resolved)
    try:
        ended = await waiting.wait(lambda: _read(services, row.id), _is_over, _LONGEST, services.stopping)
    finally:
        with contextlib.suppress(FinetunedError):  # a sweep forgets it later
            await run_in_threadpool(jobs.withdraw, services.database, row.id)
    if ended.state == "failed":
        error = ended.error or {}
        raise InvalidError(error.get("code", "internal_error"), str(error.get("message")), param=error.get("param"))
    if ended.state != "succeeded":
        return settled.model_copy(update={"note": _SLOW})
    return Preflight.model_validate(ended.result)


def settle(services: Services, caller: Caller, spec: JobSpec) -> Preflight:
    """What rows and names tell: the decision goes by size alone."""
    check_active_jobs(services, caller)
    resolved = creating.resolve(services, caller, spec)
    with services.database.read() as session:
        dataset = datasets.get(session, spec.dataset, owner=caller.sees)
    if dataset.status != "ready":
        message = f"Data set {dataset.id} is still being imported. Wait until it is ready, then ask again."
        raise ConflictError("dataset_not_ready", message, param="dataset")
    known = decision.Known(dataset.splits["train"], len(dataset.classes), None)
    made = decision.decide(resolved, services.settings, known, decision.possible(str(dataset.task)))
    config = resolved.model_dump(mode="json")
    return Preflight.model_validate({"decision": made, "config": config, "measurement": None})


def _a_worker_is_free(services: Services, resolved: JobSpec) -> bool:
    with services.database.read() as session:
        return workers.free(session, jobs.LANES[jobs.PREFLIGHT], labels.needed(resolved.requires)) > 0


def _ask(services: Services, caller: Caller, resolved: JobSpec) -> JobRow:
    config = resolved.model_dump(mode="json")
    new = jobs.NewJob(
        kind=jobs.PREFLIGHT,
        owner=caller.owner,
        name=str(resolved.name),
        dataset_id=resolved.dataset,
        backbone=resolved.backbone,
        request=config,
        config=config,
        requires=labels.needed(resolved.requires),
    )
    row, _ = jobs.create(services.database, new)
    services.bell.ring(row.id, row.lane)
    return row


def _read(services: Services, job_id: str) -> JobRow:
    with services.database.read() as session:
        return session.get_one(JobRow, job_id)


def _is_over(row: JobRow) -> bool:
    return row.state in jobs.TERMINAL
