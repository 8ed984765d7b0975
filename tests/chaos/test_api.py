"""The API may be killed at any moment, and asked the same thing by many at once (rows 6, 7, 8, 29)."""

import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from tests.chaos import imports
from tests.chaos.proxy import Proxy
from tests.chaos.rows import row
from tests.e2e import sets
from tests.e2e.service import KEY, Service, until

SQUEEZENET = "torchvision/squeezenet1_1"
UPLOAD_BYTES = 8_000_000
MANY = 100


@pytest.mark.slow
def test_a_running_job_does_not_notice_that_the_api_was_killed(make_service: Callable[..., Service]) -> None:
    service = make_service().start()
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    job_id = service.post_job(dataset, SQUEEZENET, weights=None, training={"max_epochs": 20})
    until(lambda: row(service, job_id).state == "running", 60, "the job runs")
    service.end("api", signal.SIGKILL)
    until(lambda: row(service, job_id).state == "succeeded", 120, "the job has succeeded without an API")
    service.start_api()
    job = service.job(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert service.client.get(f"/models/{job['model']}").status_code == 200


@pytest.mark.slow
def test_queued_jobs_run_although_the_api_was_killed(make_service: Callable[..., Service]) -> None:
    service = make_service().start()
    datasets = imports.post(service, 5)
    service.end("api", signal.SIGKILL)
    imports.done_once(service, datasets, 60)


@pytest.mark.slow
def test_a_job_runs_although_the_api_was_killed_between_commit_and_publish(
    make_service: Callable[..., Service], make_proxy: Callable[[Path], Proxy]
) -> None:
    service = make_service()
    service.start_broker()
    service.migrate()
    straight = service.env["FINETUNED_REDIS_URL"]
    proxy = make_proxy(service.socket)
    proxy.swallow()
    service.env["FINETUNED_REDIS_URL"] = proxy.url
    service.start_api()
    datasets = imports.post(service, 1)
    service.end("api", signal.SIGKILL)
    with service.redis() as redis:
        assert not redis.exists("light"), "the message was published: this is not the moment that is meant"
    assert [job.state for job in imports.jobs(service, datasets)] == ["queued"]
    service.env["FINETUNED_REDIS_URL"] = straight
    service.start_api()
    service.start_worker()
    imports.done_once(service, datasets, 60)


def _half_an_upload(service: Service) -> socket.socket:
    """An upload of which half has been sent, and nothing more comes."""
    host, port = service.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext,label\n'
    head = (
        f"POST /datasets HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n"
    )
    connection.sendall(head.encode() + part + b"a text,good\n" * (UPLOAD_BYTES // 24))
    return connection


def test_an_upload_during_which_the_api_is_killed_leaves_nothing(make_service: Callable[..., Service]) -> None:
    service = make_service()
    service.start_broker()
    service.migrate()
    service.start_api()
    uploads = service.data_dir / "uploads"
    with _half_an_upload(service):
        until(lambda: any(file.stat().st_size > 1_000_000 for file in uploads.iterdir()), 20, "half is on the disk")
        service.end("api", signal.SIGKILL)
    assert list(uploads.iterdir())
    service.start_api()
    assert not list(uploads.iterdir())
    assert service.client.get("/datasets").json()["data"] == []


def _at_once(post: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to many requests that are sent at the same moment."""
    together = Barrier(MANY)

    def one(_number: int) -> httpx.Response:
        together.wait()
        return post()

    with ThreadPoolExecutor(MANY) as threads:
        return list(threads.map(one, range(MANY)))


@pytest.fixture
def crowded(make_service: Callable[..., Service], installation_database: str) -> Service:
    """An API with a client that has a connection for everybody."""
    service = make_service(database_url=installation_database)
    service.start_broker()
    service.migrate()
    service.start_api()
    limits = httpx.Limits(max_connections=MANY)
    service.client.close()
    service.client = httpx.Client(
        base_url=service.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60, limits=limits
    )
    return service


def test_a_hundred_posts_at_once_with_one_idempotency_key_make_one_job(crowded: Service) -> None:
    (dataset,) = imports.post(crowded, 1)
    body = {"dataset": dataset, "backbone": "hf/sentence-transformers/all-MiniLM-L6-v2", "weights": None}
    answers = _at_once(lambda: crowded.client.post("/jobs", json=body, headers={"Idempotency-Key": "k"}))
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["id"] for answer in answers}
    assert [job["id"] for job in crowded.client.get("/jobs").json()["data"]] == [job_id]


def test_a_hundred_uploads_at_once_with_one_idempotency_key_make_one_data_set_and_one_file(crowded: Service) -> None:
    def post() -> httpx.Response:
        return crowded.client.post(
            "/datasets", files={"file": ("a.csv", imports.content(0))}, headers={"Idempotency-Key": "k"}
        )

    answers = _at_once(post)
    assert {answer.status_code for answer in answers} == {202}
    (dataset,) = {answer.json()["id"] for answer in answers}
    assert [shown["id"] for shown in crowded.client.get("/datasets").json()["data"]] == [dataset]
    assert len(imports.jobs(crowded, [dataset])) == 1
    assert len(crowded.uploads()) == 1
