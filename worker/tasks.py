"""The two Celery tasks. Each hears a bell, then works until nothing that it may run is left."""

import socket
from multiprocessing.synchronize import Event

from celery import Celery

from models_store import leases
from models_store.database.engine import Database
from worker.celery_app import TASKS
from worker.reserve import Reserve
from worker.settings import WorkerSettings
from worker.supervisor import supervise


def worker_id(launcher_pid: int, lane: str) -> str:
    """The name under which a lane is seen alive, and owns leases."""
    return f"{socket.gethostname()}:{launcher_pid}:{lane}"


def register(celery: Celery, settings: WorkerSettings, lane: str, me: str, stopping: Event, reserve: Reserve) -> None:
    """Add the lane's task. The id in the message is only a hint: the oldest job that may run is claimed."""

    @celery.task(name=TASKS[lane])  # type: ignore[untyped-decorator]
    def run(_job_id: str) -> None:
        database = Database(settings.resolved_database_url)
        try:
            drain(database, settings, lane, me, stopping, reserve)
        finally:
            database.close()


def drain(database: Database, settings: WorkerSettings, lane: str, me: str, stopping: Event, reserve: Reserve) -> None:
    """Run claimed jobs one after another until the lane is empty or the worker is being stopped."""
    while not stopping.is_set():
        claim = leases.claim(database, lane, me)
        if claim is None:
            return
        supervise(database, settings, claim, stopping, reserve)
