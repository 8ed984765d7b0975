"""A cancelled job ends within five seconds in every phase, in exactly one terminal state (rows 25, 26)."""

import time
from collections.abc import Iterator
from typing import Any

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
    return str(service.upload("pictures.zip", sets.picture_zip(60))["id"])


def long_job(service: Service, dataset: str, strategy: str) -> str:
    training = {"max_epochs": 500, "batch_size": 2, "early_stopping": None}
    return service.post_job(dataset, "plugin/slow", strategy=strategy, training=training)


def cancelled_within_five_seconds(service: Service, job_id: str) -> dict[str, Any]:
    asked = time.monotonic()
    assert service.client.post(f"/jobs/{job_id}/cancel").status_code == 202
    job = service.wait(f"/jobs/{job_id}", {"succeeded", "failed", "cancelled"}, 10)
    assert time.monotonic() - asked <= 5
    assert job["status"] == "cancelled"
    assert job["model"] is None
    until(lambda: not service.job_processes(), 5, "no process is left of it")
    return job


def in_phase(service: Service, job_id: str, phase: str) -> None:
    until(lambda: (row(service, job_id).progress or {}).get("phase") == phase, 60, f"the job is in {phase}", every=0.02)


def test_while_queued(service: Service, pictures: str) -> None:
    running = long_job(service, pictures, "freeze")
    queued = long_job(service, pictures, "freeze")
    until(lambda: row(service, running).state == "running", 20, "the first runs")
    answer = service.client.post(f"/jobs/{queued}/cancel").json()
    assert answer["status"] == "cancelled"
    cancelled_within_five_seconds(service, running)
    assert row(service, queued).attempt == 0


def test_while_its_process_starts(service: Service, pictures: str) -> None:
    job_id = long_job(service, pictures, "freeze")
    until(service.job_processes, 20, "the child is there", every=0.02)
    cancelled_within_five_seconds(service, job_id)


@pytest.mark.slow
def test_while_it_computes_features(service: Service, pictures: str) -> None:
    job_id = long_job(service, pictures, "freeze")
    in_phase(service, job_id, "features")
    cancelled_within_five_seconds(service, job_id)


def test_while_it_trains(service: Service, pictures: str) -> None:
    job_id = long_job(service, pictures, "full")
    in_phase(service, job_id, "training")
    cancelled_within_five_seconds(service, job_id)


@pytest.mark.slow
def test_at_any_moment_of_a_short_job(service: Service, pictures: str) -> None:
    """Loading, caching, training, validating, saving: a sweep over the moments of a job of some seconds."""
    training = {"max_epochs": 3, "batch_size": 64}
    whole = service.post_job(pictures, "plugin/tiny", strategy="full", training=training)
    done = service.finished(whole)
    assert done["status"] == "succeeded"
    started = row(service, whole).started_at or 0.0
    length = (row(service, whole).finished_at or 0.0) - started
    for part in range(12):
        job_id = service.post_job(pictures, "plugin/tiny", strategy="full", training=training)
        until(lambda wanted=job_id: row(service, wanted).state == "running", 20, "it runs", every=0.02)  # type: ignore[misc]
        begun = time.monotonic()
        until(lambda at=begun, share=part: time.monotonic() - at >= length * share / 12, 60, "the moment", every=0.01)  # type: ignore[misc]
        answer = service.client.post(f"/jobs/{job_id}/cancel")
        ended = service.wait(f"/jobs/{job_id}", {"succeeded", "failed", "cancelled"}, 6)
        if answer.status_code == 202:
            assert ended["status"] == "cancelled"
            assert ended["model"] is None
        else:
            assert (answer.status_code, ended["status"]) == (409, "succeeded")


@pytest.mark.slow
def test_a_cancelled_job_cannot_be_cancelled_again(service: Service, pictures: str) -> None:
    job_id = long_job(service, pictures, "freeze")
    cancelled_within_five_seconds(service, job_id)
    answer = service.client.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")


@pytest.mark.slow
def test_the_worker_takes_the_next_job_after_a_cancellation(service: Service, pictures: str) -> None:
    cancelled_within_five_seconds(service, long_job(service, pictures, "freeze"))
    job = service.post_job(pictures, "plugin/tiny", strategy="freeze", training={"max_epochs": 1})
    assert service.finished(job)["status"] == "succeeded"
