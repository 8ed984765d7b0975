"""Jobs in the queue that no live worker can run: their owners are told once, instead of being left to wait."""

from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models_store import jobs, sharing, workers
from models_store.database.engine import Database
from models_store.database.tables import UNTOLD, JobRow
from models_store.labels import listed, meets

LANES: Final = tuple(sorted(set(jobs.LANES.values())))
_AT_ONCE: Final = 100


def tell(database: Database) -> None:
    """Say it in the progress and the events of every such job; a later round goes on where there are very many."""
    with database.read() as session:
        found = [(lane, need) for lane in LANES for need in _unmet(session, lane)]
    for lane, need in found:
        with database.write() as session:
            _tell(session, lane, need)


def _unmet(session: Session, lane: str) -> list[str]:
    """Needs of queued jobs that no live worker of the lane meets."""
    asked = [need for need in sharing.needs(session, lane) if need]
    offers = workers.offers(session, lane) if asked else []
    return [need for need in asked if not any(meets(labels, need) for labels in offers)]


def _tell(session: Session, lane: str, need: str) -> None:
    query = select(JobRow.id).where(UNTOLD, JobRow.lane == lane, JobRow.requires == need).limit(_AT_ONCE)
    for job_id in session.scalars(query.with_for_update(skip_locked=True)).all():
        said = _said(need)
        mine = (JobRow.id == job_id, JobRow.state == "queued")
        session.execute(update(JobRow).where(*mine).values(stranded=True, progress=said))
        jobs.record(session, job_id, "log", said)


def _said(need: str) -> dict[str, Any]:
    labels = ", ".join(listed(need))
    message = f"No live worker has what this job requires ({labels}), so it waits. Start one that has, or cancel it."
    return {"phase": "waiting", "message": message}
