"""Rows of durable work as their owners see them: created, read, listed, cancelled, deleted.

What a worker may do to a row it has claimed is in :mod:`models_store.leases`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete as sql_delete
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models_store import audit, idempotency, ids, registry, spans
from models_store.database.engine import Database, now, seconds_ago
from models_store.database.tables import EASY, NEEDY, QUEUED, RUNG_LAST, SHOWN, EpochRow, EventRow, JobRow, Json
from models_store.errors import ConflictError, NotFoundError
from models_store.paging import newest
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage

TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
FINE_TUNE: Final = "fine_tune"
IMPORT: Final = "import"
EVALUATE: Final = "evaluate"
PREFLIGHT: Final = "preflight"
LANES: Final = {FINE_TUNE: "training", IMPORT: "light", EVALUATE: "light", PREFLIGHT: "training"}
"""Which lane of a worker runs which kind."""
INTERNAL: Final = frozenset({IMPORT, PREFLIGHT})
"""Kinds that nobody sees as jobs: they are part of something else."""


@dataclass(frozen=True)
class NewJob:
    """What is needed to put a job in the queue."""

    kind: str
    owner: str
    name: str
    dataset_id: str
    backbone: str | None = None
    request: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    priority: int = 0
    requires: str = ""
    """As :func:`models_store.labels.needed` writes it."""


def insert(session: Session, job: NewJob, job_id: str | None = None) -> JobRow:
    """Add a queued row and its first event to the session's transaction."""
    clock = session.scalar(select(now()))
    row = JobRow(
        id=job_id or ids.new("job"),
        kind=job.kind,
        lane=LANES[job.kind],
        owner=job.owner,
        name=job.name,
        dataset_id=job.dataset_id,
        backbone=job.backbone,
        request=job.request,
        config=job.config,
        extra=job.metadata,
        priority=job.priority,
        requires=job.requires,
        state="queued",
        created_at=clock,
        queued_at=clock,
        trace=spans.traceparent(),
    )
    session.add(row)
    session.flush()
    record(session, row.id, "status", {"status": "queued"})
    return row


def create(database: Database, job: NewJob, repeat: idempotency.Repeat | None = None) -> tuple[JobRow, bool]:
    """Insert a job in a transaction of its own; with ``repeat``, at most once for that key.

    Returns:
        The row, and whether it is new.

    Raises:
        InvalidError: ``idempotency_mismatch``.
    """
    job_id = ids.new("job")
    with database.write() as session:
        known = idempotency.reserve(session, job.owner, "jobs", repeat, job_id)
        if known is not None:
            return get(session, known, owner=job.owner), False
        return insert(session, job, job_id), True


def get(session: Session, job_id: str, *, owner: str | None) -> JobRow:
    """Read one job; ``owner=None`` is an admin's view.

    Raises:
        NotFoundError: no such job, or somebody else's.
    """
    row = session.get(JobRow, job_id)
    if row is None or (owner is not None and row.owner != owner) or row.kind in INTERNAL:
        raise NotFoundError("job_not_found", f"There is no job {job_id!r}. List yours with GET /jobs.")
    return row


def page(
    session: Session,
    *,
    owner: str | None,
    limit: int,
    after: str | None = None,
    status: str | None = None,
    dataset: str | None = None,
) -> tuple[Sequence[JobRow], bool]:
    """The newest jobs after ``after``, and whether there are more."""
    filters = {JobRow.owner: owner, JobRow.dataset_id: dataset, JobRow.state: status}
    wanted = {column: value for column, value in filters.items() if value is not None}
    return newest(session, select(JobRow).where(SHOWN), JobRow.id, limit=limit, after=after, where=wanted)


def cancel(database: Database, job_id: str, *, owner: str | None, by: audit.Actor = audit.SERVICE) -> JobRow:
    """Cancel a queued job at once; ask a running one to stop.

    Raises:
        NotFoundError: no such job.
        ConflictError: ``job_ended``, it has ended already.
    """
    with database.write() as session:
        get(session, job_id, owner=owner)
        mine = JobRow.id == job_id
        ended = update(JobRow).where(mine, JobRow.state == "queued")
        if _changed(session, ended.values(state="cancelled", cancel_requested=True, finished_at=now())):
            record(session, job_id, "status", {"status": "cancelled"})
        elif _changed(session, update(JobRow).where(mine, JobRow.state == "running").values(cancel_requested=True)):
            record(session, job_id, "log", {"message": "cancellation requested"})
        else:
            raise ConflictError("job_ended", f"Job {job_id} has ended already; there is nothing to cancel.")
        session.expire_all()
        row = get(session, job_id, owner=owner)
        audit.record(session, by, "job.cancelled", job_id, owner=row.owner)
        return row


