"""Prometheus metrics of this process, and those of the database when they are asked for."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import func, select
from starlette.types import Scope

from models_store import workers
from models_store.database.engine import Database
from models_store.database.tables import JobRow

_STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled")


class Telemetry:
    """Counts what this process does; a registry of its own, so that two applications can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "finetuned_http_requests", "Answers.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "finetuned_http_request_seconds",
            "Time to the end of the answer.",
            ("method", "route"),
            registry=self._registry,
        )
        self._predictions = Counter("finetuned_predictions", "Inputs answered.", ("outcome",), registry=self._registry)
        self._jobs = Gauge("finetuned_jobs", "Jobs and imports by state.", ("kind", "state"), registry=self._registry)
        self._workers = Gauge("finetuned_workers", "Live workers by lane.", ("lane",), registry=self._registry)

    def observe_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answer under its route's pattern: never under the path, of which there are endlessly many."""
        route = getattr(scope.get("route"), "path", "unmatched")
        self._requests.labels(scope["method"], route, str(status)).inc()
        self._seconds.labels(scope["method"], route).observe(seconds)

    def observe_predictions(self, answered: int, failed: int) -> None:
        """Count inputs that got a label, and those that got an error."""
        self._predictions.labels("answered").inc(answered)
        self._predictions.labels("failed").inc(failed)

    def render(self, database: Database) -> bytes:
        """Everything in Prometheus' text format.

        Raises:
            UnavailableError: the database does not answer.
        """
        counts = select(JobRow.kind, JobRow.state, func.count()).group_by(JobRow.kind, JobRow.state)
        with database.read() as session:
            found = {(kind, state): count for kind, state, count in session.execute(counts)}
            lanes = [worker.lane for worker in workers.live(session)]
        for kind in {kind for kind, _ in found}:
            for state in _STATES:
                self._jobs.labels(kind, state).set(found.get((kind, state), 0))
        for lane in ("training", "light"):
            self._workers.labels(lane).set(lanes.count(lane))
        return generate_latest(self._registry)
