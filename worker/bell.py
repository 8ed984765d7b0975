"""Ring for jobs from the worker's side: best effort, bounded in time."""

import time
from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from models_store.sweep import INTERVAL_SECONDS
from worker.celery_app import TASKS

_TIMEOUT_SECONDS: Final = 1.0
_log = structlog.get_logger()


class Bell:
    """Sends messages from the caller's thread, which has a heartbeat to keep and a stop to obey.

    A connection of its own, that gives up at once, and silence for a while after a failure: however many jobs wait,
    a broker that is down or frozen costs seconds, and the jobs wait for a later sweep.
    """

    def __init__(self, redis_url: str) -> None:
        self._celery = _celery(redis_url)
        self._silent_until = 0.0

    def ring(self, job_id: str, lane: str, queue: str | None = None) -> None:
        """Send one message, to everybody in the lane or to a queue of some; never raises."""
        if time.monotonic() < self._silent_until:
            return
        try:
            self._celery.send_task(TASKS[lane], args=[job_id], queue=queue or lane, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            self._silent_until = time.monotonic() + INTERVAL_SECONDS
            _log.warning("bell_not_rung", job=job_id, reason=str(error))


def _celery(redis_url: str) -> Celery:
    celery = Celery("finetuned", broker=redis_url, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        broker_transport_options={
            "max_retries": 0,
            "socket_timeout": _TIMEOUT_SECONDS,
            "socket_connect_timeout": _TIMEOUT_SECONDS,
        },
    )
    return celery
