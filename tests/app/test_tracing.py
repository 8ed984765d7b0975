"""The span of a request: whose trace it is in, and that no content comes into it."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from app.settings import AppSettings
from models_store.database.tables import JobRow
from tests.app.service import Running, job, ready_dataset, running, until, upload_texts
from tests.collector import Collector, Span, collecting

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
INCOMING = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield made


@pytest.fixture
def traced(collector: Collector, settings: AppSettings) -> Iterator[Running]:
    del collector
    with running(settings) as service:
        yield service


def arrived(collector: Collector, name: str) -> Span:
    found: list[Span] = until(lambda: collector.spans(name), what=f"{name} has arrived")
    return found[-1]


def test_a_request_is_named_by_its_route_and_goes_on_with_the_trace_it_came_with(
    collector: Collector, traced: Running
) -> None:
    with traced.client() as client:
        headers = {"traceparent": INCOMING, "X-Request-ID": "request-7"}
        answer = client.get("/jobs/secret-canary?limit=secret-canary", headers=headers)
    assert answer.status_code == 404
    span = arrived(collector, "GET /jobs/{job_id}")
    assert (span.trace, span.parent) == (TRACE, PARENT)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/jobs/{job_id}",
        "http.response.status_code": 404,
        "finetuned.request.id": "request-7",
    }
    assert not span.failed
    assert b"canary" not in collector.raw


def test_a_job_keeps_the_trace_of_its_request_and_a_message_is_sent_in_it(
    collector: Collector, traced: Running
) -> None:
    with traced.client() as client:
        dataset = ready_dataset(traced, client)
        client.headers["traceparent"] = INCOMING
        job_id = job(client, dataset)["id"]
    request, ring = arrived(collector, "POST /jobs"), arrived(collector, "ring")
    with traced.database.read() as session:
        kept = session.get_one(JobRow, job_id).trace
    assert kept == f"00-{TRACE}-{request.id}-01"
    assert (ring.trace, ring.parent) == (TRACE, request.id)
    assert ring.attributes == {"finetuned.job.id": job_id}


def test_the_import_of_an_upload_is_in_the_trace_of_the_upload(collector: Collector, traced: Running) -> None:
    with traced.client() as client:
        upload_texts(client)
    with traced.database.read() as session:
        kept = session.scalars(select(JobRow.trace)).one()
    request = arrived(collector, "POST /datasets")
    assert kept == f"00-{request.trace}-{request.id}-03"


def test_what_machines_ask_all_the_time_is_not_told(collector: Collector, traced: Running) -> None:
    with traced.client() as client:
        for path in ("/healthz", "/readyz", "/metrics", "/static/nothing.js", "/docs"):
            client.get(path)
        client.get("/jobs")
    arrived(collector, "GET /jobs")
    assert [span.name for span in collector.spans()] == ["GET /jobs"]


def test_a_made_up_method_makes_up_no_name(collector: Collector, traced: Running) -> None:
    with traced.client() as client:
        client.request("PROPFIND", "/jobs")
    assert arrived(collector, "_OTHER /jobs").attributes["http.response.status_code"] == 405
    assert b"PROPFIND" not in collector.raw


def test_without_a_collector_a_job_has_no_trace(service: Running, client: httpx.Client) -> None:
    client.headers["traceparent"] = INCOMING
    job_id = job(client, ready_dataset(service, client))["id"]
    with service.database.read() as session:
        assert session.get_one(JobRow, job_id).trace is None
