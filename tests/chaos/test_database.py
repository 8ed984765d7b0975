"""The database may be locked, restarted, or judged by a worker whose own clock is wrong (rows 16, 17, 27, 28)."""

import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier

import psutil
import pytest
from sqlalchemy import select, update
from sqlalchemy.sql.elements import ColumnElement

from models_store import jobs, leases
from models_store.database.engine import Database, now
from models_store.database.tables import JobRow
from models_store.jobs import NewJob
from models_store.sweep import sweep
from tests import postgresql
from tests.chaos import imports
from tests.chaos.rows import row
from tests.cluster import about_sqlite
from tests.e2e import sets
from tests.e2e.service import Service, until
from tests.programs import missing

SQUEEZENET = "torchvision/squeezenet1_1"
LOCKED_SECONDS = 6
"""SQLite waits 5 s for a lock; then the client has to hear of it."""
LEASE_END_SECONDS = leases.LEASE_SECONDS + 10
SETTLED_SECONDS = 60
DEAD = 20
SWEEPERS = 6


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


@pytest.mark.slow
@about_sqlite
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


@about_sqlite
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


def on_postgresql(make_service: Callable[..., Service], server: postgresql.Server, **env: str) -> Service:
    """An installation, not started, with a database of its own on the server."""
    return make_service(database_url=server.create(f"chaos_{uuid.uuid4().hex}"), **env)


def restart(service: Service, server: postgresql.Server) -> None:
    """Stop PostgreSQL as a crash does, see the API say so, and start it again."""
    server.stop()
    try:
        answer = service.client.get("/datasets")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        answer = service.client.post("/datasets", files={"file": ("a.csv", imports.content(99))})
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    finally:
        server.start()


@pytest.mark.slow
def test_api_and_worker_reconnect_to_a_restarted_postgresql(
    make_service: Callable[..., Service], postgresql_server: postgresql.Server
) -> None:
    service = on_postgresql(make_service, postgresql_server).start()
    before = imports.post(service, 3)
    restart(service, postgresql_server)
    imports.done(service, before + imports.post(service, 1), SETTLED_SECONDS)


