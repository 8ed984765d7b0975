"""A model that was trained here is where the next one starts."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from models_store import registry
from models_store.backbones import FAMILIES
from models_store.backbones.family import Head
from models_store.errors import FinetunedError
from models_store.mirror import Mirror
from tests.models_store.kept import keep_model
from tests.models_store.samples import parameters_equal, tiny_text_model

MODELS = FAMILIES["model"]
LABELS = ["개미", "벌"]


def refusal(model_id: str, mirror: Mirror) -> FinetunedError:
    with pytest.raises(FinetunedError) as caught:
        MODELS.load(model_id, "DEFAULT", mirror, {})
    return caught.value


def test_it_starts_with_the_trunk_the_input_and_the_head_of_the_model(tmp_path: Path) -> None:
    model_id, network = keep_model(tmp_path, "plugin/tiny", LABELS)
    backbone = MODELS.load(model_id, "DEFAULT", Mirror(tmp_path), {})
    assert parameters_equal(backbone.module, network.backbone)
    assert backbone.architecture == network.architecture
    assert backbone.preprocessing.card()["crop"] == [32, 32]
    assert backbone.weights == model_id
    assert backbone.head is not None
    assert backbone.head.labels == LABELS
    assert torch.equal(backbone.head.weight, network.head.weight)


def test_a_text_model_keeps_its_own_pooling_and_length(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    mirror.add("hf/tiny/bert", "DEFAULT", tiny_text_model(tmp_path / "tiny"))
    model_id, network = keep_model(mirror.store_dir, "hf/tiny/bert", LABELS)
    backbone = MODELS.load(model_id, "DEFAULT", mirror, {"pooling": "mean", "max_length": 9})
    assert backbone.architecture == network.architecture
    assert backbone.preprocessing.card()["max_length"] == 40


def test_random_weights_come_without_a_head(tmp_path: Path) -> None:
    model_id, network = keep_model(tmp_path, "torchvision/shufflenet_v2_x0_5", LABELS)
    backbone = MODELS.load(model_id, None, Mirror(tmp_path), {})
    assert backbone.architecture == network.architecture
    assert not parameters_equal(backbone.module, network.backbone)
    assert backbone.head is None
    assert backbone.weights is None


def test_a_model_that_was_deleted_is_told_so(tmp_path: Path) -> None:
    model_id, _ = keep_model(tmp_path, "plugin/tiny", LABELS)
    shutil.rmtree(registry.directory(tmp_path, model_id))
    assert refusal(model_id, Mirror(tmp_path)).code == "model_not_found"


def test_a_model_whose_trunk_is_gone_is_told_so(tmp_path: Path) -> None:
    model_id, _ = keep_model(tmp_path, "plugin/tiny", LABELS)
    shutil.rmtree(tmp_path / "trunks")
    assert refusal(model_id, Mirror(tmp_path)).code == "trunk_missing"


def test_rows_of_shared_labels_begin_as_they_were_and_others_are_new() -> None:
    head = Head(LABELS, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0, 6.0]))
    layer = nn.Linear(2, 3)
    fresh = layer.weight[0].clone()
    head.copy_into(layer, ["나비", "벌", "개미"])
    assert torch.equal(layer.weight[0], fresh)
    assert layer.weight[1:].tolist() == [[3, 4], [1, 2]]
    assert layer.bias[1:].tolist() == [6, 5]
    assert layer.weight.requires_grad
