import json
import socket
import time

import httpx
import pytest
from redis import Redis
from sqlalchemy import select

from app.queue import TASKS, Bell, broker_answers
from app.settings import AppSettings
from models_store import jobs
from models_store.database.tables import JobRow
from tests.app.service import Running, job, running, until, upload_texts


def _redis(url: str) -> "Redis":
    return Redis.from_url(url.replace("redis+socket://", "unix://"))


def _taken(url: str, queue: str) -> list[list[str]]:
    """Task, and the id that it carries, of every message in a queue, which is emptied."""
    with _redis(url) as redis:
        messages = [json.loads(message) for message in redis.lrange(queue, 0, -1)]
        redis.delete(queue)
    return [[message["headers"]["task"], message["headers"]["argsrepr"]] for message in messages]


def test_a_job_rings_on_the_lane_of_its_kind(service: Running, client: httpx.Client, broker_url: str) -> None:
    with _redis(broker_url) as redis:
        redis.flushall()
    dataset = upload_texts(client)
    with service.database.read() as session:
        imported = session.scalar(select(JobRow.id).where(JobRow.dataset_id == dataset))
    job_id = job(client, dataset)["id"]
    heard: dict[str, list[list[str]]] = {"training": [], "light": []}

    def rung() -> bool:
        for queue, messages in heard.items():
            messages += _taken(broker_url, queue)
        told = str(heard)
        return job_id in told and str(imported) in told

    until(rung)
    # The dispatcher may have rung too, also for jobs of other tests: what counts is that no lane hears the other's.
    assert ["worker.run_training", f"['{job_id}']"] in heard["training"]
    assert ["worker.run_light", f"['{imported}']"] in heard["light"]
    assert {task for task, _ in heard["training"]} == {"worker.run_training"}
    assert {task for task, _ in heard["light"]} == {"worker.run_light"}


def test_a_job_that_nobody_heard_of_is_rung_for_again(settings: AppSettings, broker_url: str) -> None:
    with running(settings) as service, service.client() as client:
        job_id = job(client, upload_texts(client))["id"]

        def rung() -> bool:
            return any(job_id in argument for _, argument in _taken(broker_url, "training"))

        until(rung, 5, "the first message")
        until(rung, 45, "the dispatcher's message")  # on a slow machine both first messages may be drawn as one


def test_ringing_never_waits_for_the_broker_and_neither_does_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        bell = Bell(f"redis://127.0.0.1:{black_hole.getsockname()[1]}/0")
        bell.start()
        started = time.monotonic()
        for number in range(2000):
            bell.ring(f"job_{number}", "training")
        assert time.monotonic() - started < 1
        bell.stop()
        until(lambda: not bell._thread.is_alive(), 20, "its thread has ended, though a thousand messages wait")


def test_a_bell_rings_again_when_the_broker_is_back(broker_url: str) -> None:
    with _redis(broker_url) as redis:
        redis.delete("training")
        bell = Bell(broker_url)
        bell.start()
        bell.ring("job_1", "training")
        until(lambda: redis.llen("training") == 1)
        redis.client_kill_filter(_type="normal", skipme=True)

        def rung() -> bool:
            bell.ring("job_2", "training")
            return any("job_2" in argument for _, argument in _taken(broker_url, "training"))

        until(rung, 10)
        bell.stop()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/x.sock"])
def test_a_broker_that_is_not_there_does_not_answer(url: str) -> None:
    assert broker_answers(url) is False


def test_a_broker_that_hangs_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        started = time.monotonic()
        assert broker_answers(f"redis://127.0.0.1:{black_hole.getsockname()[1]}/0") is False
        assert time.monotonic() - started < 4


def test_every_lane_has_a_task() -> None:
    assert set(TASKS) == set(jobs.LANES.values())
