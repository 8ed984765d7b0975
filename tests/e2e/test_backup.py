"""Backup and restore as docs/operations.md has them: of a service that goes on working, restored somewhere else."""

import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from tests import cluster, postgresql
from tests.e2e import sets
from tests.e2e.service import Service, until

SAVED = ("store", "uploads")


@dataclass(frozen=True)
class Before:
    """What an installation had and said when it was saved."""

    dataset: str
    answer: dict[str, Any]
    content: bytes
    key: str
    running: str
    """A job that was at work at that moment."""


@pytest.fixture(params=["postgresql"] if cluster.WANTED else ["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> postgresql.Server | None:
    """None: SQLite in the data folder."""
    if request.param == "sqlite":
        return None
    found: postgresql.Server = request.getfixturevalue("postgresql_server")
    return found


def answer(service: Service, model: str) -> dict[str, Any]:
    files = {"file": ("blue.jpg", sets.picture("blue", 99))}
    given = service.client.post("/predict", data={"model": model, "logits": "true"}, files=files)
    assert given.status_code == 200, given.text
    told: dict[str, Any] = given.json()
    return told


def content(service: Service, dataset: str) -> bytes:
    item = service.client.get(f"/datasets/{dataset}/items").json()["data"][0]
    return service.client.get(f"/datasets/{dataset}/items/{item['id']}/content").content


def worked(service: Service) -> Before:
    """A model, a key, and a job that is being trained."""
    dataset = service.upload("pictures.zip", sets.picture_zip(8))["id"]
    training = {"max_epochs": 3, "batch_size": 4}
    job = service.finished(service.post_job(dataset, "plugin/tiny", strategy="freeze", training=training))
    assert job["status"] == "succeeded", job["error"]
    key = service.client.post("/keys", json={"owner": "ann", "role": "user"}).json()["key"]
    running = service.post_job(dataset, "plugin/slow", strategy="full", training=training)
    until(lambda: (service.job(running)["progress"] or {}).get("epoch", 0) > 0, 60, "there are checkpoints")
    return Before(dataset, answer(service, job["model"]), content(service, dataset), key, running)


def saved(service: Service, server: postgresql.Server | None, folder: Path) -> str:
    """First the database, then the files; gives the database as a new installation takes it."""
    folder.mkdir()
    if server is None:
        with (
            closing(sqlite3.connect(service.data_dir / "finetuned.db")) as source,
            closing(sqlite3.connect(folder / "finetuned.db")) as target,
        ):
            source.backup(target)
        url = ""
    else:
        dump = server.dump(str(make_url(service.database_url).database))
        url = server.load(dump, f"restored_{uuid.uuid4().hex}")
    for name in SAVED:
        shutil.copytree(service.data_dir / name, folder / name)
    return url


@pytest.mark.slow
def test_what_was_saved_while_the_service_worked_goes_on_elsewhere(
    make_service: Callable[..., Service], server: postgresql.Server | None, tmp_path: Path
) -> None:
    url = server.create(f"saved_{uuid.uuid4().hex}") if server else ""
    service = make_service(database_url=url, FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2").start()
    before = worked(service)
    url = saved(service, server, tmp_path / "backup")
    service.stop()
    shutil.rmtree(service.data_dir)
    restored = make_service(database_url=url)
    shutil.copytree(tmp_path / "backup", restored.data_dir, dirs_exist_ok=True)
    restored.start()
    assert answer(restored, before.answer["model"]) == before.answer
    assert content(restored, before.dataset) == before.content
    with httpx.Client(base_url=restored.url, headers={"Authorization": f"Bearer {before.key}"}) as ann:
        assert ann.get("/jobs").status_code == 200
    job = restored.finished(before.running)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    assert answer(restored, job["model"])["model"] == job["model"]
