"""One round of housekeeping: dead attempts back to the queue, bells for jobs that nobody heard of.

The API and every worker run it; rounds at the same time do not disturb each other.
"""

from collections.abc import Callable, Iterable
from typing import Final

from models_store import jobs, leases, sharing, stranded
from models_store.database.engine import Database
from models_store.labels import Labels, meets

INTERVAL_SECONDS: Final = 5.0
QUIET_SECONDS: Final = 20.0
"""A queued job that nobody claimed is rung for again after this long."""

Send = Callable[[str, str], None]
"""Rings for (job id, lane); best effort, never raises."""


def sweep(database: Database, send: Send) -> None:
    """Reap expired leases, ring for every queued job that was not rung for lately, tell of those that none can run.

    Jobs that need labels are not rung for here, where anybody might hear it, but by workers that have these.

    Raises:
        UnavailableError: the database does not answer; the next round may succeed.
    """
    leases.reap(database)
    for job_id, lane in jobs.unclaimed(database, quiet_seconds=QUIET_SECONDS):
        send(job_id, lane)
    stranded.tell(database)


def ring_for_needs(database: Database, lanes: Iterable[str], labels: Labels, send: Send) -> None:
    """Ring for jobs that need labels, and can be run by workers that have these.

    Raises:
        UnavailableError: as for :func:`sweep`.
    """
    with database.read() as session:
        asked = {need for lane in lanes for need in sharing.needs(session, lane) if need and meets(labels, need)}
    for need in asked:
        for job_id, lane in jobs.unclaimed(database, quiet_seconds=QUIET_SECONDS, requires=need):
            send(job_id, lane)
