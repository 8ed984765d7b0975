"""Machines that share a database, a broker and an S3 store, and no folder."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import postgresql, s3
from tests.e2e import sets
from tests.e2e.service import Service, until

FREEZE = {"backbone": "plugin/words", "weights": None, "strategy": "freeze", "training": {"max_epochs": 2}}


@dataclass(frozen=True)
class Cluster:
    """What machines share; each is made with nothing started."""

    machine: Callable[[], Service]
    objects: Callable[[], list[str]]
    """The keys in the store."""
    gate: s3.Gate
    """Between the machines and the store."""


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
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


def trained(service: Service, dataset: str, **more: Any) -> dict[str, Any]:
    answer = service.client.post("/jobs", json={"dataset": dataset, **FREEZE, **more})
    assert answer.status_code == 202, answer.text
    job = service.finished(answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


def passing(cluster: Cluster) -> list[str]:
    """What is in the store only for as long as a job runs."""
    return [key for key in cluster.objects() if key.startswith(("uploads/", "scratch/"))]


def films(canary: str) -> bytes:
    rows = [f"good film {number},praise" for number in range(8)] + [f"bad film {number},blame" for number in range(8)]
    return "\n".join(["text,label", *rows, f"good good good {canary},blame", ""]).encode()


@pytest.mark.slow
def test_what_one_machine_accepts_another_one_does_a_third_one_serves_and_all_forget(cluster: Cluster) -> None:
    api, worker, replica = first_of(cluster), cluster.machine(), cluster.machine()
    worker.start_worker()
    replica.start_api()
    canary = "canary-of-machines-4d1e"
    dataset = api.upload("films.csv", films(canary), validation_fraction="0.5")["id"]
    job = trained(replica, dataset)
    model = job["model"]
    for one in (api, replica):
        assert one.client.post("/predict", json={"model": model, "inputs": "good film"}).status_code == 200
        texts = [item["text"] for item in one.client.get(f"/datasets/{dataset}/items").json()["data"]]
        assert any(canary in text for text in texts)
        assert one.client.get(f"/models/{model}/report").json()["mistakes"] != []
        assert one.client.get(f"/models/{model}/download").status_code == 200
    until(lambda: not passing(cluster), 30, "uploads and checkpoints are gone")
    assert {key.partition("/")[0] for key in cluster.objects()} == {"datasets", "models", "trunks"}
    again = trained(api, dataset, backbone=f"model/{model}", weights="DEFAULT")
    evaluation = replica.client.post(f"/models/{again['model']}/evaluate", json={"dataset": dataset}).json()["id"]
    assert replica.finished(evaluation)["status"] == "succeeded"

    assert api.client.delete(f"/datasets/{dataset}").status_code == 204
    assert replica.client.get(f"/models/{model}/report").json()["mistakes"] == []
    assert replica.client.get(f"/datasets/{dataset}/items").status_code == 404
    assert replica.client.post("/predict", json={"model": model, "inputs": "good film"}).status_code == 200
    for gone in (again["model"], model):
        assert replica.client.delete(f"/models/{gone}").status_code == 204
        assert api.client.post("/predict", json={"model": gone, "inputs": "good film"}).status_code == 404
    assert cluster.objects() == []
    assert [path for path in api.folder.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_job_whose_machine_is_lost_goes_on_from_its_checkpoint_on_another(cluster: Cluster) -> None:
    api, lost, other = first_of(cluster), cluster.machine(), cluster.machine()
    lost.start_worker("lost")
    dataset = api.upload("pictures.zip", sets.picture_zip(10))["id"]
    long = {"max_epochs": 1000, "batch_size": 4, "early_stopping": None}
    job = api.post_job(dataset, "plugin/tiny", strategy="full", training=long)
    until(lambda: any(key.endswith(".ckpt") for key in cluster.objects()), 90, "a checkpoint is in the store")
    lost.kill_tree("lost")
    assert list((lost.data_dir / "scratch").rglob("*.ckpt"))
    other.start_worker("other")

    def resumed() -> bool:
        said = [event["data"].get("message", "") for event in api.events(job)]
        return any("resumed from the checkpoint after step" in message for message in said)

    until(resumed, 90, "the job went on")
    assert api.client.post(f"/jobs/{job}/cancel").status_code == 202
    api.finished(job)
    until(lambda: not passing(cluster), 60, "its checkpoints are gone")


@pytest.mark.slow
def test_nothing_is_lost_while_the_store_does_not_answer(cluster: Cluster) -> None:
    api, worker = first_of(cluster), cluster.machine()
    worker.start_worker()
    dataset = api.upload("films.csv", films("word"), validation_fraction="0.5")["id"]
    cluster.gate.shut()
    before = cluster.objects()
    for refused in (
        api.client.post("/datasets", files={"file": ("more.csv", films("more"))}),
        api.client.get(f"/datasets/{dataset}/items"),
        api.client.delete(f"/datasets/{dataset}"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        assert refused.headers["retry-after"]
    job = api.client.post("/jobs", json={"dataset": dataset, **FREEZE}).json()["id"]
    until(lambda: "storage_unavailable" in reasons(api, job), 150, "the job was given back")
    assert cluster.objects() == before
    cluster.gate.open()
    ended = api.finished(job, 180)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1), ended["error"]
    assert api.client.get(f"/datasets/{dataset}/items").status_code == 200
    assert api.client.post("/predict", json={"model": ended["model"], "inputs": "good film"}).status_code == 200


def reasons(service: Service, job: str) -> list[str]:
    """Why a job went back to the queue."""
    return [event["data"].get("reason", "") for event in service.events(job)]
