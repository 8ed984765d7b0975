"""Whatever befalls the process that stands by for the next job, no job notices."""

import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.chaos.rows import row
from tests.e2e import sets
from tests.e2e.service import Service, until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def pictures(service: Service) -> str:
    return str(service.upload("pictures.zip", sets.picture_zip(8))["id"])


def posted(service: Service, dataset: str) -> str:
    return service.post_job(dataset, "plugin/slow", strategy="full", training={"max_epochs": 1, "batch_size": 4})


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_standby_that_is_killed_while_idle_is_replaced_and_the_next_job_runs(service: Service, pictures: str) -> None:
    standby = service.ready_standby()
    standby.kill()
    until(lambda: gone(standby), 10, "it is dead")
    replacement = service.ready_standby()
    job_id = posted(service, pictures)
    until(lambda: service.job_processes() == [replacement], 20, "the replacement does the job", every=0.02)
    job = service.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    until(lambda: gone(replacement), 20, "it did one job, and ended")


@pytest.mark.slow
def test_a_standby_that_is_killed_as_it_is_given_a_job_costs_neither_the_job_nor_an_attempt(
    service: Service, pictures: str
) -> None:
    standby = service.ready_standby()
    standby.suspend()  # so that it is given the job, and does not begin it
    job_id = posted(service, pictures)
    log = service.data_dir / "scratch" / job_id / "fence-1" / "child.log"
    until(lambda: row(service, job_id).state == "running" and log.exists(), 20, "the job is being handed over")
    standby.kill()
    job = service.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]


@pytest.mark.slow
def test_a_standby_that_is_frozen_as_it_is_given_a_job_costs_one_lease(service: Service, pictures: str) -> None:
    standby = service.ready_standby()
    standby.suspend()
    job_id = posted(service, pictures)
    until(lambda: gone(standby), 30, "it is ended with its lease")
    job = service.finished(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]


@pytest.mark.slow
def test_a_job_that_does_not_wait_for_its_standby_is_done_all_the_same(service: Service, pictures: str) -> None:
    jobs = [posted(service, pictures) for _ in range(3)]
    ended = [service.finished(job_id) for job_id in jobs]
    assert [(job["status"], job["attempt"]) for job in ended] == [("succeeded", 1)] * 3


@pytest.mark.slow
def test_a_standby_ends_with_its_pool_process_and_the_next_one_has_another(service: Service, pictures: str) -> None:
    standby = service.ready_standby()
    pool = standby.parent()
    assert pool is not None
    pool.kill()
    until(lambda: gone(standby), 10, "the standby died with it")
    assert service.ready_standby() != standby
    assert service.finished(posted(service, pictures))["status"] == "succeeded"


@pytest.mark.slow
def test_a_worker_that_is_stopped_leaves_no_standby(make_service: Callable[..., Service]) -> None:
    service = make_service().start()
    standby = service.ready_standby()
    assert service.end("worker", signal.SIGTERM, seconds=30) == 0
    assert gone(standby)


@pytest.mark.slow
def test_without_the_standby_every_job_starts_a_process_of_its_own(make_service: Callable[..., Service]) -> None:
    service = make_service(FINETUNED_STANDBY="false").start()
    job_id = posted(service, service.upload("pictures.zip", sets.picture_zip(8))["id"])
    until(lambda: service.children("worker.child"), 30, "its own process", every=0.02)
    assert service.finished(job_id)["status"] == "succeeded"
    assert service.children("worker.standby") == []
