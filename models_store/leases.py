"""What a worker may do to a job: claim it, renew its lease, write under its fence, end it, give it back.

Every write of an attempt carries the fence that its claim got. When the row has moved on (another attempt, or an end),
the write changes nothing and raises :class:`~models_store.errors.LeaseLostError`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import case, null, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from models_store import counters, jobs, sharing
from models_store.database.engine import Database, now, seconds_ago
from models_store.database.tables import ACTIVE, RUNNING, DatasetRow, EpochRow, EventRow, JobRow, Json
from models_store.errors import LeaseLostError
from models_store.labels import NONE, Labels

LEASE_SECONDS: Final = 15.0
MAX_BARREN: Final = 3
"""Attempts in a row that may end without progress before the job fails."""
CRASHED: Final[Json] = {
    "code": "crashed",
    "message": "The training process died several times without progress. See the job's events; try a smaller batch.",
    "param": None,
}


@dataclass(frozen=True)
class Claim:
    """The right to work on a job until the lease ends; ``fence`` proves it."""

    job_id: str
    kind: str
    fence: int
    attempt: int
    queued_at: float = 0.0
    """When the job came into the queue, for the first time or again."""
    trace: str | None = None
    """The span that has asked for the job."""


def claim(database: Database, lane: str, owner: str, labels: Labels = NONE) -> Claim | None:
    """Take the job of a lane whose turn it is among those that a worker with these labels can run, or None.

    Whose turn it is :mod:`models_store.sharing` says.
    """
    if database.has_one_writer and not _any(database, lane, labels):
        return None
    with database.write() as session:
        job_id = sharing.next_job(session, lane, labels)
        return None if job_id is None else _take(session, job_id, owner)


def _any(database: Database, lane: str, labels: Labels) -> bool:
    """Whether there is one, looked up without keeping writers waiting: most bells ring for what another takes."""
    with database.read() as session:
        return sharing.next_job(session, lane, labels) is not None


def _take(session: Session, job_id: str, owner: str) -> Claim | None:
    taken = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "queued")
        .values(
            state="running",
            fence=JobRow.fence + 1,
            attempt=JobRow.attempt + 1,
            barren=JobRow.barren + 1,
            lease_owner=owner,
            lease_until=now() + LEASE_SECONDS,
            claimed_at=now(),
            progress=case((JobRow.stranded, null()), else_=JobRow.progress),
            stranded=False,
            started_at=case((JobRow.started_at.is_(None), now()), else_=JobRow.started_at),
        )
        .returning(JobRow.kind, JobRow.fence, JobRow.attempt, JobRow.queued_at, JobRow.trace)
    ).one_or_none()
    if taken is None:
        return None
    jobs.record(session, job_id, "status", {"status": "running", "attempt": taken.attempt})
    counters.add(session, counters.ATTEMPTS, taken.kind, by=owner)
    return Claim(job_id, taken.kind, taken.fence, taken.attempt, taken.queued_at, taken.trace)


def renew(database: Database, held: Claim) -> bool:
    """Extend the lease; tells whether cancellation is wanted.

    Raises:
        LeaseLostError: another attempt owns the job, or it has ended.
    """
    with database.write() as session:
        _fenced(session, held, lease_until=now() + LEASE_SECONDS)
        return bool(session.scalar(select(JobRow.cancel_requested).where(JobRow.id == held.job_id)))


@dataclass(frozen=True)
class Standing:
    """How a claimed job stands in the database."""

    cancel_requested: bool
    lease_expired: bool


def standing(database: Database, held: Claim) -> Standing:
    """Look at the row without writing.

    Raises:
        LeaseLostError: as for :func:`renew`.
    """
    with database.read() as session:
        columns = select(JobRow.cancel_requested, (JobRow.lease_until < now()).label("expired"))
        row = session.execute(columns.where(*_mine(held))).one_or_none()
    if row is None:
        raise LeaseLostError(held.job_id)
    return Standing(cancel_requested=row.cancel_requested, lease_expired=bool(row.expired))


def spent(database: Database, held: Claim) -> float:
    """Seconds that all attempts at this job have run, this one included; time in the queue does not count."""
    query = select(EventRow.data, EventRow.created_at).where(EventRow.job_id == held.job_id, EventRow.type == "status")
    total, since = 0.0, None
    with database.read() as session:
        for data, at in session.execute(query.order_by(EventRow.id)):
            total += at - since if since is not None else 0.0
            since = at if data["status"] == "running" else None
        clock = session.scalar(select(now())) or 0.0
    return total + (clock - since if since is not None else 0.0)


def check(session: Session, held: Claim) -> None:
    """Make a transaction that writes to other tables depend on the fence.

    Raises:
        LeaseLostError: roll it back.
    """
    _fenced(session, held, fence=held.fence)


def write(database: Database, held: Claim, **values: Any) -> None:
    """Set columns of the row under the fence.

    Raises:
        LeaseLostError: nothing was written.
    """
    with database.write() as session:
        _fenced(session, held, **values)


def report_progress(database: Database, held: Claim, progress: Json) -> None:
    """Store progress and append it as an event."""
    with database.write() as session:
        _fenced(session, held, progress=progress)
        jobs.record(session, held.job_id, "progress", progress)


def report_epochs(database: Database, held: Claim, epochs: Mapping[int, Json], *, current: Json, best: Json) -> None:
    """Store the metrics of finished epochs (0-based); an epoch that was reported before is replaced."""
    with database.write() as session:
        _fenced(session, held, metrics=current, best=best)
        for epoch, metrics in epochs.items():
            session.merge(EpochRow(job_id=held.job_id, epoch=epoch, metrics=metrics))
            jobs.record(session, held.job_id, "metrics", {"epoch": epoch, **metrics})


def save_checkpoint(database: Database, held: Claim, checkpoint: Json) -> None:
    """Move the pointer to a newer checkpoint: the attempt has made progress."""
    write(database, held, checkpoint=checkpoint, barren=0)


def log(database: Database, held: Claim, message: str, **data: Any) -> None:
    """Append a line to the job's history."""
    with database.write() as session:
        add_log(session, held, message, **data)


