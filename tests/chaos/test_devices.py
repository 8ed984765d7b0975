"""Jobs on two devices in a real installation: they end well, and leave nothing, whatever becomes of their processes."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.chaos.rows import history, row
from tests.e2e import sets
from tests.e2e.service import Service, until

RANK = "worker.training.devices.rank"
TWO: dict[str, Any] = {"max_epochs": 12, "batch_size": 4, "devices": 2, "accelerator": "cpu", "early_stopping": None}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2")
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def pictures(service: Service) -> str:
    return str(service.upload("pictures.zip", sets.picture_zip(6))["id"])


def training(service: Service, dataset: str) -> tuple[str, list[psutil.Process]]:
    """A job that has a checkpoint and goes on for some seconds, and its ranks."""
    job_id = service.post_job(dataset, "plugin/slow", strategy="full", training=TWO)
    until(lambda: row(service, job_id).checkpoint, 90, "the job has a checkpoint")
    ranks = service.children(RANK)
    assert len(ranks) == 2
    return job_id, ranks


def none_is_left(service: Service) -> None:
    until(lambda: not service.children(RANK), 10, "no rank is left")


@pytest.mark.slow
def test_a_job_of_which_one_rank_is_killed_goes_on_succeeds_and_predicts(service: Service, pictures: str) -> None:
    job_id, ranks = training(service, pictures)
    ranks[1].kill()
    until(lambda: not ranks[0].is_running() or ranks[0].status() == psutil.STATUS_ZOMBIE, 10, "the other one is ended")
    job = service.finished(job_id, 120)
    assert (job["status"], job["attempt"], job["config"]["training"]["devices"]) == ("succeeded", 2, 2), job["error"]
    assert "resumed from the checkpoint" in history(service, job_id)
    causes = [event["data"].get("reason") for event in service.events(job_id) if event["type"] == "status"]
    assert "crashed" in causes
    metrics = service.client.get(f"/jobs/{job_id}/metrics").json()["epochs"]
    assert [epoch["epoch"] for epoch in metrics] == list(range(12))
    none_is_left(service)
    files = {"file": ("blue.jpg", sets.picture("blue", 1))}
    answer = service.client.post("/predict", data={"model": job["model"]}, files=files)
    assert answer.json()["predictions"][0]["label"] in {"blue", "red"}, answer.text


@pytest.mark.slow
@pytest.mark.parametrize("who", ["child", "pool"])
def test_ranks_end_with_the_child_that_started_them(service: Service, pictures: str, who: str) -> None:
    job_id, ranks = training(service, pictures)
    (child,) = service.job_processes()
    victim = child if who == "child" else child.parent()
    assert victim is not None
    victim.kill()
    until(lambda: not [one for one in ranks if one in service.children(RANK)], 10, "its ranks are gone")
    assert service.finished(job_id, 120)["status"] == "succeeded"
    none_is_left(service)


@pytest.mark.slow
def test_a_rank_that_is_frozen_does_not_keep_the_job_from_being_cancelled(service: Service, pictures: str) -> None:
    job_id, ranks = training(service, pictures)
    ranks[1].suspend()
    asked = time.monotonic()
    assert service.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert service.finished(job_id, 20)["status"] == "cancelled"
    assert time.monotonic() - asked < 5
    none_is_left(service)


@pytest.mark.slow
def test_a_job_on_two_devices_begins_in_the_standby(service: Service, pictures: str) -> None:
    standby = service.ready_standby()
    _, ranks = training(service, pictures)
    assert [rank.parent() for rank in ranks] == [standby, standby]


@pytest.mark.slow
def test_a_worker_that_is_stopped_gives_the_job_back_with_a_checkpoint_and_no_attempt_spent(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2").start()
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    job_id, _ = training(service, dataset)
    assert service.end("worker", signal.SIGTERM, seconds=40) == 0
    stopped = row(service, job_id)
    assert (stopped.state, stopped.attempt) == ("queued", 0)
    none_is_left(service)
    service.start_worker()
    job = service.finished(job_id, 120)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]


@pytest.mark.slow
def test_devices_without_memory_get_half_batches(service: Service, pictures: str) -> None:
    job_id = service.post_job(
        pictures, "plugin/hungry", strategy="full", training={**TWO, "max_epochs": 1, "batch_size": 8}
    )
    job = service.finished(job_id, 120)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    assert "1/2 batch" in history(service, job_id)


@pytest.mark.slow
def test_more_devices_than_the_worker_has_are_refused_with_what_to_do(service: Service, pictures: str) -> None:
    asked = {**TWO, "devices": 64, "batch_size": 64}
    job = service.finished(service.post_job(pictures, "plugin/tiny", strategy="full", training=asked))
    assert (job["status"], job["error"]["code"]) == ("failed", "devices_unsupported")
    assert job["error"]["param"] == "training.devices"
