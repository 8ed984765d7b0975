"""A machine that is lost, and a store that does not answer, where machines share no folder."""

import pytest

from tests.e2e import sets
from tests.e2e.cluster import FREEZE, Cluster, films, first_of, passing
from tests.e2e.service import Service, until


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
