"""Prometheus metrics that the database tells: every replica tells the same ones."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models_store import counters, jobs, workers
from models_store.database.engine import Database
from models_store.database.tables import JobRow, Json

_STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled")
_LANES: Final = ("training", "light")
_COUNTED: Final = (
    (counters.ATTEMPTS, "finetuned_job_attempts", "Attempts at jobs that were begun.", "kind"),
    (counters.EXPIRED, "finetuned_leases_expired", "Attempts that were given up, as their lease ran out.", "kind"),
    (counters.FEATURES, "finetuned_features", "Features of frozen backbones that jobs needed.", "source"),
)


class Stored(Collector):
    """Asks the database whenever it is asked.

    Raises:
        UnavailableError: (when collecting) the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Every metric, with 0 where nothing was counted yet."""
        with self._database.read() as session:
            yield _jobs(session)
            yield _waiting(session)
            yield from _workers(session)
            yield from _counted(session)


def _jobs(session: Session) -> Metric:
    metric = GaugeMetricFamily("finetuned_jobs", "Jobs and imports by state.", labels=("kind", "state"))
    counts = select(JobRow.kind, JobRow.state, func.count()).group_by(JobRow.kind, JobRow.state)
    found = {(kind, state): count for kind, state, count in session.execute(counts)}
    for kind in sorted({kind for kind, _ in found}):
        for state in _STATES:
            metric.add_metric((kind, state), found.get((kind, state), 0))
    return metric


def _waiting(session: Session) -> Metric:
    about = "How long the job has waited that waits longest, in seconds; 0 where none does."
    metric = GaugeMetricFamily("finetuned_queue_age_seconds", about, labels=("lane",))
    for lane in _LANES:
        metric.add_metric((lane,), jobs.longest_wait(session, lane))
    return metric


def _workers(session: Session) -> Iterator[Metric]:
    rows = workers.live(session)
    number = GaugeMetricFamily("finetuned_workers", "Live workers by lane.", labels=("lane",))
    for lane in _LANES:
        number.add_metric((lane,), sum(row.lane == lane for row in rows))
    yield number
    about = "Memory of a machine's GPUs, in bytes, as its live workers tell it."
    memory = GaugeMetricFamily("finetuned_gpu_memory_bytes", about, labels=("host", "what"))
    for host, told in {workers.host(row.id): row.gpu_memory for row in rows if row.gpu_memory}.items():
        for what, size in _sizes(told):
            memory.add_metric((host, what), size)
    yield memory


def _sizes(told: Json) -> Iterator[tuple[str, float]]:
    yield from ((what, float(told[what])) for what in ("used", "total"))


def _counted(session: Session) -> Iterator[Metric]:
    totals = counters.totals(session)
    for name, metric_name, about, label in _COUNTED:
        metric = CounterMetricFamily(metric_name, about, labels=(label,))
        for (found, value), total in sorted(totals.items()):
            if found == name:
                metric.add_metric((value,), total)
        yield metric
