"""Machines that share a database, a broker and an S3 store, and no folder: for tests that start real processes."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests import postgresql, s3
from tests.e2e.service import Service

FREEZE = {"backbone": "plugin/words", "weights": None, "strategy": "freeze", "training": {"max_epochs": 2}}


@dataclass(frozen=True)
class Cluster:
    """What machines share."""

    machine: Callable[[], Service]
    """Makes one, with nothing started."""
    objects: Callable[[], list[str]]
    """The keys in the store."""
    gate: s3.Gate
    """Between the machines and the store."""


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """An S3 server."""
    with s3.running(tmp_path_factory.mktemp("s3") / "moto.log") as server:
        yield server


@pytest.fixture
def cluster(
    s3_server: s3.Server, postgresql_server: postgresql.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    name = f"cluster_{uuid.uuid4().hex}"
    database = postgresql_server.create(name)
    gate = s3.Gate(s3_server)
    made: list[Service] = []

    def machine() -> Service:
        broker = {"FINETUNED_REDIS_URL": made[0].env["FINETUNED_REDIS_URL"]} if made else {}
        store = {**s3_server.env(name), "FINETUNED_STORAGE_ENDPOINT": gate.url}
        env = {**broker, **store, "FINETUNED_CHECKPOINT_INTERVAL_SECONDS": "0.2"}
        made.append(Service(tmp_path_factory.mktemp("machine"), database_url=database, **env))
        return made[-1]

    def objects() -> list[str]:
        return sorted(key.removeprefix(f"{name}/") for key in s3_server.keys(name))

    yield Cluster(machine, objects, gate)
    for service in reversed(made):
        service.stop()
    gate.close()


def first_of(cluster: Cluster) -> Service:
    """The machine with the broker and an API."""
    service = cluster.machine()
    service.start_broker()
    service.migrate()
    service.start_api()
    return service


def passing(cluster: Cluster) -> list[str]:
    """What is in the store only for as long as a job runs."""
    return [key for key in cluster.objects() if key.startswith(("uploads/", "scratch/"))]


def films(canary: str) -> bytes:
    """Texts in two classes, of which one is the canary's; the model will be wrong about it."""
    rows = [f"good film {number},praise" for number in range(8)] + [f"bad film {number},blame" for number in range(8)]
    return "\n".join(["text,label", *rows, f"good good good {canary},blame", ""]).encode()
