"""Gradual unfreezing and adapters through the real processes, on really pretrained weights."""

from typing import Any

import pytest

from tests.e2e import sets
from tests.e2e.conftest import MINILM
from tests.e2e.service import Service


def trained(service: Service, dataset: str, strategy: str, **training: Any) -> dict[str, Any]:
    settings = {"max_epochs": 3, "batch_size": 8, **training}
    job = service.finished(service.post_job(dataset, MINILM, strategy=strategy, training=settings), 240)
    assert job["status"] == "succeeded", job["error"]
    return job


def right(service: Service, model: str) -> float:
    """Share of sentences nobody trained on that the model tells apart."""
    truth = [(label, number) for label in sets.WORDS for number in range(900, 910)]
    body = {"model": model, "inputs": [sets.sentence(*one) for one in truth]}
    predictions = service.client.post("/predict", json=body).json()["predictions"]
    hits: list[bool] = [one["label"] == label for one, (label, _) in zip(predictions, truth, strict=True)]
    return sum(hits) / len(hits)


def test_a_lora_job_gives_a_model_like_any_other_whose_backbone_has_learned(service: Service, sentences: str) -> None:
    job = trained(service, sentences, "lora", lora={"r": 4, "alpha": 8, "dropout": 0.1})
    model = service.client.get(f"/models/{job['model']}").json()
    assert model["parity"]["passed"] is True
    assert model["freeze_proof"]["unchanged"] is False
    assert job["config"]["training"]["lora"] == {"r": 4, "alpha": 8.0, "dropout": 0.1}
    assert right(service, job["model"]) > 0.8


@pytest.mark.slow
def test_a_gradual_job_tells_each_stage_and_shows_the_rates_of_what_trains(service: Service, sentences: str) -> None:
    job = trained(service, sentences, "gradual", backbone_lr=1e-4, layer_decay=0.5, scheduler="constant")
    told = [event["data"].get("message", "") for event in service.events(job["id"])]
    stages = [line.rpartition(" ")[2] for line in told if "unfrozen" in line]
    assert stages == [f"backbone.{layer}" for layer in range(6, -1, -1)]  # six blocks above the embeddings
    first, *_, last = (epoch["lr"] for epoch in service.client.get(f"/jobs/{job['id']}/metrics").json()["epochs"])
    assert first.keys() == {"head"}
    assert last == pytest.approx({"head": 1e-3, **{f"backbone.{n}": 1e-4 * 0.5 ** (6 - n) for n in range(7)}})
    assert right(service, job["model"]) > 0.8


def test_lora_on_a_backbone_for_images_is_refused_by_name(service: Service, pictures: str) -> None:
    body = {"dataset": pictures, "backbone": "timm/test_resnet", "weights": None, "strategy": "lora"}
    answer = service.client.post("/jobs", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "lora_needs_text", "strategy")
