"""The two Celery tasks. Each hears a bell, then works until nothing that it may run is left."""

import socket
import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

from celery import Celery

from models_store import leases
from models_store.database.engine import Database
from models_store.labels import Labels
from models_store.spans import Tracer
from worker import telling
from worker.celery_app import TASKS
from worker.reserve import Reserve
from worker.settings import WorkerSettings
from worker.supervisor import supervise


@dataclass(frozen=True)
class Post:
    """Where a lane stands: which jobs it takes, under which name, and until when."""

    lane: str
    me: str
    """Its name; see :func:`worker_id`."""
    labels: Labels
    stopping: Event
    """The running job has to give way."""
    draining: Event
    """No further job is taken."""
    tracer: Tracer = field(default_factory=lambda: Tracer("worker"))


def worker_id(launcher_pid: int, lane: str) -> str:
    """The name under which a lane is seen alive, and owns leases."""
    return f"{socket.gethostname()}:{launcher_pid}:{lane}"


def register(celery: Celery, settings: WorkerSettings, post: Post, reserve: Reserve) -> None:
    """Add the lane's task. The id in the message is only a hint: the job whose turn it is, is claimed."""

    @celery.task(name=TASKS[post.lane])  # type: ignore[untyped-decorator]
    def run(_job_id: str) -> None:
        database = Database(settings.resolved_database_url)
        try:
            work_off(database, settings, post, reserve)
        finally:
            database.close()


def work_off(database: Database, settings: WorkerSettings, post: Post, reserve: Reserve) -> None:
    """Run claimed jobs one after another until nothing is left for this worker, or it may take no more."""
    while not (post.stopping.is_set() or post.draining.is_set()):
        asked_at = time.time_ns()
        claim = leases.claim(database, post.lane, post.me, post.labels)
        if claim is None:
            return
        with telling.attempt(post.tracer, database, claim, asked_at):
            supervise(database, settings, claim, post.stopping, reserve)
