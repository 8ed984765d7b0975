"""Layers are found in order, whole, each parameter once, in modules that have nothing in common but their making."""

from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision import models
from transformers import CONFIG_MAPPING, AutoModel

from models_store.spec import Training
from worker.training.strategies.layers import layer_groups, layers, named_groups

TINY: dict[str, Any] = {
    "vocab_size": 9,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
KINDS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3},
}


def names(backbone: nn.Module) -> list[str]:
    known = {id(module): name for name, module in backbone.named_modules()}
    return ["+".join(known[id(module)] for module in layer.modules) for layer in layers(backbone)]


def text_model(kind: str) -> nn.Module:
    factory: Any = AutoModel
    with torch.device("meta"):
        model: Any = factory.from_config(CONFIG_MAPPING[kind](**TINY, **KINDS.get(kind, {})))
    model.pooler = None
    backbone: nn.Module = model
    return backbone


def timm_model(name: str) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name, num_classes=0)
    return model


def torchvision_model(name: str) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = models.get_model(name, weights=None)
    return model


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bert", ["embeddings", *(f"encoder.layer.{layer}" for layer in range(3))]),
        ("distilbert", ["embeddings", *(f"transformer.layer.{layer}" for layer in range(3))]),
        ("electra", ["embeddings", "embeddings_project", *(f"encoder.layer.{layer}" for layer in range(3))]),
        ("deberta-v2", ["embeddings+encoder.rel_embeddings", *(f"encoder.layer.{layer}" for layer in range(3))]),
        ("modernbert", ["embeddings", "layers.0", "layers.1", "layers.2+final_norm"]),
        ("gpt2", ["wte+wpe", "h.0", "h.1", "h.2+ln_f"]),
        ("albert", ["embeddings", "encoder"]),
    ],
)
def test_embeddings_then_each_block_of_a_text_model(kind: str, expected: list[str]) -> None:
    assert names(text_model(kind)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["conv1+bn1", *(f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2))]),
        ("vit_tiny_patch16_224", ["patch_embed", *(f"blocks.{block}" for block in range(11)), "blocks.11+norm"]),
        ("test_efficientnet", ["conv_stem+bn1", *(f"blocks.{stage}" for stage in range(5)), "conv_head+bn2"]),
    ],
)
def test_stem_then_each_block_of_a_timm_model(name: str, expected: list[str]) -> None:
    assert names(timm_model(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg11_bn", ["features.0+features.1", "features.4+features.5", "features.8+features.9"]),
        ("densenet121", ["features.conv0+features.norm0", "features.denseblock1.denselayer1"]),
        ("efficientnet_b0", ["features.0", "features.1", "features.2.0", "features.2.1"]),
        ("convnext_tiny", ["features.0", "features.1.0", "features.1.1", "features.1.2", "features.2"]),
        ("vit_b_16", ["conv_proj", "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1"]),
    ],
)
def test_the_first_layers_of_a_torchvision_model(name: str, expected: list[str]) -> None:
    assert names(torchvision_model(name))[: len(expected)] == expected


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "shufflenet_v2_x1_0", "mobilenet_v3_small"])
def test_every_parameter_is_in_one_layer(name: str) -> None:
    backbone = torchvision_model(name)
    found = [id(parameter) for layer in layers(backbone) for parameter in layer.parameters]
    assert sorted(found) == sorted(id(parameter) for parameter in backbone.parameters())


def test_parameters_outside_any_part_are_in_the_lowest_layer() -> None:
    backbone: Any = torchvision_model("vit_b_16")
    lowest = {id(parameter) for parameter in layers(backbone)[0].parameters}
    assert {id(backbone.class_token), id(backbone.encoder.pos_embedding)} <= lowest


def test_tied_parameters_come_once() -> None:
    backbone = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    backbone[1].weight = backbone[0].weight
    assert sum(len(layer.parameters) for layer in layers(backbone)) == 3


def test_an_operators_wrapper_around_a_model_is_looked_through() -> None:
    assert names(nn.ModuleDict({"inner": timm_model("resnet18")}))[:2] == ["inner.conv1+inner.bn1", "inner.layer1.0"]


def test_a_backbone_of_one_layer_is_that_layer() -> None:
    backbone = nn.Linear(4, 3)
    (only,) = layers(backbone)
    assert only.modules == [backbone]
    assert len(only.parameters) == 2


def test_rates_fall_by_the_factor_from_layer_to_layer_downwards() -> None:
    groups = layer_groups(text_model("bert"), Training(backbone_lr=1e-4, layer_decay=0.5))
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == pytest.approx({"backbone.3": 1e-4, "backbone.2": 5e-5, "backbone.1": 2.5e-5, "backbone.0": 1.25e-5})


def test_biases_and_normalisation_are_not_decayed() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    matrices, vectors = named_groups("backbone", list(model.parameters()), 1e-3)
    assert [parameter.shape for parameter in matrices["params"]] == [(3, 4)]
    assert len(vectors["params"]) == 3
    assert (matrices.get("weight_decay"), vectors["weight_decay"]) == (None, 0.0)
    assert matrices["name"] == vectors["name"] == "backbone"
