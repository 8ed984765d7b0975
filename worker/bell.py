"""Ring for a job from the worker's side: best effort, bounded in time."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.celery_app import TASKS

_log = structlog.get_logger()


def ring(celery: Celery, job_id: str, lane: str) -> None:
    """Send one message; a broker that is down costs nothing but the wait for the next sweep."""
    try:
        celery.send_task(TASKS[lane], args=[job_id], queue=lane, retry=False)
    except (OperationalError, RedisError, OSError) as error:
        _log.warning("bell_not_rung", job=job_id, reason=str(error))
