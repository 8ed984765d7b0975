"""What a lane tells of the jobs that it takes, where they are traced: how long each waited, and each attempt at it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from models_store import spans
from models_store.database.engine import Database
from models_store.database.tables import JobRow
from models_store.errors import UnavailableError
from models_store.leases import Claim
from models_store.spans import Attributes, Span, Tracer

_SECOND: Final = 10**9


@contextmanager
def attempt(tracer: Tracer, database: Database, claim: Claim, asked_at: int) -> Iterator[None]:
    """The block is an attempt at a job; the message that has led to it may have named another one.

    Args:
        asked_at: nanoseconds since 1970 at which this lane asked for a job.
    """
    claimed_at = time.time_ns()
    job: Attributes = {
        "finetuned.job.id": claim.job_id,
        "finetuned.job.kind": claim.kind,
        "finetuned.job.attempt": claim.attempt,
    }
    span = tracer.begin("attempt", claim.trace, {**job, "finetuned.job.fence": claim.fence}, kind="consumer")
    if span is None:
        yield
        return
    waited_since = min(round(claim.queued_at * _SECOND), claimed_at)  # by the database's clock, not by ours
    for name, start in (("queued", waited_since), ("claim", asked_at)):
        told = tracer.begin(name, claim.trace or span.traceparent, job, start=start)
        if told is not None:
            told.end(at=claimed_at)
    with spans.entered(span):
        yield
        _note_end(span, database, claim)


def _note_end(span: Span, database: Database, claim: Claim) -> None:
    """How the job stands after this attempt, as far as the database tells."""
    try:
        with database.read() as session:
            row = session.get(JobRow, claim.job_id)
    except UnavailableError:
        return
    if row is not None:
        why = {"finetuned.job.error": str(row.error["code"])} if row.error else {}
        span.note({"finetuned.job.state": row.state, **why})
