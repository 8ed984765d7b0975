"""The HTTP service on a real socket, with a real database, and what a worker would do to its rows."""

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy.orm import Session

from app.__main__ import Server
from app.deps import Services
from app.main import create_app
from app.settings import AppSettings
from models_store import artifacts, datasets, leases
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import Json
from models_store.itemset import ItemSetWriter
from models_store.leases import Claim

ADMIN_KEY = "ft_admin-key-of-the-tests"
Example = tuple[str, str, str, bytes]
"""Split, label, name, content; in this order."""
TEXTS: tuple[Example, ...] = (
    ("train", "bad", "1", b"two hours that I want back"),
    ("train", "good", "2", b"a film that stays"),
    ("validation", "bad", "3", b"dull"),
    ("validation", "good", "4", b"a joy"),
)


def until(condition: Callable[[], Any], seconds: float = 10, what: str = "the condition holds") -> Any:
    """Wait for a true value and give it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return value


class Running:
    """A service that serves, and a database that is its own."""

    def __init__(self, settings: AppSettings, server: Server, services: Services, url: str) -> None:
        self.settings, self.server, self.services, self.url = settings, server, services, url
        self.database: Database = services.database

    def client(self, key: str | None = ADMIN_KEY) -> httpx.Client:
        """A client with this key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def user(self, owner: str) -> httpx.Client:
        """A client of another owner, who is no admin."""
        with self.client() as admin:
            answer = admin.post("/keys", json={"owner": owner, "role": "user"})
        return self.client(answer.json()["key"])

    @property
    def address(self) -> tuple[str, int]:
        """For raw sockets."""
        return "127.0.0.1", int(self.url.rpartition(":")[2])


@contextmanager
def running(settings: AppSettings) -> Iterator[Running]:
    """Serve until the block ends."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    migrate(database)
    database.close()
    app = create_app(settings)
    services: Services = app.state.services
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=60)
    server = Server(config, services.stopping)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), 30, "the service has started")
    assert server.started
    try:
        yield Running(settings, server, services, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        services.stopping.set()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:
        yield Path(folder)


def upload_texts(client: httpx.Client, **fields: str) -> str:
    """POST a small CSV; gives the id of the data set, which waits for its import."""
    answer = client.post("/datasets", files={"file": ("films.csv", b"text,label\ndull,bad\na joy,good\n")}, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def claimed(service: Running, lane: str = "training") -> Claim:
    """Take the oldest job of a lane, as a worker does."""
    claim = leases.claim(service.database, lane, "test-worker")
    assert claim is not None
    return claim


def ready_dataset(
    service: Running, client: httpx.Client, examples: tuple[Example, ...] = TEXTS, task: str = "text-classification"
) -> str:
    """A data set whose import has succeeded with these examples."""
    dataset_id = upload_texts(client, name="films")
    claim = claimed(service, "light")
    fingerprint = _write(service.settings.store_dir, examples)

    def publish(session: Session) -> Json:
        datasets.mark_ready(session, dataset_id, fingerprint=fingerprint, task=task, splits={"train": 2})
        return {"dataset": dataset_id}

    leases.succeed(service.database, claim, publish)
    return dataset_id


def failed_dataset(service: Running, client: httpx.Client) -> str:
    """A data set whose import has failed."""
    dataset_id = upload_texts(client, name="films")
    error = {"code": "too_few_items", "message": "Too few items. Add some.", "param": "file"}
    leases.fail(service.database, claimed(service, "light"), error)
    return dataset_id


def job(client: httpx.Client, dataset: str, **more: Any) -> dict[str, Any]:
    """POST a job on a text backbone; gives what the service answers."""
    answer = client.post("/jobs", json={"dataset": dataset, "backbone": "hf/tests/none", **more})
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem of this status and code, in the form that all have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["code"] == code, content
    assert content["status"] == status
    assert content["type"] == f"/errors/{code}"
    assert content["request_id"] == answer.headers["x-request-id"]
    assert content["title"]
    assert content["detail"].rstrip().endswith((".", "?"))
    return content


def _write(store_dir: Path, examples: tuple[Example, ...]) -> str:
    final = store_dir / "datasets" / "new"
    with artifacts.temporary_directory_beside(final) as temporary:
        with ItemSetWriter(temporary) as writer:
            for split, label, name, content in examples:
                writer.add(name, label, split, content)
            fingerprint = writer.finish()
        artifacts.publish_directory(temporary, datasets.directory(store_dir, fingerprint))
    return fingerprint
