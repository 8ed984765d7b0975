"""Ring the bell: tell a worker, through Celery and by name, that a row waits. Best effort, never in a client's way."""

import contextlib
import queue
import threading
from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from models_store import spans
from models_store.spans import Span

TASKS: Final = {"training": "worker.run_training", "light": "worker.run_light"}
"""Lane (which is also the queue's name) → task name."""
_TIMEOUT_SECONDS: Final = 1.0
_MAX_WAITING: Final = 1000
_SEND_ERRORS: Final = (OperationalError, RedisError, OSError)
_log = structlog.get_logger()


class Bell:
    """Sends messages from a thread of its own. What it cannot send is dropped: the sweep rings again."""

    def __init__(self, redis_url: str) -> None:
        self._celery = _celery(redis_url)
        self._waiting: queue.Queue[tuple[str, str, Span | None] | None] = queue.Queue(_MAX_WAITING)
        self._over = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, for no longer than one message may take; the rest is dropped."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
            self._thread.join(timeout=3 * _TIMEOUT_SECONDS)
        self._over = True

    def ring(self, job_id: str, lane: str) -> None:
        """Send soon; returns at once and never raises."""
        try:
            self._waiting.put_nowait((job_id, lane, spans.current()))
        except queue.Full:
            _log.warning("bell_not_rung", job=job_id, reason="too many messages wait for the broker")

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None and not self._over:
            job_id, lane, asked = message
            with spans.entered(asked and asked.child("ring", {"finetuned.job.id": job_id}, kind="producer")):
                self._send(job_id, lane)

    def _send(self, job_id: str, lane: str) -> None:
        try:
            self._celery.send_task(TASKS[lane], args=[job_id], queue=lane, retry=False)
        except _SEND_ERRORS as error:
            _log.warning("bell_not_rung", job=job_id, reason=str(error))


def _celery(redis_url: str) -> Celery:
    celery = Celery("finetuned", broker=redis_url, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        broker_connection_retry=False,
        broker_connection_timeout=_TIMEOUT_SECONDS,
        broker_transport_options={"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS},
    )
    return celery


def broker_answers(redis_url: str) -> bool:
    """Whether the broker answers a ping within some two seconds."""
    once = Retry(NoBackoff(), 0)
    url = redis_url.replace("redis+socket://", "unix://", 1)
    try:
        with Redis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, retry=once
        ) as client:
            return bool(client.ping())
    except (RedisError, OSError, TypeError):
        return False
