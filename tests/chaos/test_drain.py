"""A worker that drains finishes what it runs, takes nothing more, and ends; stopped meanwhile it gives way."""

import signal
from collections.abc import Callable

import pytest

from tests.chaos.rows import row
from tests.chaos.test_kills import LONG, SQUEEZENET, long_job
from tests.e2e.service import Service, until


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service(OMP_NUM_THREADS="1", FINETUNED_STANDBY="false").start()


@pytest.mark.slow
def test_a_worker_that_drains_finishes_its_job_takes_no_other_and_ends(service: Service) -> None:
    running = long_job(service)
    waiting = service.post_job(row(service, running).dataset_id, SQUEEZENET, weights=None, training=LONG)
    assert service.end("worker", signal.SIGUSR1, seconds=120) == 0
    ended, left = row(service, running), row(service, waiting)
    assert (ended.state, ended.attempt, left.state, left.attempt) == ("succeeded", 1, "queued", 0)
    assert service.client.get("/workers").json()["data"] == []


@pytest.mark.slow
def test_a_worker_that_is_stopped_while_it_drains_gives_its_job_back(service: Service) -> None:
    options = {**LONG, "max_epochs": 1000}
    dataset = row(service, long_job(service)).dataset_id
    endless = service.post_job(dataset, SQUEEZENET, weights=None, strategy="full", training=options)
    until(lambda: (row(service, endless).progress or {}).get("phase") == "training", 90, "the second job trains")
    service.send("worker", signal.SIGUSR1)
    until(
        lambda: [one["draining"] for one in service.client.get("/workers").json()["data"]] == [True, True], 20, "told"
    )
    assert service.end("worker", signal.SIGTERM, seconds=60) == 0
    left = row(service, endless)
    assert (left.state, left.attempt) == ("queued", 0)
