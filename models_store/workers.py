"""Which workers were seen lately. Informs ``/readyz`` and ``GET /workers``; leases do not depend on it."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models_store.database.engine import Database, now
from models_store.database.tables import RUNNING, JobRow, WorkerRow

LIVE_SECONDS: Final = 30.0


def seen(database: Database, worker_id: str, lane: str, device: str) -> None:
    """Say that a worker lives; forget those that were not seen for an hour."""
    with database.write() as session:
        clock = session.scalar(select(now())) or 0.0
        row = session.get(WorkerRow, worker_id)
        if row is None:
            session.add(WorkerRow(id=worker_id, lane=lane, device=device, started_at=clock, seen_at=clock))
        else:
            row.seen_at = clock
        session.execute(delete(WorkerRow).where(WorkerRow.seen_at < clock - 3600))


def gone(database: Database, worker_id: str) -> None:
    """Say that a worker has stopped."""
    with database.write() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def live(session: Session) -> Sequence[WorkerRow]:
    """Workers seen in the last :data:`LIVE_SECONDS`."""
    return session.scalars(
        select(WorkerRow).where(WorkerRow.seen_at > now() - LIVE_SECONDS).order_by(WorkerRow.id)
    ).all()


def free(session: Session, lane: str) -> int:
    """How many workers of a lane live and have nothing to do, nor anything in the queue before them."""
    living = select(func.count()).where(WorkerRow.lane == lane, WorkerRow.seen_at > now() - LIVE_SECONDS)
    alive = session.scalar(living) or 0
    work = select(JobRow.id).where(JobRow.lane == lane, JobRow.state.in_(("queued", "running")))
    return alive - len(session.scalars(work.limit(alive)).all())


def current_jobs(session: Session) -> dict[str, str]:
    """Which worker runs which job now: worker id → job id."""
    rows = session.execute(select(JobRow.lease_owner, JobRow.id).where(RUNNING))
    return {owner: job_id for owner, job_id in rows if owner is not None}