def delete(
    database: Database,
    store_dir: Path,
    job_id: str,
    *,
    owner: str | None,
    by: audit.Actor = audit.SERVICE,
    storage: Storage = LOCAL,
) -> None:
    """Delete an ended job with its events, metrics, TensorBoard files and what is left in scratch; its model stays.

    Raises:
        ConflictError: ``job_active``, it is queued or running.
    """
    with storage.removal() as take, database.write() as session:
        row = get(session, job_id, owner=owner)
        session.expunge(row)
        gone = sql_delete(JobRow).where(JobRow.id == job_id, JobRow.state.in_(TERMINAL))
        if not _changed(session, gone):
            raise ConflictError("job_active", f"Job {job_id} is still active. Cancel it first.")
        idempotency.forget(session, job_id)
        audit.record(session, by, "job.deleted", job_id, owner=row.owner)
        for folder in _left_by(session, store_dir, row):
            take(folder)


def _left_by(session: Session, store_dir: Path, row: JobRow) -> Iterator[Path]:
    """Folders of a job that has ended; bundles of its attempts that died are known as such by its row alone."""
    yield tensorboard_directory(store_dir, row.id)
    yield scratch_directory(store_dir, row.id)
    if row.kind == FINE_TUNE and (row.state != "succeeded" or row.attempt > 1):
        cards = registry.unpublished(session, store_dir)
        yield from (folder for folder, card in cards.items() if card.get("job") == row.id)


def tensorboard_directory(store_dir: Path, job_id: str) -> Path:
    """Where the event files of a job lie; they are not needed for anything but looking at them."""
    return store_dir / "tensorboard" / job_id


def scratch_directory(store_dir: Path, job_id: str) -> Path:
    """Where the files of a job's attempts lie: beside the store, which is for what lasts."""
    return store_dir.parent / "scratch" / job_id


def withdraw(database: Database, job_id: str) -> JobRow:
    """Take an internal job back, whatever its state, and give it as it was: one that still runs is asked to stop."""
    with database.write() as session:
        row = session.get_one(JobRow, job_id)
        session.expunge(row)
        if row.state == "running":
            session.execute(update(JobRow).where(JobRow.id == job_id).values(cancel_requested=True))
        else:
            session.execute(sql_delete(JobRow).where(JobRow.id == job_id))
        return row


def forget_withdrawn(database: Database) -> None:
    """Delete the rows of preflights that had ended an hour ago: nobody waits for them any more."""
    with database.write() as session:
        old = JobRow.finished_at < seconds_ago(3600.0)  # none that has not ended has such a time
        session.execute(sql_delete(JobRow).where(JobRow.kind == PREFLIGHT, old))


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 100) -> tuple[Sequence[EventRow], bool]:
    """Events of a job, oldest first, and whether there are more."""
    query = select(EventRow).where(EventRow.job_id == job_id, EventRow.id > after).order_by(EventRow.id)
    rows = session.scalars(query.limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit


def epochs(session: Session, job_id: str) -> Iterator[dict[str, Any]]:
    """The metrics of every finished epoch, first to last."""
    rows = session.scalars(select(EpochRow).where(EpochRow.job_id == job_id).order_by(EpochRow.epoch))
    return ({"epoch": row.epoch, **row.metrics} for row in rows)


def unclaimed(
    database: Database, *, quiet_seconds: float, requires: str = "", limit: int = 100
) -> list[tuple[str, str]]:
    """Queued rows for which no message was sent in the last ``quiet_seconds``: (id, lane), longest unheard-of first.

    So every row has its turn, however long the queue is; those with the same needs are a queue of their own. The rows
    are stamped in the same transaction, so that two dispatchers do not both send.
    """
    with database.write() as session:
        query = select(JobRow.id, JobRow.lane).where(*((NEEDY, JobRow.requires == requires) if requires else (EASY,)))
        query = query.where(seconds_ago(quiet_seconds) >= RUNG_LAST)
        query = query.order_by(RUNG_LAST, JobRow.id).limit(limit)
        found = [(row.id, row.lane) for row in session.execute(query.with_for_update(skip_locked=True))]
        if found:
            chosen = JobRow.id.in_([job_id for job_id, _ in found])
            session.execute(update(JobRow).where(chosen).values(rung_at=now()))
        return found


def longest_wait(session: Session, lane: str) -> float:
    """For how many seconds the job of a lane has waited that waits longest; 0 where none does."""
    since = select(JobRow.queued_at).where(QUEUED, JobRow.lane == lane).order_by(JobRow.queued_at).limit(1)
    return max(0.0, session.scalar(select(now() - since.scalar_subquery())) or 0.0)


def record(session: Session, job_id: str, kind: str, data: Json) -> None:
    """Append an event to the session's transaction."""
    session.add(EventRow(job_id=job_id, type=kind, data=data, created_at=session.scalar(select(now()))))


def _changed(session: Session, statement: Any) -> bool:
    return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
