"""Machines that share a database, a broker and an S3 store, and no folder."""

from typing import Any

import pytest

from tests.e2e.cluster import FREEZE, Cluster, films, first_of, passing
from tests.e2e.service import Service, until


def trained(service: Service, dataset: str, **more: Any) -> dict[str, Any]:
    answer = service.client.post("/jobs", json={"dataset": dataset, **FREEZE, **more})
    assert answer.status_code == 202, answer.text
    job = service.finished(answer.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


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
