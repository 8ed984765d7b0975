"""A hundred models on one trunk: memory, mixed traffic, and what loading one more takes."""

import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Final

import psutil

from bench.given import Given
from bench.measurement import Measurement
from bench.serving import samples
from bench.serving.copying import copies
from bench.serving.load import Load
from bench.serving.ours import Service, service
from bench.serving.samples import Kind
from bench.settling import settle

MODELS: Final = 100
MOST_MEMORY: Final = 1.2
LEAST_TRAFFIC: Final = 0.9
MOST_SECONDS: Final = 0.050
"""Of loading one model more, onto a trunk that is in memory."""
_CONNECTIONS: Final = 16
_WARM_UP_SECONDS: Final = 2.0
_KIND: Final[Kind] = "text"


def measure(given: Given) -> list[Measurement]:
    """A service of its own, which never had another model in memory than one and, later, all of these."""
    with tempfile.TemporaryDirectory(prefix="bench-hundred-") as temporary:
        folder = Path(temporary)
        with service(folder) as ours:
            models = _models(ours, given, folder)
            settle()
            return _compared(ours, models, given)


def _models(ours: Service, given: Given, folder: Path) -> list[str]:
    first = ours.train(_KIND, given, folder)
    return [first, *copies(ours.data_dir, first, MODELS - 1)]


def _compared(ours: Service, models: list[str], given: Given) -> list[Measurement]:
    def loaded(some: list[str], seconds: float = given.seconds) -> Load:
        return ours.load(samples.TEXT, some, connections=_CONNECTIONS, seconds=seconds)

    loaded(models[:1], _WARM_UP_SECONDS)
    alone = _memory(ours)
    seconds = _loading(ours, models)
    loaded(models, _WARM_UP_SECONDS)
    turns = [(loaded(models[:1]).rate, loaded(models).rate) for _ in range(given.rounds)]
    together = _memory(ours)
    single, mixed = mean(rate for rate, _ in turns), mean(rate for _, rate in turns)
    what = f"{MODELS} models on one trunk (MiniLM-L6)"
    more = together / alone
    return [
        Measurement(f"{what}: memory", together, alone, "MiB", more, MOST_MEMORY, "one model", at_most=True),
        Measurement(f"{what}: in turns", mixed, single, "requests/s", mixed / single, LEAST_TRAFFIC, "one model"),
        Measurement.within(f"{what}: loading one more", 1000 * seconds, 1000 * MOST_SECONDS, "ms"),
    ]


def _loading(ours: Service, models: list[str]) -> float:
    """How much longer a model's first request takes than its second: the median over all but the first model."""
    return median(_seconds(ours, model) - _seconds(ours, model) for model in models[1:])


def _seconds(ours: Service, model: str) -> float:
    started = time.perf_counter()
    ours.client.predict(model, samples.TEXT)
    return time.perf_counter() - started


def _memory(ours: Service) -> float:
    """MiB that the process which listens at the service's address holds."""
    port = int(ours.client.url.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        if port in _listening(process):
            return float(process.memory_info().rss) / 2**20
    raise RuntimeError(f"No process of ours listens at {ours.client.url}.")


def _listening(process: psutil.Process) -> list[int]:
    try:
        found = process.net_connections(kind="tcp")
    except psutil.Error:  # it has ended meanwhile
        return []
    return [connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN]
