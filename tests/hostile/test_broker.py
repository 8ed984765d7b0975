"""Messages that somebody who got to the broker could leave there. What the broker itself lets in: tests/finetuned."""

import base64
import json
import pickle
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import Service, until
from tests.hostile.tenant import Tenant
from tests.hostile.test_checkpoints import Attack

_TABLE = b"text,label\n" + b"".join(b"text %d,%s\n" % (n, b"good" if n % 2 else b"bad") for n in range(8))


def _message(body: bytes, kind: str = "application/json", task: str = "worker.run_light") -> bytes:
    """As Celery's second protocol and kombu's Redis transport have it."""
    number = str(uuid.uuid4())
    headers = {"lang": "py", "task": task, "id": number, "root_id": number, "parent_id": None, "group": None}
    properties = {
        "correlation_id": number,
        "delivery_tag": number,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "light"},
        "body_encoding": "base64",
    }
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": kind,
        "content-encoding": "utf-8" if kind == "application/json" else "binary",
        "headers": {**headers, "retries": 0, "timelimit": [None, None], "argsrepr": "()", "kwargsrepr": "{}"},
        "properties": properties,
    }
    return json.dumps(envelope).encode()


def _called(*args: Any, **kwargs: Any) -> bytes:
    return _message(json.dumps([args, kwargs, {}]).encode())


MESSAGES: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda canary: _message(pickle.dumps(Attack(canary)), "application/x-python-serialize"),
    "a pickle under another name": lambda canary: _message(pickle.dumps(Attack(canary)), "application/json"),
    "YAML": lambda canary: _message(
        f"!!python/object/apply:os.system ['touch {canary}']".encode(), "application/x-yaml"
    ),
    "bytes": lambda canary: _message(pickle.dumps(Attack(canary)), "application/data"),
    "a path as the id": lambda canary: _called(f"../../../../../{canary}"),
    "another job's SQL": lambda _: _called("x' OR '1'='1"),
    "no id": lambda _: _called(),
    "many ids": lambda _: _called(*["job_x"] * 1000),
    "an object as the id": lambda _: _called({"__class__": "os.system"}),
    "an argument that is none": lambda canary: _called("job_x", module="os", function="system", args=[str(canary)]),
    "another task": lambda canary: _message(json.dumps([[str(canary)], {}, {}]).encode(), task="os.system"),
    "a task of Celery's own": lambda _: _message(b"[[], {}, {}]", task="celery.backend_cleanup"),
    "a callback": lambda canary: _message(
        json.dumps([["job_x"], {}, {"callbacks": [{"task": "os.system", "args": [str(canary)]}]}]).encode()
    ),
    "no JSON": lambda _: _message(b"{" * 1000),
    "deep JSON": lambda _: _message(b"[" * 100_000),
}


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Where a file must not come to be."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.mark.parametrize("lane", ["light", "training"])
def test_messages_are_bells_and_nothing_in_them_runs(lane: str, canary: Path, service: Service, ann: Tenant) -> None:
    with service.redis() as redis:
        for make in MESSAGES.values():
            redis.lpush(lane, make(canary))
        until(lambda: redis.llen(lane) == 0, 60, "the worker has taken them all")
    assert ann.imported("after.csv", _TABLE)["status"] == "ready"
    assert service.client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"properties": 1}',
        *(pytest.param(one, marks=pytest.mark.slow) for one in (b"no envelope", b"\xff\xfe", b"null", b"[]", b"{}")),
    ],
)
def test_what_is_no_message_at_all_stops_nothing_for_long(content: bytes, service: Service, ann: Tenant) -> None:
    with service.redis() as redis:
        redis.lpush("light", content)
        until(lambda: redis.llen("light") == 0, 60, "the worker has taken it")
    assert ann.imported("after.csv", _TABLE)["status"] == "ready"


def test_nobody_commands_the_worker_through_the_broker(service: Service) -> None:
    """Whoever reaches the broker could otherwise shut workers down, or read their settings."""
    with service.redis() as redis:
        assert list(redis.scan_iter("*pidbox*")) == []
