import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, until
from worker.bell import Bell

WAITING = 100


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A broker that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def _seconds_to_ring(bell: Bell) -> float:
    started = time.monotonic()
    for number in range(WAITING):
        bell.ring(f"job_{number}", "training")
    return time.monotonic() - started


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/x.sock"])
def test_ringing_for_many_jobs_at_a_broker_that_is_down_costs_seconds(url: str) -> None:
    assert _seconds_to_ring(Bell(url)) < 3


def test_ringing_for_many_jobs_at_a_broker_that_is_frozen_costs_seconds(black_hole: str) -> None:
    assert _seconds_to_ring(Bell(black_hole)) < 3


def test_a_message_names_the_task_of_its_lane_and_the_job(tmp_path: Path) -> None:
    service = Service(tmp_path)
    try:
        service.start_broker()
        Bell(service.env["FINETUNED_REDIS_URL"]).ring("job_1", "light")
        with service.redis() as redis:
            (message,) = redis.lrange("light", 0, -1)
        headers = json.loads(message)["headers"]
        assert (headers["task"], headers["argsrepr"]) == ("worker.run_light", "['job_1']")
    finally:
        service.stop()


def test_a_bell_rings_again_some_seconds_after_the_broker_came_back(tmp_path: Path) -> None:
    service = Service(tmp_path)
    bell = Bell(service.env["FINETUNED_REDIS_URL"])
    bell.ring("job_1", "light")
    try:
        service.start_broker()
        with service.redis() as redis:

            def rung() -> int:
                bell.ring("job_2", "light")
                return int(redis.llen("light"))

            assert until(rung, 15, "the bell rings") == 1
    finally:
        service.stop()
