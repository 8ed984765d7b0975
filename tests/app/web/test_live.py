import json
from collections.abc import Iterator
from typing import Any

import httpx
from sqlalchemy import update

from models_store import jobs, keys
from models_store.database.tables import DatasetRow, SessionRow
from tests.app.service import Running, job, ready_dataset, upload_texts
from tests.app.web.conftest import signed_in


def _events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The parts that a stream sends."""
    return (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: "))


def test_a_list_is_sent_again_when_it_changes(service: Running, browser: httpx.Client, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    with browser.stream("GET", "/ui/jobs/live") as answer:
        parts = _events(answer)
        before = next(parts)["html"]
        made = job(client, dataset)["id"]
        after = next(parts)["html"]
    assert made not in before
    assert made in after


def test_an_import_is_watched_to_its_end(service: Running, browser: httpx.Client, client: httpx.Client) -> None:
    dataset = upload_texts(client)
    with browser.stream("GET", f"/ui/datasets/{dataset}/live") as answer:
        parts = _events(answer)
        first = next(parts)
        with service.database.write() as session:
            row = session.get_one(DatasetRow, dataset)
            row.status, row.error = "failed", {"code": "too_few_items", "message": "Too few.", "param": None}
        last = next(parts)
        assert next(parts, None) is None, "the stream ends"
    assert (first["over"], last["over"]) == (False, True)
    assert "too_few_items" in last["html"]
    assert last["say"] == "Failed"


def test_the_same_is_not_sent_twice(service: Running, browser: httpx.Client) -> None:
    with browser.stream("GET", "/ui/workers/live") as answer:
        parts = _events(answer)
        next(parts)
        service.services.stopping.set()
        assert next(parts, None) is None


def test_a_jobs_events_can_be_streamed_with_the_cookie(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    made = job(client, ready_dataset(service, client))["id"]
    jobs.cancel(service.database, made, owner=None)
    with browser.stream("GET", f"/jobs/{made}/events", headers={"Accept": "text/event-stream"}) as answer:
        assert [event["status"] for event in _events(answer)] == ["queued", "cancelled"]


def test_a_stream_needs_a_session_that_is_valid(service: Running) -> None:
    _, key = keys.create(service.database, "ann", keys.USER)
    with signed_in(service, key) as browser:
        with service.database.write() as session:
            session.execute(update(SessionRow).values(expires_at=1.0))
        service.services.authenticator.forget()
        assert browser.get("/ui/jobs/live").status_code == 303
