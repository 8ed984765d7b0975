"""One round of housekeeping: dead attempts back to the queue, bells for jobs that nobody heard of.

The API and every worker run it; rounds at the same time do not disturb each other.
"""

from collections.abc import Callable
from typing import Final

from models_store import jobs, leases
from models_store.database.engine import Database

INTERVAL_SECONDS: Final = 5.0
QUIET_SECONDS: Final = 20.0
"""A queued job that nobody claimed is rung for again after this long."""

Send = Callable[[str, str], None]
"""Rings for (job id, lane); best effort, never raises."""


def sweep(database: Database, send: Send) -> None:
    """Reap expired leases, then ring for every queued job that was not rung for lately.

    Raises:
        UnavailableError: the database does not answer; the next round may succeed.
    """
    leases.reap(database)
    for job_id, lane in jobs.unclaimed(database, quiet_seconds=QUIET_SECONDS):
        send(job_id, lane)
