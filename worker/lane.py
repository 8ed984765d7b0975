"""One lane as a process: a Celery worker with one pool process. Started by :mod:`worker.__main__`."""

import logging
import multiprocessing
import os
import signal
import sys
from types import FrameType
from typing import Any, Final

from celery import signals
from celery.worker import state

from models_store import logs
from models_store.jobs import FINE_TUNE
from models_store.labels import offered
from worker.celery_app import make_celery, own_queue
from worker.parent import die_with_parent
from worker.reserve import Reserve
from worker.settings import WorkerSettings
from worker.tasks import Post, register, worker_id

STANDBY_FOR: Final = {"training": FINE_TUNE}
"""Lane → the kind of job for which a process is kept ready. An import waits for next to nothing."""


def main(lane: str, parent_pid: int, offers: str) -> None:
    """Consume the lane's queues until terminated; a job that runs then is checkpointed and given back.

    SIGUSR1 drains the lane: it takes no further job, and ends when the running one has.
    """
    die_with_parent(parent_pid)
    logs.configure()
    settings = WorkerSettings()
    labels = offered(offers)
    celery = make_celery(settings, own_queue(lane, labels))
    events = multiprocessing.get_context("fork")
    post = Post(lane, worker_id(parent_pid, lane), labels, stopping=events.Event(), draining=events.Event())
    reserve = Reserve(STANDBY_FOR.get(lane) if settings.standby else None, post.stopping)
    register(celery, settings, post, reserve)

    def on_setup(**_: Any) -> None:
        """Who answers this signal has set up the logs, and Celery writes them as everything here does."""
        logging.getLogger("celery").setLevel(logging.WARNING)

    def on_shutdown(**_: Any) -> None:
        post.stopping.set()

    def on_drain(_signum: int, _frame: FrameType | None) -> None:
        post.draining.set()
        state.should_stop = os.EX_OK  # Celery's warm shutdown, without the signal that would stop the running job

    def on_ready(**_: Any) -> None:
        signal.signal(signal.SIGUSR1, on_drain)  # in the place of Celery's own, which writes out stacks

    me = os.getpid()

    def on_fork(**_: Any) -> None:
        die_with_parent(me)
        reserve.open()
        post.tracer.open()

    def on_end(**_: Any) -> None:
        reserve.close()
        post.tracer.close()

    signals.setup_logging.connect(on_setup)
    signals.worker_shutting_down.connect(on_shutdown)
    signals.worker_ready.connect(on_ready)
    signals.worker_process_init.connect(on_fork)
    signals.worker_process_shutdown.connect(on_end)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    who = [f"--queues={lane},{own_queue(lane, labels)}", f"--hostname={lane}-{me}@%h"]
    celery.worker_main(["--quiet", "worker", "--pool=prefork", *who, *quiet])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
