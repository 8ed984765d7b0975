"""What grows with use, and what must not grow with it: many jobs, a large upload, many items."""

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from bench import big_uploads, many_jobs
from bench.given import Given
from bench.measurement import Measurement
from bench.settling import settle
from demo.service import running
from finetuned import Client, keyfile

MANY: Final = 1_000_000
FEW: Final = 1_000
MOST_SLOWER: Final = 1.25
"""How much longer a list may take with many jobs: noise."""
POST_LIMIT_MS: Final = 50.0
UPLOAD_BYTES: Final = 10**9
MEMORY_LIMIT_MB: Final = 200.0
TEXTS: Final = 100_000
TEXTS_LIMIT_SECONDS: Final = 60.0
_ROUNDS: Final = 20
_POSTS: Final = 300
_FIRST_POSTS: Final = 10
"""Not counted: they wait until the service has imported torch."""
_QUERIES: Final = tuple(
    {**filters, **place}
    for filters in ({}, {"status": "failed"}, {"dataset": f"ds_{7:026d}"}, {"status": "queued"})
    for place in ({}, {"after": f"job_{FEW // 2:026d}"})
)
"""Lists of an admin: all, by filter, first and late pages, and one that finds nothing."""


def measure(given: Given) -> list[Measurement]:  # noqa: ARG001 - as all parts
    """Two services side by side, one with few jobs and one with many; the latter then takes the uploads."""
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as temporary:
        folder = Path(temporary)
        many_jobs.fill(folder / "few", FEW)
        many_jobs.fill(folder / "many", MANY)
        with running(folder / "many", folder / "logs-many") as many:
            with running(folder / "few", folder / "logs-few") as few:
                settle()
                lists = _lists(few, many, folder)
            settle()
            return [*lists, _posts(many, folder), *_upload(many, folder), _texts(many, folder)]


def _lists(few: Client, many: Client, folder: Path) -> list[Measurement]:
    """Every query in turns at both services: of the many turns the best one each, which noise has not touched."""
    with _connection(few, folder / "few") as small, _connection(many, folder / "many") as large:
        for connection in (small, large):
            _milliseconds(lambda: connection.get("/backbones"))  # noqa: B023 - called at once; waits for torch
        times = [[(_get(small, query), _get(large, query)) for _ in range(_ROUNDS)] for query in _QUERIES]
    ours = sum(min(large for _, large in turns) for turns in times)
    peer = sum(min(small for small, _ in turns) for turns in times)
    what = f"GET /jobs with {MANY:,} jobs, {len(_QUERIES)} queries together"
    return [Measurement(what, ours, peer, "ms", ours / peer, MOST_SLOWER, f"{FEW:,} jobs", at_most=True)]


def _get(connection: httpx.Client, query: dict[str, str]) -> float:
    return _milliseconds(lambda: connection.get("/jobs", params=query))


def _posts(many: Client, folder: Path) -> Measurement:
    body = {"dataset": many_jobs.DATASET, "backbone": "torchvision/squeezenet1_1", "weights": None}
    with _connection(many, folder / "many") as connection:
        times = [_milliseconds(lambda: connection.post("/jobs", json=body)) for _ in range(_FIRST_POSTS + _POSTS)]
    p99 = sorted(times[_FIRST_POSTS:])[round(0.99 * _POSTS) - 1]
    return Measurement.within(f"POST /jobs with {MANY:,} jobs, p99 of {_POSTS}", p99, POST_LIMIT_MS, "ms")


def _upload(service: Client, folder: Path) -> list[Measurement]:
    file = folder / "images.zip"
    big_uploads.images(file, UPLOAD_BYTES)
    settle()
    api = _api(service)
    before = api.memory_info().rss
    with _watched(api) as peak:
        _imported(service, file)
    what = f"a {UPLOAD_BYTES / 10**9:.0f} GB upload"
    grown = (peak.api - before) / 2**20
    return [
        Measurement.within(f"{what}: what the API's memory grows by", grown, MEMORY_LIMIT_MB, "MiB"),
        Measurement.within(
            f"{what}: memory of the process that imports it", peak.child / 2**20, MEMORY_LIMIT_MB, "MiB"
        ),
    ]


def _texts(service: Client, folder: Path) -> Measurement:
    file = folder / "texts.csv"
    big_uploads.texts(file, TEXTS)
    settle()
    started = time.perf_counter()
    _imported(service, file)
    seconds = time.perf_counter() - started
    return Measurement.within(f"import of {TEXTS:,} texts of one template", seconds, TEXTS_LIMIT_SECONDS, "s")


def _imported(service: Client, file: Path) -> None:
    dataset = service.upload_dataset(file, wait=True)
    if dataset["status"] != "ready":
        raise RuntimeError(dataset["error"])


@dataclass
class _Peak:
    """Bytes."""

    api: int = 0
    child: int = 0


@contextmanager
def _watched(api: psutil.Process) -> Iterator[_Peak]:
    """The most memory that the API and the processes of jobs held during the block, looked at ten times a second."""
    peak, over = _Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            peak.api = max(peak.api, api.memory_info().rss)
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "worker.child" in process.cmdline():
                        peak.child = max(peak.child, process.memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _api(service: Client) -> psutil.Process:
    port = int(service.url.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(connection.laddr.port == port for connection in process.net_connections("tcp")):
                return process
    raise RuntimeError(f"No process of ours listens at {service.url}.")


def _connection(service: Client, data_dir: Path) -> httpx.Client:
    headers = {"Authorization": f"Bearer {keyfile.read(data_dir)}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60)


def _milliseconds(request: Any) -> float:
    started = time.perf_counter()
    request().raise_for_status()
    return 1000 * (time.perf_counter() - started)