@pytest.mark.slow
def test_a_job_that_trains_while_postgresql_is_restarted_publishes_one_model(
    make_service: Callable[..., Service], postgresql_server: postgresql.Server
) -> None:
    service = on_postgresql(make_service, postgresql_server, FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2").start()
    job_id = training(service, max_epochs=400)
    restart(service, postgresql_server)
    job = service.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    assert len(service.client.get("/models").json()["data"]) == 1


SLEEP_BY_SELECT = """
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""Under libfaketime 0.9 Python's own sleep, a clock_nanosleep on the monotonic clock, fails as an invalid argument."""


def faked_clock(folder: Path, offset: str) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong; how much time has passed is still told right."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        missing("faketime")
    (folder / "sitecustomize.py").write_text(SLEEP_BY_SELECT)
    faked = {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {**faked, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


def start_worker_with_clock(service: Service, name: str, offset: str) -> None:
    """Start a worker that lives in another hour."""
    right = dict(service.env)
    service.env |= faked_clock(service.folder, offset)
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"], env=service.env, capture_output=True
    )
    assert abs(float(told.stdout) - time.time()) == pytest.approx(3600, abs=30)
    service.start_worker(name)
    service.env.clear()
    service.env |= right


@pytest.mark.slow
@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_a_worker_whose_clock_is_an_hour_wrong_neither_loses_its_job_nor_takes_anothers(
    offset: str, make_service: Callable[..., Service], postgresql_server: postgresql.Server
) -> None:
    service = on_postgresql(make_service, postgresql_server).start()
    dataset = str(service.upload("pictures.zip", sets.picture_zip(6))["id"])
    endless = {"max_epochs": 1000, "early_stopping": None}
    theirs = service.post_job(dataset, SQUEEZENET, weights=None, strategy="full", training=endless)
    until(lambda: row(service, theirs).state == "running", 60, "the first job runs")
    start_worker_with_clock(service, "wrong", offset)
    mine = service.post_job(dataset, SQUEEZENET, weights=None, strategy="full", training=endless)
    until(lambda: _held_for(service, mine) > 2 * leases.LEASE_SECONDS, 120, "both jobs outlived a lease")
    wrong = psutil.Process(service.pid("wrong")).children(recursive=True)
    assert sorted(child in wrong for child in service.job_processes()) == [False, True]
    for job_id in (theirs, mine):
        assert (row(service, job_id).state, row(service, job_id).fence) == ("running", 1)
        assert service.client.post(f"/jobs/{job_id}/cancel").status_code == 202
        assert service.finished(job_id)["status"] == "cancelled"
    imports.done_once(service, imports.post(service, 5), SETTLED_SECONDS)


def _held_for(service: Service, job_id: str) -> float:
    """Seconds by the database's clock since the job's first claim."""
    database = Database(service.database_url)
    try:
        with database.read() as session:
            return session.scalar(select(now() - JobRow.started_at).where(JobRow.id == job_id)) or 0.0
    finally:
        database.close()


def claim_all(service: Service, datasets: list[str]) -> None:
    """Claim every import as a worker would that then lost its power; nobody has noticed yet."""
    database = Database(service.database_url)
    try:
        assert all(leases.claim(database, "light", "dead") for _ in datasets)
        _set_leases(database, now() + 1000)
    finally:
        database.close()


def expire_all(service: Service) -> None:
    """All leases have run out at this moment."""
    database = Database(service.database_url)
    try:
        _set_leases(database, now() - 1)
    finally:
        database.close()


def _set_leases(database: Database, until: ColumnElement[float]) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.state == "running").values(lease_until=until))


@pytest.mark.slow
def test_many_sweeps_at_once_requeue_each_dead_attempt_once(
    make_service: Callable[..., Service], installation_database: str
) -> None:
    service = make_service(database_url=installation_database)
    service.start_broker()
    service.migrate()
    service.start_api()
    datasets = imports.post(service, 10)
    claim_all(service, datasets)
    twin = Service(service.folder, database_url=installation_database)
    try:
        twin.start_api()
        service.start_worker("one")
        service.start_worker("other")
        until(lambda: len(service.client.get("/workers").json()["data"]) == 4, 60, "four lanes live")
        expire_all(service)
        rows = imports.done(service, datasets, 2 * SETTLED_SECONDS)
    finally:
        twin.stop()
    assert [(job.attempt, job.fence) for job in rows] == [(2, 2)] * 10
    again = ["queued", "running", *imports.ONCE]
    assert [imports.statuses(service, job.id) for job in rows] == [again] * 10


def test_sweeps_at_the_same_moment_requeue_each_dead_attempt_once(database: Database, database_url: str) -> None:
    for number in range(DEAD):
        jobs.create(database, NewJob(kind=jobs.IMPORT, owner="ann", name="x", dataset_id=f"ds_{number}"))
    held = [leases.claim(database, "light", "dead") for _ in range(DEAD)]
    _set_leases(database, now() - 1)
    together = Barrier(SWEEPERS)

    def sweeps_and_claims(_number: int) -> None:
        mine = Database(database_url)
        together.wait()
        for _ in range(DEAD):
            sweep(mine, lambda _job_id, _lane: None)
            leases.claim(mine, "light", "living")
        mine.close()

    with ThreadPoolExecutor(SWEEPERS) as threads:
        list(threads.map(sweeps_and_claims, range(SWEEPERS)))
    again = ["queued", "running", "queued", "running"]
    for claim in held:
        assert claim is not None
        with database.read() as session:
            events, _ = jobs.events(session, claim.job_id)
            assert [event.data["status"] for event in events if event.type == "status"] == again
            assert session.get_one(JobRow, claim.job_id).fence == 2
