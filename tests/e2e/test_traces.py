"""One trace a job, through the real processes, as a collector sees it; and a collector that never answers."""

import io
import signal
import time
import zipfile
from collections.abc import Callable, Iterator

import pytest

from tests.collector import Collector, Span, collecting, silent
from tests.e2e import sets
from tests.e2e.service import KEY, Service, until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PHASES = {"loading", "planning", "features", "fitting", "report", "parity", "publish"}
NOTHING_OF_THIS = "canary"
"""Stands in every name and label."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An installation that sends its spans to the collector."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    service = Service(tmp_path_factory.mktemp("traced"), FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2", **environment)
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def dataset(traced: Service) -> str:
    """Pictures whose names and labels must not come into any span."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for colour in ("blue", "green"):
            for number in range(8):
                archive.writestr(f"canary-{colour}/canary-{number}.jpg", sets.picture(colour, number))
    imported = traced.upload("canary.zip", buffer.getvalue())
    assert imported["status"] == "ready", imported
    return str(imported["id"])


@pytest.fixture(scope="module")
def model(traced: Service, dataset: str) -> str:
    """What a job has made that was asked for within a trace of the client's."""
    training = {"max_epochs": 3, "batch_size": 4}
    body = {
        "dataset": dataset,
        "backbone": "plugin/tiny",
        "strategy": "freeze",
        "name": NOTHING_OF_THIS,
        "training": training,
    }
    answer = traced.client.post("/jobs", json=body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer.status_code == 202, answer.text
    job = traced.finished(answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    return str(job["model"])


def arrived(collector: Collector, trace: str, names: set[str]) -> dict[str, Span]:
    """Wait until a trace has spans of these names; gives the last of each name that it has."""

    def complete() -> dict[str, Span] | None:
        found = {span.name: span for span in collector.spans(trace=trace)}
        return found if names <= found.keys() else None

    found: dict[str, Span] = until(complete, 20, f"{sorted(names)} of {trace} have arrived")
    return found


@pytest.mark.slow
def test_one_trace_shows_a_job_from_its_request_to_its_model(collector: Collector, model: str) -> None:
    names = {"POST /jobs", "ring", "queued", "claim", "attempt", *PHASES}
    found = arrived(collector, TRACE, names)
    assert found.keys() == names
    request, attempt = found["POST /jobs"], found["attempt"]
    assert request.parent == PARENT
    assert {found[name].parent for name in ("ring", "queued", "claim", "attempt")} == {request.id}
    assert {found[name].parent for name in PHASES} == {attempt.id}
    assert all(attempt.start <= found[name].start <= found[name].end <= attempt.end for name in PHASES)
    assert found["queued"].end <= attempt.start
    services = [found[name].service for name in ("POST /jobs", "attempt", "fitting")]
    assert services == ["finetuned-api", "finetuned-worker", "finetuned-job"]
    assert len({found[name].process for name in ("POST /jobs", "attempt", "fitting")}) == 3
    assert found["fitting"].events == ("epoch",) * 3
    assert attempt.attributes["finetuned.job.state"] == "succeeded"
    assert found["publish"].attributes == {"finetuned.model.id": model}


def test_an_import_is_in_the_trace_of_its_upload(collector: Collector, dataset: str) -> None:
    del dataset
    (upload,) = collector.spans("POST /datasets")
    attempt = arrived(collector, upload.trace, {"attempt"})["attempt"]
    assert attempt.parent == upload.id
    assert (attempt.attributes["finetuned.job.kind"], attempt.attributes["finetuned.job.state"]) == (
        "import",
        "succeeded",
    )


def test_a_prediction_is_a_span_with_its_parts(collector: Collector, traced: Service, model: str) -> None:
    headers = {"Content-Type": "image/jpeg", "traceparent": f"00-{'1' * 32}-{PARENT}-01"}
    answer = traced.client.post("/predict", params={"model": model}, content=sets.picture("blue", 1), headers=headers)
    assert answer.status_code == 200, answer.text
    found = arrived(collector, "1" * 32, {"POST /predict"})
    assert found.keys() - {"load"} == {"POST /predict", "decode", "queue", "engine"}
    request = found.pop("POST /predict")
    assert {part.parent for part in found.values()} == {request.id}
    assert found["decode"].end <= found["engine"].start
    assert found["queue"].end <= found["engine"].start
    assert found["engine"].attributes == {"finetuned.items": 1, "finetuned.batch": 1}


def test_every_attempt_at_a_job_is_in_its_trace(collector: Collector, traced: Service, dataset: str) -> None:
    headers = {"traceparent": f"00-{'2' * 32}-{PARENT}-01"}
    training = {"max_epochs": 50, "batch_size": 2}
    body = {"dataset": dataset, "backbone": "plugin/slow", "strategy": "full", "training": training}
    job_id = traced.client.post("/jobs", json=body, headers=headers).json()["id"]
    until(lambda: (traced.job(job_id)["progress"] or {}).get("phase") == "training", 60, "it trains")
    traced.job_processes()[0].kill()
    until(lambda: traced.job(job_id)["attempt"] == 2, 30, "a second attempt")
    traced.client.post(f"/jobs/{job_id}/cancel")
    traced.finished(job_id)

    def both() -> list[Span] | None:
        attempts = collector.spans("attempt", trace="2" * 32)
        return attempts if len(attempts) == 2 else None

    first, second = until(both, 20, "both attempts have arrived")
    (request,) = collector.spans("POST /jobs", trace="2" * 32)
    assert first.parent == second.parent == request.id
    told = [(one.attributes["finetuned.job.attempt"], one.attributes["finetuned.job.state"]) for one in (first, second)]
    assert told == [(1, "queued"), (2, "cancelled")]
    waits = collector.spans("queued", trace="2" * 32)
    assert [wait.end <= attempt.start for wait, attempt in zip(waits, (first, second), strict=True)] == [True, True]
    assert waits[1].start >= first.start
    died = [line["trace_id"] for line in traced.log("worker") if line["event"] == "attempt_died"]
    assert {*died} == {"2" * 32}


def test_no_content_is_in_any_span(collector: Collector, traced: Service, model: str) -> None:
    """Names, labels, keys: whoever sees traces sees ids and counts."""
    traced.client.get("/models/canary@canary", params={"canary": "canary"})
    traced.client.post("/predict", json={"model": model, "inputs": ["canary"]})
    until(lambda: collector.spans("GET /models/{ref:model}"), 20, "the last request has arrived")
    assert NOTHING_OF_THIS.encode() not in collector.raw
    assert KEY.encode() not in collector.raw


def test_log_lines_of_a_request_carry_its_trace(traced: Service, model: str) -> None:
    del model
    (line,) = [line for line in traced.log("api") if line.get("trace_id") == TRACE and line["event"] == "request"]
    assert line["path"] == "/jobs"


@pytest.mark.slow
def test_a_collector_that_never_answers_changes_nothing(make_service: Callable[..., Service]) -> None:
    with silent() as url:
        service = make_service(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="100").start()
        dataset = service.upload("pictures.zip", sets.picture_zip(8, ("blue", "green")))
        job_id = service.post_job(dataset["id"], "plugin/tiny", strategy="freeze", training={"max_epochs": 2})
        job = service.finished(job_id)
        assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
        params = {"model": str(job["model"])}
        headers = {"Content-Type": "image/jpeg"}
        assert service.client.post(
            "/predict", params=params, content=sets.picture("blue", 1), headers=headers
        ).is_success
        began = time.monotonic()
        for part in ("worker", "api"):
            assert service.end(part, signal.SIGTERM) in {0, -signal.SIGTERM}
        assert time.monotonic() - began < 12
        assert "unhandled" not in {line["event"] for line in service.log("api")}
