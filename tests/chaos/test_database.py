"""The database may be locked, restarted, or judged by a worker whose own clock is wrong (rows 16, 17, 27, 28)."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, update

from models_store import leases
from models_store.database.engine import Database, now
from models_store.database.tables import JobRow
from tests import postgresql
from tests.chaos import imports
from tests.chaos.conftest import missing
from tests.chaos.rows import row
from tests.e2e import sets
from tests.e2e.service import Service, until

SQUEEZENET = "torchvision/squeezenet1_1"
LOCKED_SECONDS = 6
"""SQLite waits 5 s for a lock; then the client has to hear of it."""
LEASE_END_SECONDS = leases.LEASE_SECONDS + 10
SETTLED_SECONDS = 60


@contextmanager
def locked(service: Service) -> Iterator[None]:
    """Nobody else can write to the SQLite file in the block."""
    with closing(sqlite3.connect(service.data_dir / "finetuned.db", isolation_level=None, timeout=30)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


def training(service: Service, max_epochs: int) -> str:
    """A job that has trained long enough to have a checkpoint."""
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    options = {"max_epochs": max_epochs, "early_stopping": None, "batch_size": 4}
    job_id = service.post_job(dataset, SQUEEZENET, weights=None, strategy="freeze", training=options)
    until(lambda: row(service, job_id).checkpoint, 90, "the job trains")
    return job_id


def test_a_locked_database_is_told_in_seconds_and_everything_goes_on_when_it_is_free(
    make_service: Callable[..., Service],
) -> None:
    service = make_service().start()
    ready = imports.post(service, 1)
    imports.done(service, ready, SETTLED_SECONDS)
    with locked(service):
        since = time.monotonic()
        answer = service.client.post("/datasets", files={"file": ("a.csv", imports.content(7))})
        assert time.monotonic() - since < LOCKED_SECONDS + 2
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert service.client.get(f"/datasets/{ready[0]}").status_code == 200
    imports.done(service, imports.post(service, 1), SETTLED_SECONDS)
    assert len(service.client.get("/datasets").json()["data"]) == 2
    assert not list((service.data_dir / "uploads").iterdir())


@pytest.mark.slow
def test_a_child_that_cannot_renew_stops_itself_at_the_end_of_its_lease_and_its_job_finishes_later(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2").start()
    job_id = training(service, max_epochs=400)
    (child,) = service.job_processes()
    supervisor = psutil.Process(child.ppid())
    supervisor.suspend()
    try:
        with locked(service):
            until(lambda: not service.job_processes(), LEASE_END_SECONDS, "the child has stopped itself")
    finally:
        supervisor.resume()
    job = service.finished(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert len(service.client.get("/models").json()["data"]) == 1
