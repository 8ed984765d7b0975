"""Which workers were seen lately. Informs ``/readyz`` and ``GET /workers``; leases do not depend on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models_store.database.engine import Database, now
from models_store.database.tables import QUEUED, RUNNING, JobRow, Json, WorkerRow
from models_store.labels import Labels, meets, offered, shown

LIVE_SECONDS: Final = 30.0
GPU: Final = "gpu"
"""The label of a worker that has one."""


@dataclass(frozen=True)
class Seen:
    """What a worker says of itself."""

    id: str
    lane: str
    device: str
    labels: Labels = field(default_factory=dict)
    draining: bool = False
    """It takes no further job."""
    gpu_memory: Json | None = None
    """Bytes of its machine's GPUs: used, total."""


def seen(database: Database, worker: Seen) -> None:
    """Say that a worker lives; forget those that were not seen for an hour."""
    with database.write() as session:
        clock = session.scalar(select(now())) or 0.0
        row = session.get(WorkerRow, worker.id)
        if row is None:
            row = WorkerRow(id=worker.id, lane=worker.lane, device=worker.device, started_at=clock)
            session.add(row)
        row.labels, row.draining, row.gpu_memory = shown(worker.labels), worker.draining, worker.gpu_memory
        row.seen_at = clock
        session.execute(delete(WorkerRow).where(WorkerRow.seen_at < clock - 3600))


def gone(database: Database, worker_id: str) -> None:
    """Say that a worker has stopped."""
    with database.write() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def host(worker_id: str) -> str:
    """The machine of a worker, whose id begins with it."""
    return worker_id.partition(":")[0]


def live(session: Session) -> Sequence[WorkerRow]:
    """Workers seen in the last :data:`LIVE_SECONDS`."""
    return session.scalars(
        select(WorkerRow).where(WorkerRow.seen_at > now() - LIVE_SECONDS).order_by(WorkerRow.id)
    ).all()


def offers(session: Session, lane: str) -> list[Labels]:
    """The labels of every live worker of a lane that takes jobs."""
    taking = select(WorkerRow.labels).where(WorkerRow.lane == lane, WorkerRow.draining.is_(False))
    return [offered(text) for text in session.scalars(taking.where(WorkerRow.seen_at > now() - LIVE_SECONDS))]


def free(session: Session, lane: str, need: str = "") -> int:
    """How many workers of a lane that meet a need have nothing to do, whatever else is queued or running there."""
    alive = sum(meets(labels, need) for labels in offers(session, lane))
    work = [select(JobRow.id).where(state, JobRow.lane == lane).limit(alive) for state in (QUEUED, RUNNING)]
    return alive - sum(len(session.scalars(query).all()) for query in work)


def current_jobs(session: Session) -> dict[str, str]:
    """Which worker runs which job now: worker id → job id."""
    rows = session.execute(select(JobRow.lease_owner, JobRow.id).where(RUNNING))
    return {owner: job_id for owner, job_id in rows if owner is not None}
