"""An image model of Hugging Face from its folder to a prediction, through the real processes."""

import base64
from pathlib import Path

import pytest
import torch

from models_store import bundle, registry
from models_store.errors import FinetunedError
from tests.e2e import sets
from tests.e2e.conftest import add_weights, zipped
from tests.e2e.service import Service
from tests.models_store.tiny_models import image_model, text_model

DINO = "hf/tiny/dinov2"


@pytest.fixture(scope="session")  # as long as the service: random weights are others each time
def dino(service: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A DINOv2 in the mirror, tiny and random."""
    folder = tmp_path_factory.mktemp("hugging-face")
    add_weights(service, DINO, "DEFAULT", zipped(image_model(folder / "dinov2", "dinov2"), folder))
    return DINO


@pytest.mark.parametrize("strategy", ["freeze", pytest.param("full", marks=pytest.mark.slow)])
def test_a_job_trains_on_it_and_serves_what_it_stored(
    strategy: str, service: Service, dino: str, pictures: str
) -> None:
    training = {"max_epochs": 2, "batch_size": 8}
    job = service.finished(service.post_job(pictures, dino, strategy=strategy, training=training))
    assert job["status"] == "succeeded", job["error"]
    store, picture = service.data_dir / "store", sets.picture("red", 900)
    stored = bundle.load(registry.directory(store, job["model"]), store)
    assert stored.architecture.config["pooling"] == "cls+mean"
    (prepared,) = stored.preprocessing.prepare([picture])
    assert not isinstance(prepared, FinetunedError)
    with torch.no_grad():
        expected = stored.network(stored.preprocessing.collate([prepared]))[0]
    body = {"model": job["model"], "inputs": base64.b64encode(picture).decode(), "parameters": {"logits": True}}
    (answer,) = service.client.post("/predict", json=body).json()["predictions"]
    assert answer["logits"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_set_of_texts_is_refused_when_the_model_turns_out_to_be_for_images(
    service: Service, dino: str, sentences: str
) -> None:
    job = service.finished(service.post_job(sentences, dino))
    assert (job["status"], job["error"]["code"]) == ("failed", "task_mismatch")


def test_models_that_are_here_are_listed_with_their_task(service: Service, dino: str, tmp_path: Path) -> None:
    add_weights(service, "hf/tiny/gpt2", "DEFAULT", zipped(text_model(tmp_path / "gpt2", "gpt2"), tmp_path))
    listed = service.client.get("/backbones", params={"family": "hf", "search": "tiny/"}).json()["data"]
    assert {info["backbone"]: info["task"] for info in listed} == {
        dino: "image-classification",
        "hf/tiny/gpt2": "text-classification",
    }
