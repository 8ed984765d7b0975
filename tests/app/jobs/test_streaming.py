import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from app.settings import AppSettings
from models_store import leases
from models_store.leases import Claim
from tests.app.service import Running, claimed, job, ready_dataset, running

STREAM = {"Accept": "text/event-stream"}


def _running_job(service: Running, client: httpx.Client) -> tuple[str, Claim]:
    job_id = job(client, ready_dataset(service, client))["id"]
    return job_id, claimed(service)


def _succeed(service: Running, claim: Claim) -> None:
    leases.succeed(service.database, claim, lambda _session: {"model": "mdl_1"})


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith((":", "retry")):
            name, _, value = line.partition(": ")
            event[name] = value


def _streamed(client: httpx.Client, job_id: str, last: str | None = None) -> list[dict[str, str]]:
    headers = STREAM if last is None else {**STREAM, "Last-Event-ID": last}
    with client.stream("GET", f"/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(_events(answer.iter_lines()))


def test_events_are_listed_oldest_first_and_paged(service: Running, client: httpx.Client) -> None:
    job_id, claim = _running_job(service, client)
    leases.log(service.database, claim, "hello")
    first = client.get(f"/jobs/{job_id}/events", params={"limit": 2}).json()
    assert [(event["type"], event["data"].get("status")) for event in first["data"]] == [
        ("status", "queued"),
        ("status", "running"),
    ]
    assert first["has_more"] is True
    rest = client.get(f"/jobs/{job_id}/events", params={"after": first["data"][1]["id"]}).json()
    assert [event["data"] for event in rest["data"]] == [{"message": "hello"}]
    assert rest["has_more"] is False


def test_a_stream_gives_what_was_and_what_comes_and_ends_with_the_job(service: Running, client: httpx.Client) -> None:
    job_id, claim = _running_job(service, client)
    with client.stream("GET", f"/jobs/{job_id}/events", headers=STREAM) as answer:
        events = _events(answer.iter_lines())
        assert [json.loads(next(events)["data"])["status"] for _ in range(2)] == ["queued", "running"]
        leases.report_progress(service.database, claim, {"phase": "training", "note": "a\nb\r\ndata: x"})
        progress = next(events)
        assert (progress["event"], json.loads(progress["data"])["note"]) == ("progress", "a\nb\r\ndata: x")
        _succeed(service, claim)
        assert json.loads(next(events)["data"]) == {"status": "succeeded", "model": "mdl_1"}
        assert list(events) == []


def test_a_stream_goes_on_after_the_last_event_that_the_client_has(service: Running, client: httpx.Client) -> None:
    job_id, claim = _running_job(service, client)
    _succeed(service, claim)
    everything = _streamed(client, job_id)
    assert _streamed(client, job_id, last=everything[0]["id"]) == everything[1:]


def test_a_client_that_has_the_last_event_is_told_to_stop(service: Running, client: httpx.Client) -> None:
    job_id, claim = _running_job(service, client)
    _succeed(service, claim)
    last = _streamed(client, job_id)[-1]["id"]
    answer = client.get(f"/jobs/{job_id}/events", headers={**STREAM, "Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_event_id_that_is_not_ours_means_from_the_start(service: Running, client: httpx.Client) -> None:
    job_id, claim = _running_job(service, client)
    _succeed(service, claim)
    assert _streamed(client, job_id, last="x") == _streamed(client, job_id)


def test_a_stream_ends_when_its_job_is_deleted(service: Running, client: httpx.Client) -> None:
    job_id = job(client, ready_dataset(service, client))["id"]
    with client.stream("GET", f"/jobs/{job_id}/events", headers=STREAM) as answer:
        events = _events(answer.iter_lines())
        next(events)
        with service.client() as other:
            other.post(f"/jobs/{job_id}/cancel")
            other.delete(f"/jobs/{job_id}")
        assert len(list(events)) <= 1


def test_open_streams_do_not_hold_up_the_shutdown(settings: AppSettings) -> None:
    with ThreadPoolExecutor(4) as pool:
        heard = threading.Barrier(5)

        def listen(service: Running, job_id: str) -> list[dict[str, str]]:
            with service.client() as client, client.stream("GET", f"/jobs/{job_id}/events", headers=STREAM) as answer:
                events = _events(answer.iter_lines())
                next(events)
                heard.wait(20)
                return list(events)

        with running(settings) as service, service.client() as client:
            job_id = job(client, ready_dataset(service, client))["id"]
            streams = [pool.submit(listen, service, job_id) for _ in range(4)]
            heard.wait(20)
        assert [stream.result(1) for stream in streams] == [[]] * 4, "running() waits less than the server would"
