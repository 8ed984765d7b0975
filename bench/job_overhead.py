"""From ``POST /jobs`` to the first sign of work, where a standby waits for it."""

import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.given import Given
from bench.measurement import Measurement
from bench.serving.ours import Service, service
from bench.settling import settle

JOBS: Final = 3
LIMIT_SECONDS: Final = 1.0
_FIRST_WORK: Final = "progress"
"""The type of the event that a child writes when it begins to load the backbone."""


def measure(given: Given) -> list[Measurement]:
    """Small jobs one after the other, each once the machine has come to rest and the next standby is there."""
    with tempfile.TemporaryDirectory(prefix="bench-overhead-") as temporary:
        folder = Path(temporary)
        with service(folder) as ours:
            dataset = ours.upload("text", given, folder)
            waits = [_wait(ours, dataset) for _ in range(JOBS)]
    what = f"from POST /jobs to the beginning of the work, with a warm standby, median of {JOBS}"
    return [Measurement.within(what, median(waits), LIMIT_SECONDS, "s")]


def _wait(ours: Service, dataset: str) -> float:
    settle()
    job = ours.client.wait_job(ours.start_job("text", dataset)["id"])
    if job["status"] != "succeeded":
        raise RuntimeError(job["error"])
    return until_work([event.raw for event in ours.client.job_events(job["id"])])


def until_work(events: list[dict[str, Any]]) -> float:
    """Seconds from the first event of a job, its row in the queue, to its first progress."""
    begun = next(event for event in events if event["type"] == _FIRST_WORK)
    return (_time(begun) - _time(events[0])).total_seconds()


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["created_at"])