def add_log(session: Session, held: Claim, message: str, **data: Any) -> None:
    """As :func:`log`, in the session's transaction."""
    _fenced(session, held, lease_until=now() + LEASE_SECONDS)
    jobs.record(session, held.job_id, "log", {"message": message, **data})


def succeed(database: Database, held: Claim, publish: Callable[[Session], Json]) -> None:
    """End the job with success; ``publish`` adds its effect to the same transaction and returns the result.

    The event names what came of it; what is large, such as a report, is in the row alone.

    Raises:
        LeaseLostError: the job moved on, or cancellation was requested before; nothing is published.
    """
    with database.write() as session:
        _fenced(session, held, JobRow.cancel_requested.is_(False), **_ended("succeeded"))
        result = publish(session)
        session.execute(update(JobRow).where(JobRow.id == held.job_id).values(result=result))
        names = {name: value for name, value in result.items() if isinstance(value, str)}
        jobs.record(session, held.job_id, "status", {"status": "succeeded", **names})


def fail(database: Database, held: Claim, error: Json) -> None:
    """End the job with a reason (``code``, ``message``, ``param``), or as cancelled if that was wanted."""
    with database.write() as session:
        wanted = session.scalar(select(JobRow.cancel_requested).where(JobRow.id == held.job_id))
        _end(session, _mine(held), held.job_id, "cancelled" if wanted else "failed", None if wanted else error)


def cancelled(database: Database, held: Claim) -> None:
    """End the job as its owner wanted."""
    with database.write() as session:
        _end(session, _mine(held), held.job_id, "cancelled", None)


def release(database: Database, held: Claim, reason: str = "worker stopped", *, served: bool = False) -> None:
    """Give the job back unfinished, without spending an attempt: it is not the job's fault that it cannot go on.

    A job whose owner wants it cancelled ends instead.

    Args:
        served: its owner has had a turn with it. Else that owner is next again, which must not go on for ever.
    """
    with database.write() as session:
        if session.scalar(select(JobRow.cancel_requested).where(*_mine(held))):
            _end(session, _mine(held), held.job_id, "cancelled", None)
            return
        given_back = {**_requeued(), "attempt": JobRow.attempt - 1, "barren": _less_barren()}
        _fenced(session, held, **given_back, **({} if served else {"claimed_at": None}))
        jobs.record(session, held.job_id, "status", {"status": "queued", "reason": reason})


