"""One lane as a process: a Celery worker with one pool process. Started by :mod:`worker.__main__`."""

import logging
import multiprocessing
import os
import sys
from typing import Any, Final

from celery import signals

from models_store import logs
from models_store.jobs import FINE_TUNE
from worker.celery_app import make_celery
from worker.parent import die_with_parent
from worker.reserve import Reserve
from worker.settings import WorkerSettings
from worker.tasks import register, worker_id

STANDBY_FOR: Final = {"training": FINE_TUNE}
"""Lane → the kind of job for which a process is kept ready. An import waits for next to nothing."""


def main(lane: str, parent_pid: int) -> None:
    """Consume the lane's queue until terminated; a job that runs then is checkpointed and given back."""
    die_with_parent(parent_pid)
    logs.configure()
    settings = WorkerSettings()
    celery = make_celery(settings)
    stopping = multiprocessing.get_context("fork").Event()
    reserve = Reserve(STANDBY_FOR.get(lane) if settings.standby else None, stopping)
    register(celery, settings, lane, worker_id(parent_pid, lane), stopping, reserve)

    def on_setup(**_: Any) -> None:
        """Who answers this signal has set up the logs, and Celery writes them as everything here does."""
        logging.getLogger("celery").setLevel(logging.WARNING)

    def on_shutdown(**_: Any) -> None:
        stopping.set()

    me = os.getpid()

    def on_fork(**_: Any) -> None:
        die_with_parent(me)
        reserve.open()

    def on_end(**_: Any) -> None:
        reserve.close()

    signals.setup_logging.connect(on_setup)
    signals.worker_shutting_down.connect(on_shutdown)
    signals.worker_process_init.connect(on_fork)
    signals.worker_process_shutdown.connect(on_end)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    who = [f"--queues={lane}", f"--hostname={lane}-{me}@%h"]
    celery.worker_main(["--quiet", "worker", "--pool=prefork", *who, *quiet])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
