"""How a job is answered with: at once, or, where the client prefers to wait, when it has ended."""

from fastapi import Response

from app import waiting
from app.deps import Services
from app.jobs.schemas import Job
from models_store import jobs
from models_store.database.tables import JobRow
from models_store.keys import Caller


async def accepted(services: Services, caller: Caller, row: JobRow, response: Response, prefer: str | None) -> Job:
    """The answer to what has put a job into the queue."""
    response.headers["Location"] = f"/jobs/{row.id}"
    response.headers.update(waiting.applied(prefer))
    return Job.of(await awaited(services, caller, row.id, prefer) if waiting.seconds(prefer) else row)


async def awaited(services: Services, caller: Caller, job_id: str, prefer: str | None) -> JobRow:
    """The job's row, as soon as it has ended or the client has waited enough.

    Raises:
        NotFoundError: ``job_not_found``.
    """

    def read() -> JobRow:
        with services.database.read() as session:
            return jobs.get(session, job_id, owner=caller.sees)

    return await waiting.wait(read, lambda row: row.state in jobs.TERMINAL, prefer, services.stopping)