def abandon(database: Database, held: Claim, error: Json) -> None:
    """The attempt died: back to the queue, or, when too many died without progress, failed with ``error``."""
    with database.write() as session:
        _retry_or_fail(session, _mine(held), held.job_id, error)


def reap(database: Database) -> list[str]:
    """End or requeue every running job whose lease has run out; gives their ids."""
    with database.write() as session:
        query = select(JobRow.id, JobRow.kind).where(RUNNING, JobRow.lease_until < seconds_ago(0.0))
        found = session.execute(query.order_by(JobRow.lease_until).with_for_update(skip_locked=True))
        expired = {row.id: row.kind for row in found}
        for job_id in expired:
            _retry_or_fail(session, [JobRow.id == job_id, JobRow.state == "running"], job_id, CRASHED)
        for kind, number in sorted(Counter(expired.values()).items()):
            counters.add(session, counters.EXPIRED, kind, number)
        return list(expired)


def _retry_or_fail(session: Session, mine: list[ColumnElement[bool]], job_id: str, error: Json) -> None:
    row = session.execute(select(JobRow.cancel_requested, JobRow.barren).where(*mine)).one_or_none()
    if row is None:
        raise LeaseLostError(job_id)
    if row.cancel_requested:
        _end(session, mine, job_id, "cancelled", None)
    elif row.barren >= MAX_BARREN:
        _end(session, mine, job_id, "failed", error)
    else:
        session.execute(update(JobRow).where(*mine).values(**_requeued()))
        jobs.record(session, job_id, "status", {"status": "queued", "reason": error["code"]})


def _end(session: Session, mine: list[ColumnElement[bool]], job_id: str, state: str, error: Json | None) -> None:
    ended = update(JobRow).where(*mine).values(**_ended(state), error=error).returning(JobRow.kind, JobRow.dataset_id)
    row = session.execute(ended).one_or_none()
    if row is None:
        raise LeaseLostError(job_id)
    jobs.record(session, job_id, "status", {"status": state, "error": error})
    if row.kind == jobs.IMPORT:
        fail_dataset(session, row.dataset_id, error or {"code": "cancelled", "message": "The import was cancelled."})


def fail_dataset(session: Session, dataset_id: str, error: Json) -> None:
    """Mark a data set as failed, and every job that waits for it."""
    failed = update(DatasetRow).where(DatasetRow.id == dataset_id)
    session.execute(failed.values(status="failed", error=error, upload=None))
    reason = {
        "code": "dataset_failed",
        "message": f"The import of data set {dataset_id} failed: {error['message']}",
        "param": "dataset",
    }
    # queued, said so that no index but that of the data set's active jobs fits
    waiting = update(JobRow).where(JobRow.dataset_id == dataset_id, ACTIVE, JobRow.state != "running")
    for job_id in session.scalars(waiting.values(**_ended("failed"), error=reason).returning(JobRow.id)).all():
        jobs.record(session, job_id, "status", {"status": "failed", "error": reason})


def _mine(held: Claim) -> list[ColumnElement[bool]]:
    return [JobRow.id == held.job_id, JobRow.fence == held.fence, JobRow.state == "running"]


def _fenced(session: Session, held: Claim, *conditions: ColumnElement[bool], **values: Any) -> None:
    changed = session.execute(update(JobRow).where(*_mine(held), *conditions).values(**values).returning(JobRow.id))
    if changed.one_or_none() is None:
        raise LeaseLostError(held.job_id)


def _ended(state: str) -> dict[str, Any]:
    return {"state": state, "finished_at": now(), "lease_until": None, "lease_owner": None}


def _requeued() -> dict[str, Any]:
    return {"state": "queued", "queued_at": now(), "lease_until": None, "lease_owner": None, "rung_at": None}


def _less_barren() -> ColumnElement[int]:
    return case((JobRow.barren > 0, JobRow.barren - 1), else_=0)
