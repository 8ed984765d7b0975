"""The broker may be killed, wiped, stopped, frozen, cut off or repeat itself: no job is lost, none runs twice
(rows 9 to 15 of the fault matrix).
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import imports
from tests.chaos.proxy import Proxy
from tests.chaos.rows import row
from tests.e2e import sets
from tests.e2e.service import Service, until

SQUEEZENET = "torchvision/squeezenet1_1"
RECOVERY_SECONDS = 60
ANSWER_SECONDS = 3
OUTAGE_SECONDS = 120
LANE = "light"


def without_worker(service: Service) -> Service:
    """Broker and API run; what is posted waits."""
    service.start_broker()
    service.migrate()
    service.start_api()
    return service


def recovered(service: Service, datasets: list[str], since: float) -> None:
    """All are done, and one more that is posted now, before the promised time after ``since`` is over."""
    imports.done_once(service, datasets, since + RECOVERY_SECONDS - time.monotonic())
    imports.done_once(service, imports.post(service, 1), since + RECOVERY_SECONDS - time.monotonic())


def test_nothing_is_lost_when_the_broker_is_killed_and_consuming_goes_on_within_a_minute(
    make_service: Callable[..., Service], broker_program: str
) -> None:
    service = make_service(broker=broker_program).start()
    before = imports.post(service, 3)
    service.end("broker", signal.SIGKILL)
    meanwhile = imports.post(service, 3, seconds=ANSWER_SECONDS)
    service.start_broker()
    recovered(service, before + meanwhile, since=time.monotonic())


@pytest.mark.slow
def test_queued_jobs_run_although_the_broker_was_wiped(
    make_service: Callable[..., Service], broker_program: str
) -> None:
    service = without_worker(make_service(broker=broker_program))
    datasets = imports.post(service, 5)
    with service.redis() as redis:
        assert until(lambda: redis.llen(LANE), 10, "messages wait")
        redis.flushall()
    service.start_worker()
    imports.done_once(service, datasets, RECOVERY_SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_queued_jobs_all_run_after_the_broker_is_wiped(make_service: Callable[..., Service]) -> None:
    service = without_worker(make_service())
    datasets = imports.post(service, 50)
    service.start_worker()
    until(lambda: any(job.state == "succeeded" for job in imports.jobs(service, datasets)), 60, "one has run")
    with service.redis() as redis:
        redis.flushall()
    imports.done_once(service, datasets, 400)


@pytest.mark.slow
def test_an_idle_worker_still_hears_after_the_broker_was_wiped(make_service: Callable[..., Service]) -> None:
    service = make_service().start()
    imports.done_once(service, imports.post(service, 1), RECOVERY_SECONDS)
    with service.redis() as redis:
        redis.flushall()
    recovered(service, imports.post(service, 1), since=time.monotonic())


def test_posts_are_answered_within_3_seconds_while_the_broker_is_down(make_service: Callable[..., Service]) -> None:
    service = without_worker(make_service())
    service.end("broker")
    imports.post(service, 10, seconds=ANSWER_SECONDS)


def training(service: Service, max_epochs: int) -> str:
    """A job that trains, one or two seconds an epoch."""
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    options = {"max_epochs": max_epochs, "early_stopping": None, "batch_size": 4}
    job_id = service.post_job(dataset, SQUEEZENET, weights=None, strategy="full", training=options)
    until(lambda: service.job(job_id)["status"] == "running", RECOVERY_SECONDS, "the job runs")
    return job_id


@pytest.mark.slow
def test_a_running_job_finishes_while_the_broker_is_down(make_service: Callable[..., Service]) -> None:
    service = make_service().start()
    job_id = training(service, max_epochs=3)
    service.end("broker", signal.SIGKILL)
    job = service.finished(job_id)
    assert (job["status"], job["attempt"], row(service, job_id).fence) == ("succeeded", 1, 1), job["error"]


@pytest.mark.slow
def test_jobs_posted_in_two_minutes_without_a_broker_run_within_a_minute_of_its_return(
    make_service: Callable[..., Service],
) -> None:
    service = make_service().start()
    service.end("broker")
    since = time.monotonic()
    datasets = imports.post(service, 20, seconds=ANSWER_SECONDS)
    until(lambda: time.monotonic() - since > OUTAGE_SECONDS, OUTAGE_SECONDS + 10, "the outage is over")
    assert service.client.get("/readyz", timeout=10).json()["checks"]["worker"] == "ok"
    service.start_broker()
    recovered(service, datasets, since=time.monotonic())


@pytest.mark.slow
def test_a_broker_that_is_frozen_for_30_seconds_makes_no_second_attempt(
    make_service: Callable[..., Service], broker_program: str
) -> None:
    service = make_service(broker=broker_program).start()
    queued = imports.post(service, 3)
    with service.redis() as redis:
        redis.execute_command("CLIENT", "PAUSE", "30000", "ALL")
    since = time.monotonic()
    meanwhile = imports.post(service, 10, seconds=ANSWER_SECONDS)
    until(lambda: service.client.get("/readyz").status_code == 200, 30 + RECOVERY_SECONDS, "the broker answers again")
    assert time.monotonic() - since > 25
    recovered(service, queued + meanwhile, since=time.monotonic())


def freeze(service: Service) -> None:
    """The broker takes what it is sent and answers nothing, for longer than any test."""
    with service.redis() as redis:
        redis.execute_command("CLIENT", "PAUSE", "300000", "ALL")


def stop(service: Service) -> None:
    """The broker is gone."""
    service.end("broker", signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("take_away", [freeze, stop])
def test_a_worker_without_a_broker_stops_politely_within_30_seconds_however_many_jobs_wait(
    take_away: Callable[[Service], None], make_service: Callable[..., Service]
) -> None:
    service = make_service().start()
    job_id = training(service, max_epochs=1000)
    take_away(service)
    queued = imports.post(service, 20, seconds=ANSWER_SECONDS)
    service.end("api", signal.SIGKILL)
    imports.unring(service, queued)
    until(lambda: all(job.rung_at for job in imports.jobs(service, queued)), 30, "the worker's sweep rings in vain")
    service.end("worker", seconds=30)
    given_back = row(service, job_id)
    assert (given_back.state, given_back.attempt) == ("queued", 0)


@pytest.mark.slow
def test_worker_and_api_recover_within_a_minute_from_connections_that_lead_nowhere(
    make_service: Callable[..., Service], make_proxy: Callable[[Path], Proxy]
) -> None:
    service = make_service()
    service.start_broker()
    proxy = make_proxy(service.socket)
    service.env["FINETUNED_REDIS_URL"] = proxy.url
    service.start()
    imports.done_once(service, imports.post(service, 1), RECOVERY_SECONDS)
    assert proxy.forget_connections() >= 2
    since = time.monotonic()
    recovered(service, imports.post(service, 1, seconds=ANSWER_SECONDS), since)


@pytest.mark.slow
def test_a_message_that_comes_50_times_makes_one_attempt(
    make_service: Callable[..., Service], broker_program: str
) -> None:
    service = without_worker(make_service(broker=broker_program))
    datasets = imports.post(service, 3)
    with service.redis() as redis:
        message = until(lambda: redis.lindex(LANE, 0), 10, "a message waits")
        redis.lpush(LANE, *[message] * 49)
        service.start_worker("one")
        service.start_worker("other")
        imports.done_once(service, datasets, RECOVERY_SECONDS)
        until(lambda: not redis.llen(LANE), RECOVERY_SECONDS, "all messages were heard")
    imports.done_once(service, datasets, 1)


def test_a_message_that_was_deleted_is_sent_again(make_service: Callable[..., Service], broker_program: str) -> None:
    service = without_worker(make_service(broker=broker_program))
    datasets = imports.post(service, 1)
    with service.redis() as redis:
        until(lambda: redis.lpop(LANE), 10, "the message waits")
    service.start_worker()
    imports.done_once(service, datasets, RECOVERY_SECONDS)


@pytest.mark.slow
def test_a_message_that_the_sweep_sent_is_sent_again_when_it_too_was_deleted(
    make_service: Callable[..., Service],
) -> None:
    service = without_worker(make_service())
    datasets = imports.post(service, 1)
    until(lambda: imports.jobs(service, datasets)[0].rung_at, 20, "the sweep has rung")
    with service.redis() as redis:
        until(lambda: redis.llen(LANE) == 2, 10, "both messages wait")
        redis.delete(LANE)
    service.start_worker()
    imports.done_once(service, datasets, RECOVERY_SECONDS)
