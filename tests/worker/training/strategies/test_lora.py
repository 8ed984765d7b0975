"""Adapters train, the text model under them does not, and merged they give a model like any other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer

from models_store.backbones.family import Batch
from models_store.errors import InvalidError
from models_store.network import Network
from models_store.spec import Lora, Training
from models_store.trunks import backbone_sha256
from tests.worker.training.tiny_fit import CLASSES, Fit, Watch, image_backbone, new_attempt, same, text_backbone
from worker.training.strategies import lora

TRAINING = Training(max_epochs=2, head_lr=1e-2, lora=Lora(r=4, alpha=8, dropout=0.5), early_stopping=None)
BATCH: Batch = {"input_ids": torch.tensor([[2, 5, 6, 3], [2, 4, 8, 3]]), "attention_mask": torch.ones(2, 4).long()}
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "distilbert": {},
    "roberta": {},
    "albert": {"embedding_size": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "gpt2": {},
}


def fitted(folder: Path, kind: str = "bert") -> Fit:
    return Fit(new_attempt(folder), text_backbone(folder, kind, **KINDS[kind]), "lora", TRAINING)


def base(network: Network) -> dict[str, torch.Tensor]:
    """The tensors of the model under the adapters, under its own names."""
    own = {name.replace(".base_layer", ""): tensor for name, tensor in network.backbone.state_dict().items()}
    return {name.removeprefix("base_model.model."): own[name].clone() for name in own if ".lora_" not in name}


def randomised(network: Network) -> None:
    """Adapters as after some training: new ones add nothing."""
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_merged_logits_are_those_with_adapters_and_the_names_are_the_librarys_again(kind: str, tmp_path: Path) -> None:
    backbone = text_backbone(tmp_path, kind, **KINDS[kind])
    names, module = list(backbone.module.state_dict()), backbone.module
    network = Network(backbone.module, backbone.architecture, CLASSES)
    with torch.no_grad():
        plain = network.eval()(BATCH)
        lora.parameter_groups(network, TRAINING)
        randomised(network)
        adapted = network.eval()(BATCH)
        lora.finish(network)
        merged = network.eval()(BATCH)
    assert (adapted - plain).abs().max() > 1e-3
    assert (merged - adapted).abs().max() <= 1e-5
    assert list(network.backbone.state_dict()) == names
    assert network.backbone is module


def test_training_moves_adapters_and_head_and_not_a_bit_of_the_model_under_them(tmp_path: Path) -> None:
    fit = fitted(tmp_path)
    before, state = base(fit.network), {n: t.clone() for n, t in fit.network.state_dict().items()}
    fit.run()
    assert same(base(fit.network), before)
    moved = {name for name, tensor in fit.last.items() if not torch.equal(tensor, state[name])}
    assert {name for name in state if ".lora_" in name or name.startswith("head.")} == moved


def test_the_model_under_the_adapters_is_the_one_that_came(tmp_path: Path) -> None:
    backbone = text_backbone(tmp_path)
    before = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    fit = Fit(new_attempt(tmp_path), backbone, "lora", TRAINING)
    assert same(base(fit.network), before)
    digest = backbone_sha256(fit.network.backbone)
    fit.run()
    lora.finish(fit.network)
    assert backbone_sha256(fit.network.backbone) != digest


def test_while_training_only_the_adapters_dropout_is_on(tmp_path: Path) -> None:
    fit = fitted(tmp_path)
    seen: list[set[str]] = []

    def see(step: int) -> None:
        del step
        modules = fit.network.backbone.named_modules()
        seen.append({name.rpartition(".lora_")[2].partition(".")[0] for name, module in modules if module.training})

    fit.run([Watch(see)])
    assert {"dropout", "A", "B"} in seen
    assert all(names <= {"dropout", "A", "B"} for names in seen)


def test_adapters_are_on_every_linear_layer_with_the_rank_and_scale_of_the_job(tmp_path: Path) -> None:
    fit = fitted(tmp_path)
    adapted: list[Any] = [module for module in fit.network.backbone.modules() if isinstance(module, LoraLayer)]
    assert len(adapted) == 2 * 6  # query, key, value, output, intermediate, output of two layers
    assert {layer.r["default"] for layer in adapted} == {4}
    assert {layer.scaling["default"] for layer in adapted} == {2.0}
    assert {layer.lora_dropout["default"].p for layer in adapted} == {0.5}


def test_adapters_and_head_learn_at_the_heads_rate(tmp_path: Path) -> None:
    groups = lora.parameter_groups(fitted_network(tmp_path), TRAINING)
    assert {group["name"]: group["lr"] for group in groups} == {"adapters": 1e-2, "head": 1e-2}


def test_without_settings_of_its_own_a_job_has_the_defaults(tmp_path: Path) -> None:
    network = fitted_network(tmp_path)
    lora.parameter_groups(network, Training())
    adapted: list[Any] = [module for module in network.backbone.modules() if isinstance(module, LoraLayer)]
    assert {(layer.r["default"], layer.lora_alpha["default"]) for layer in adapted} == {(8, 16.0)}


def test_images_are_refused_by_name(tmp_path: Path) -> None:
    backbone = image_backbone(tmp_path)
    with pytest.raises(InvalidError) as refused:
        lora.parameter_groups(Network(backbone.module, backbone.architecture, CLASSES), TRAINING)
    assert (refused.value.code, refused.value.param) == ("lora_needs_text", "strategy")


def fitted_network(folder: Path) -> Network:
    backbone = text_backbone(folder)
    return Network(backbone.module, backbone.architecture, CLASSES)
