"""Prometheus metrics of this process, and those of the database when they are asked for."""

import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

from app.operating.stored import Stored
from app.predictions.batching import MAX_BATCH
from models_store.database.engine import Database


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
        self._batches = Histogram(
            "finetuned_prediction_batch_items",
            "Inputs that went through an engine together.",
            buckets=(1, 2, 4, 8, 12, MAX_BATCH),
            registry=self._registry,
        )
        self._engines = Histogram(
            "finetuned_engine_seconds",
            "Time of such a batch in the engine and its models' heads.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
            registry=self._registry,
        )
        self._lookups = Counter(
            "finetuned_model_lookups",
            "Models that were in memory, or had to be loaded.",
            ("found",),
            registry=self._registry,
        )
        self._gpu = Gauge(
            "finetuned_serving_gpu_memory_bytes", "Memory that this process holds on GPUs.", registry=self._registry
        )
        self._gpu.set_function(_on_gpus)

    def observe_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answer under its route's pattern: never under the path, of which there are endlessly many."""
        route = getattr(scope.get("route"), "path", "unmatched")
        self._requests.labels(scope["method"], route, str(status)).inc()
        self._seconds.labels(scope["method"], route).observe(seconds)

    def observe_predictions(self, answered: int, failed: int) -> None:
        """Count inputs that got a label, and those that got an error."""
        self._predictions.labels("answered").inc(answered)
        self._predictions.labels("failed").inc(failed)

    def observe_batch(self, items: int, seconds: float) -> None:
        """A batch has been through an engine."""
        self._batches.observe(items)
        self._engines.observe(seconds)

    def observe_lookup(self, *, in_memory: bool) -> None:
        """A request has asked for a model."""
        self._lookups.labels("memory" if in_memory else "disk").inc()

    def render(self, database: Database) -> bytes:
        """Everything in Prometheus' text format.

        Raises:
            UnavailableError: the database does not answer.
        """
        stored = CollectorRegistry()
        stored.register(Stored(database))
        return generate_latest(self._registry) + generate_latest(stored)


def _on_gpus() -> float:
    """Only where this process has begun to use one: asking would begin it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    return float(sum(torch.cuda.memory_allocated(number) for number in range(torch.cuda.device_count())))
