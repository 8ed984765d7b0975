"""Pattern A of the manual through the real processes: a part of what plain Lightning wrote becomes a backbone.

Then a model that goes on from the model that came of it, with one class more.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetuned import ApiError, Client
from models_store import bundle, registry
from models_store.quarantine import content
from tests.e2e import sets
from tests.e2e.service import KEY, Service
from tests.models_store.lightning import LitAutoencoder, LitClassifier, trained

TRAINING = {"max_epochs": 30, "batch_size": 8, "head_lr": 0.01, "early_stopping": None}


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, KEY) as client:
        yield client


@pytest.fixture(scope="module")
def lightning_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(LitAutoencoder(), tmp_path_factory.mktemp("lightning"), 16)


@pytest.fixture(scope="module")
def encoder_model(service: Service, client: Client, lightning_file: Path) -> dict[str, Any]:
    """A model of two colours on the frozen encoder of the autoencoder; the checkpoint is deleted after the training."""
    dataset = str(service.upload("colours.zip", sets.picture_zip(12, ("blue", "red")))["id"])
    checkpoint = client.upload_checkpoint(lightning_file, "plugin/autoencoder")
    backbone = f"checkpoint/{checkpoint['id']}"
    job = service.finished(
        service.post_job(dataset, backbone, submodule="encoder", strategy="freeze", training=TRAINING)
    )
    assert job["status"] == "succeeded", job["error"]
    client.delete_checkpoint(checkpoint["id"])
    return client.model(job["model"]).raw


def picture(colour: str, seed: int) -> str:
    return base64.b64encode(sets.picture(colour, seed)).decode()


def accuracy(client: Client, model: str, colours: tuple[str, ...]) -> float:
    truth = [(colour, seed) for colour in colours for seed in range(700, 706)]
    predictions = client.predict(model, [picture(*one) for one in truth])
    right: list[bool] = [one["label"] == colour for one, (colour, _) in zip(predictions, truth, strict=True)]
    return sum(right) / len(right)


def test_the_encoder_is_bit_identical_to_the_one_that_lightning_saved(
    service: Service, encoder_model: dict[str, Any], lightning_file: Path
) -> None:
    store = service.data_dir / "store"
    stored = bundle.load(registry.directory(store, encoder_model["id"]), store).network
    saved = content.read(lightning_file)[0]
    state = stored.backbone.state_dict()
    assert {f"encoder.{name}" for name in state} == {name for name in saved if name.startswith("encoder.")}
    assert all(torch.equal(tensor, saved[f"encoder.{name}"]) for name, tensor in state.items())
    assert stored.head.weight.shape == (2, 100)
    assert encoder_model["freeze_proof"]["unchanged"] is True


def test_its_model_predicts_without_the_checkpoint(client: Client, encoder_model: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        client.checkpoint(encoder_model["weights"])
    assert accuracy(client, encoder_model["id"], ("blue", "red")) > 0.8


def test_the_next_model_goes_on_from_it_with_one_class_more(
    service: Service, client: Client, encoder_model: dict[str, Any], pictures: str
) -> None:
    backbone = f"model/{encoder_model['id']}"
    job = service.finished(service.post_job(pictures, backbone, strategy="freeze", training=TRAINING))
    assert job["status"] == "succeeded", job["error"]
    model = client.model(job["model"])
    assert model["labels"] == ["blue", "green", "red"]
    assert model["preprocessing"] == encoder_model["preprocessing"]
    assert model["freeze_proof"]["backbone_sha256"] == encoder_model["freeze_proof"]["backbone_sha256"]
    assert accuracy(client, model["id"], ("blue", "green", "red")) > 0.7


@pytest.mark.slow
def test_the_head_begins_where_the_earlier_one_stood(
    service: Service, encoder_model: dict[str, Any], pictures: str
) -> None:
    backbone = f"model/{encoder_model['id']}"
    hardly = {"max_epochs": 1, "head_lr": 1e-9, "weight_decay": 0}
    job = service.finished(service.post_job(pictures, backbone, strategy="freeze", training=hardly))
    assert job["status"] == "succeeded", job["error"]
    earlier, later = (head(service, model) for model in (encoder_model["id"], job["model"]))
    assert torch.allclose(later["weight"][[0, 2]], earlier["weight"], atol=1e-6)
    assert torch.allclose(later["bias"][[0, 2]], earlier["bias"], atol=1e-6)


@pytest.mark.slow
def test_a_model_that_is_deleted_while_its_successor_is_queued_fails_that_job_with_a_reason(
    service: Service, client: Client, pictures: str
) -> None:
    first = service.finished(service.post_job(pictures, "plugin/tiny", strategy="freeze", training={"max_epochs": 1}))
    slow = service.post_job(pictures, "plugin/slow", strategy="full", training={"max_epochs": 50})
    queued = service.post_job(pictures, f"model/{first['model']}", strategy="freeze")
    client.delete_model(first["model"])
    client.cancel_job(slow)
    job = service.finished(queued)
    assert (job["status"], job["error"]["code"]) == ("failed", "model_not_found")


def test_a_resnet_in_a_lightning_module_becomes_a_torchvision_backbone(
    service: Service, client: Client, pictures: str, tmp_path: Path
) -> None:
    file = trained(LitClassifier(), tmp_path, 40)
    checkpoint = client.upload_checkpoint(file, "torchvision/resnet18", "나의 ResNet")
    assert checkpoint["submodules"] == ["feature_extractor", "classifier"]
    assert checkpoint["default_submodule"] == "feature_extractor"
    backbone = f"checkpoint/{checkpoint['id']}"
    job = service.finished(service.post_job(pictures, backbone, strategy="freeze", training={"max_epochs": 2}))
    assert job["status"] == "succeeded", job["error"]
    assert job["config"]["submodule"] == "feature_extractor"
    store = service.data_dir / "store"
    stored = bundle.load(registry.directory(store, job["model"]), store)
    saved = content.read(file)[0]
    assert torch.equal(stored.network.backbone.state_dict()["conv1.weight"], saved["feature_extractor.0.weight"])
    assert (stored.architecture.family, stored.architecture.name) == ("torchvision", "resnet18")
    assert client.model(job["model"])["freeze_proof"]["unchanged"] is True


def head(service: Service, model: str) -> dict[str, torch.Tensor]:
    return load_file(registry.directory(service.data_dir / "store", model) / "head.safetensors")
