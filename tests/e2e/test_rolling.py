"""Everything is replaced one by one under load: nothing is lost, and nobody has to do more than to ask again."""

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from models_store.database.engine import Database
from models_store.database.tables import JobRow, ModelRow
from tests.e2e.cluster import FREEZE, Cluster, films, first_of
from tests.e2e.service import Service, until

OWNERS = ("ann", "bob", "cleo", "dan", "eve")
JOBS_OF_EACH = 40
WORKERS = 3
CLIENTS = 2
PAUSE_SECONDS = 0.1
REPLACE_EVERY_SECONDS = 20.0
FAIR_WITHIN = 0.1
TRIES = 60


@dataclass
class Callers:
    """Clients of several replicas, who send again what is answered 429 or 503, or not at all, and what they saw."""

    replicas: Sequence[Service]
    again: Counter[str] = field(default_factory=Counter)
    turn: Iterator[int] = field(default_factory=itertools.count)

    def send(self, key: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Send until there is an answer that is none of those."""
        for _ in range(TRIES):
            replica = self.replicas[next(self.turn) % len(self.replicas)]
            try:
                headers = {"Authorization": f"Bearer {key}"}
                answer = httpx.request(method, replica.url + path, headers=headers, timeout=60, **more)
            except httpx.TransportError as error:  # it is being replaced: another one is there
                self.again[type(error).__name__] += 1
                time.sleep(0.2)
                continue
            if answer.status_code not in {429, 503}:
                return answer
            self.again[str(answer.json()["code"])] += 1
            time.sleep(min(5.0, float(answer.headers["Retry-After"])))
        raise AssertionError(f"not answered after {TRIES} tries: {method} {path}; {self.again}")


@contextmanager
def predicting(callers: Callers, key: str, model: str) -> Iterator[Counter[int]]:
    """Clients ask during the block, with short pauses; gives how often each status came."""
    seen: Counter[int] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = callers.send(key, "POST", "/predict", json={"model": model, "inputs": "good film"})
            seen[answer.status_code] += 1
            over.wait(PAUSE_SECONDS)

    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            yield seen
        finally:
            over.set()
        for one in asking:
            one.result()


@contextmanager
def replacing(parts: Sequence[tuple[Service, str, Callable[[], None]]]) -> Iterator[Counter[str]]:
    """One part after the other is ended and started anew during the block; gives how often each kind was."""
    done: Counter[str] = Counter()
    over = threading.Event()

    def replace() -> None:
        for service, part, start in itertools.cycle(parts):
            if over.wait(REPLACE_EVERY_SECONDS):
                return
            service.end(part, signal.SIGTERM, seconds=90)
            start()
            done[part] += 1

    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(replace)
        try:
            yield done
        finally:
            over.set()
        going_on.result()


def counted(database: Database, state: str) -> Counter[str]:
    """Jobs in this state by owner."""
    query = select(JobRow.owner, func.count()).where(JobRow.kind == "fine_tune", JobRow.state == state)
    with database.read() as session:
        found = session.execute(query.group_by(JobRow.owner)).all()
    return Counter({owner: count for owner, count in found if owner in OWNERS})


def _at_least(found: Counter[str], least: int) -> Counter[str] | None:
    return found if found.total() >= least else None


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_replicas_and_workers_are_replaced_one_by_one_and_nothing_is_lost(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    first, second = first_of(cluster), cluster.machine()
    second.start_api()
    workers = [cluster.machine() for _ in range(WORKERS)]
    callers = Callers([first, second])
    keys = {owner: first.client.post("/keys", json={"owner": owner}).json()["key"] for owner in OWNERS}
    workers[0].start_worker()
    dataset = first.upload("films.csv", films("canary"), validation_fraction="0.5")["id"]
    trained = first.client.post("/jobs", json={"dataset": dataset, **FREEZE}).json()["id"]
    served = first.finished(trained)["model"]
    key = first.client.headers["Authorization"].removeprefix("Bearer ")
    sets = {
        owner: callers.send(keys[owner], "POST", "/datasets", files={"file": ("f.csv", films(owner))}).json()["id"]
        for owner in OWNERS
    }
    workers[0].end("worker", seconds=90)  # so that all jobs wait before the first is taken
    bodies = [(owner, {"dataset": sets[owner], **FREEZE}) for _ in range(JOBS_OF_EACH) for owner in OWNERS]
    posted = [callers.send(keys[owner], "POST", "/jobs", json=body) for owner, body in bodies]
    assert {answer.status_code for answer in posted} == {202}

    database = Database(first.database_url)
    parts = [(one, "worker", one.start_worker) for one in workers] + [
        (one, "api", one.start_api) for one in (first, second)
    ]
    began = time.monotonic()
    for one in workers:
        one.start_worker()
    with predicting(callers, key, served) as answers, replacing(parts) as done:
        half = until(
            lambda: _at_least(counted(database, "succeeded"), len(posted) // 2), 1800, "half of them", every=0.05
        )
        until(lambda: counted(database, "succeeded").total() >= len(posted), 1800, "all have succeeded", every=1)
        seconds = time.monotonic() - began
    figures = {"seconds": round(seconds), "half": dict(half), "answers": dict(answers)}
    for name, figure in {**figures, "again": dict(callers.again), "replaced": dict(done)}.items():
        record_property(name, figure)

    share = half.total() / len(OWNERS)
    assert set(answers) == {200}
    assert {owner: count for owner, count in half.items() if abs(count - share) > FAIR_WITHIN * share} == {}
    with database.read() as session:
        attempts = session.scalars(select(JobRow.attempt).where(JobRow.owner.in_(OWNERS))).all()
        models = session.scalar(select(func.count()).where(ModelRow.owner.in_(OWNERS)))
    database.close()
    assert models == len(posted)
    assert max(attempts) == 1, "who is asked to stop gives a job back without spending an attempt"
    assert done["worker"] >= WORKERS
    assert done["api"] >= len(callers.replicas)
