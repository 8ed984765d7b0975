"""Events as they come, over connections that break."""

from collections.abc import Iterator

import pytest

from finetuned import Client
from tests.finetuned.stub import Mishap, Stub, serving


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, "ft_key", timeout=20, patience=10) as client:
        yield client


RUNNING = {"id": 3, "type": "status", "data": {"status": "running"}}
EPOCH = {"id": 5, "type": "metrics", "data": {"epoch": 0, "val_loss": 0.25}}
ENDED = {"id": 8, "type": "status", "data": {"status": "succeeded", "model": "mdl_1"}}


def test_a_stream_that_breaks_goes_on_after_the_last_event(client: Client, stub: Stub) -> None:
    stub.events = [[RUNNING, EPOCH], [ENDED]]

    events = list(client.job("job_1").events())

    assert [(event.id, event.type) for event in events] == [(3, "status"), (5, "metrics"), (8, "status")]
    assert events[1].data["val_loss"] == 0.25
    asked = [headers for headers in stub.headers if headers["path"].endswith("/events")]
    assert [headers.get("last-event-id") for headers in asked] == [None, "5"]


def test_a_stream_that_cannot_be_opened_for_a_while_is_opened_later(client: Client, stub: Stub) -> None:
    client.healthz()
    stub.events = [[RUNNING], [ENDED]]
    stub.mishaps = [Mishap(503), Mishap(502)]

    assert [event.id for event in client.follow_job("job_1")] == [3, 8]


def test_nothing_is_asked_after_the_end(client: Client, stub: Stub) -> None:
    stub.events = [[ENDED], [RUNNING]]

    assert [event.id for event in client.follow_job("job_1")] == [8]


def test_a_job_that_has_ended_has_no_more(client: Client, stub: Stub) -> None:
    assert list(client.follow_job("job_1", after=8)) == []
    assert stub.headers[-1]["last-event-id"] == "8"


def test_whoever_has_seen_enough_leaves_no_connection_open(client: Client, stub: Stub) -> None:
    stub.events = [[RUNNING, EPOCH]] * 30

    for _ in range(30):  # more than a pool has
        events = client.follow_job("job_1")
        assert next(events).id == 3
        events.close()  # type: ignore[attr-defined]
