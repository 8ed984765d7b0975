"""A frozen backbone does not move by a bit, whatever training does around it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone, Batch
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.trunks import backbone_sha256
from tests.models_store.samples import tiny_text_model


def image_backbone(folder: Path) -> Backbone:
    """With batch norm, whose statistics move in training mode."""
    return FAMILIES["timm"].load("test_resnet", None, Mirror(folder), {})


def text_backbone(folder: Path) -> Backbone:
    """With dropout, whose output differs from run to run in training mode."""
    mirror = Mirror(folder)
    mirror.add("hf/tiny/bert", "DEFAULT", tiny_text_model(folder / "tiny"))
    return FAMILIES["hf"].load("tiny/bert", "DEFAULT", mirror, {})


def images() -> Batch:
    return {"pixels": torch.rand(4, 3, 160, 160, generator=torch.Generator().manual_seed(0))}


def network(backbone: Backbone) -> Network:
    torch.manual_seed(0)
    return Network(backbone.module, backbone.architecture, classes=3)


def train(model: Network, batch: Batch, steps: int = 3) -> None:
    optimizer = torch.optim.SGD((tensor for tensor in model.parameters() if tensor.requires_grad), lr=0.1)
    for _ in range(steps):
        model.train()
        loss: Any = nn.functional.cross_entropy(model(batch), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_frozen_backbone_is_bit_identical_after_training_while_the_head_learns(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone()
    before, head = backbone_sha256(model.backbone), model.head.weight.clone()
    train(model, images())
    assert backbone_sha256(model.backbone) == before
    assert not torch.equal(model.head.weight, head)


def test_without_freezing_weights_and_statistics_do_move(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    train(model, images(), steps=1)
    moved = {name for name, tensor in model.backbone.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.endswith("running_mean") for name in moved)
    assert any(name.endswith("weight") for name in moved)


def test_a_frozen_backbone_stays_in_eval_through_every_change_of_mode(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone()
    for mode in (True, False, True):
        model.train(mode)
        assert model.training is mode
        assert not any(module.training for module in model.backbone.modules())


def test_dropout_is_off_in_a_frozen_backbone(tmp_path: Path) -> None:
    backbone = text_backbone(tmp_path)
    batch = {"input_ids": torch.tensor([[2, 5, 3]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    model = network(backbone)
    assert not torch.equal(model.features(batch), model.features(batch))
    model.freeze_backbone()
    model.train()
    assert torch.equal(model.features(batch), model.features(batch))


def test_no_graph_is_kept_through_a_frozen_backbone(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    assert model.features(images()).requires_grad
    model.freeze_backbone()
    assert not model.features(images()).requires_grad
    assert model(images()).requires_grad


def test_a_frozen_backbone_runs_without_gradients_whatever_its_input(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone()
    assert not model.features({"pixels": images()["pixels"].requires_grad_()}).requires_grad


def test_a_backbone_that_comes_in_eval_mode_trains_in_training_mode(tmp_path: Path) -> None:
    backbone = text_backbone(tmp_path)
    assert not backbone.module.training
    assert all(module.training for module in network(backbone).modules())


def test_unfreezing_gives_gradients_and_training_mode_back(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone()
    model.unfreeze_backbone()
    assert all(module.training for module in model.modules())
    assert all(tensor.requires_grad for tensor in model.parameters())


def test_a_network_for_serving_cannot_be_put_in_training_mode(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path)).freeze()
    model.train()
    assert not any(module.training for module in model.modules())
    assert not any(tensor.requires_grad for tensor in model.parameters())
    assert not model(images()).requires_grad


def test_what_is_spared_of_a_frozen_backbone_trains_and_the_rest_stays_bit_identical(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    top: Any = model.backbone.get_submodule("layer4")
    model.freeze_backbone(spare=[top])
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    train(model, images())
    moved = {name for name, tensor in model.backbone.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {f"layer4.{name}" for name in top.state_dict()}


def test_what_is_spared_follows_the_networks_mode_and_the_rest_stays_in_eval(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    top = model.backbone.get_submodule("layer4")
    model.freeze_backbone(spare=[top])
    for mode in (True, False, True):
        model.train(mode)
        spared = set(top.modules())
        assert {module.training for module in spared} == {mode}
        assert not any(module.training for module in model.backbone.modules() if module not in spared)


def test_freezing_says_anew_what_is_spared(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone(spare=[model.backbone.get_submodule("layer4")])
    model.freeze_backbone()
    model.train()
    assert not any(module.training for module in model.backbone.modules())
    assert not any(tensor.requires_grad for tensor in model.backbone.parameters())
    assert not model.features(images()).requires_grad


def test_unfreezing_ends_also_a_freezing_that_spared_something(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone(spare=[model.backbone.get_submodule("layer4")])
    model.unfreeze_backbone()
    model.train(False)
    model.train()
    assert all(module.training for module in model.modules())
    assert all(tensor.requires_grad for tensor in model.parameters())


def test_a_network_for_serving_spares_nothing(tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    model.freeze_backbone(spare=[model.backbone.get_submodule("layer4")])
    model.freeze().train()
    assert not any(module.training for module in model.modules())
    assert not any(tensor.requires_grad for tensor in model.parameters())


@pytest.mark.parametrize("frozen", [True, False])
def test_logits_are_float32_under_autocast_too(frozen: bool, tmp_path: Path) -> None:
    model = network(image_backbone(tmp_path))
    if frozen:
        model.freeze_backbone()
    with torch.autocast("cpu", torch.bfloat16):
        assert model(images()).dtype == torch.float32


def test_names_in_the_state_are_the_librarys_own(tmp_path: Path) -> None:
    backbone = image_backbone(tmp_path)
    expected = [f"backbone.{name}" for name in backbone.module.state_dict()]
    assert list(network(backbone).state_dict()) == [*expected, "head.weight", "head.bias"]


def test_the_hash_of_a_backbone_sees_every_bit(tmp_path: Path) -> None:
    module: Any = image_backbone(tmp_path).module
    hashes = {backbone_sha256(module)}
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            with torch.no_grad():
                first = tensor.view(-1)[:1]
                first.copy_(torch.nextafter(first, first + 1))
            digest = backbone_sha256(module)
            assert digest not in hashes
            hashes.add(digest)


def test_the_hash_of_a_backbone_does_not_depend_on_its_memory_layout(tmp_path: Path) -> None:
    module = image_backbone(tmp_path).module
    before = backbone_sha256(module)
    layout: Any = torch.channels_last
    assert backbone_sha256(module.to(memory_format=layout)) == before
