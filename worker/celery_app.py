"""The Celery application: JSON only, early acknowledgement, no retries. A message is a bell that may be lost."""

from typing import Any

from celery import Celery
from kombu.entity import Queue

from models_store.labels import Labels, shown
from worker.settings import WorkerSettings

TASKS = {"training": "worker.run_training", "light": "worker.run_light"}
"""Lane (which is also the queue's name) → task name."""


def own_queue(lane: str, labels: Labels) -> str:
    """The queue of the workers that offer the very same: bells for jobs that not every worker can run."""
    return f"{lane}@{shown(labels).replace(',', '+')}"  # a comma would part it in two on Celery's command line


def make_celery(settings: WorkerSettings, *own_queues: str) -> Celery:
    """Build the application; tasks are added by :func:`worker.tasks.register`."""
    celery = Celery("finetuned", broker=settings.redis_url)
    celery.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        # A message that ends the worker is not there when it is started again; no other has to be kept either.
        task_queues=[Queue(name, routing_key=name, no_ack=True) for name in (*TASKS, *own_queues)],  # type: ignore[no-untyped-call]
        task_routes={task: {"queue": lane} for lane, task in TASKS.items()},
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options=_transport(settings.redis_url),
    )
    return celery


def _transport(redis_url: str) -> dict[str, Any]:
    """Bounds that let a worker notice a dead broker; keep-alive means nothing on a unix socket."""
    options = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 10}
    return options if redis_url.startswith("redis+socket") else {**options, "socket_keepalive": True}
