"""What holds for every strategy, and the groups of the two plain ones."""

from pathlib import Path

import pytest
import torch

from models_store.network import Network
from models_store.spec import Training
from models_store.trunks import backbone_sha256
from tests.worker.training.tiny_fit import CLASSES, Fit, image_backbone, new_attempt, same, text_backbone
from worker.training.strategies import STRATEGIES

TRAINING = Training(max_epochs=3, head_lr=1e-2, backbone_lr=1e-3, layer_decay=0.9, early_stopping=None, seed=5)
IMAGES = sorted(set(STRATEGIES) - {"lora"})


def trained(strategy: str, folder: Path, seed: int = 5, kind: str = "text") -> Fit:
    backbone = image_backbone(folder) if kind == "image" else text_backbone(folder)
    return Fit(new_attempt(folder), backbone, strategy, TRAINING.model_copy(update={"seed": seed})).run()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_seed_gives_the_same_model_twice_and_another_seed_another(strategy: str, tmp_path: Path) -> None:
    once, again = (trained(strategy, tmp_path / name) for name in ("once", "again"))
    assert same(once.state(), again.state())
    assert once.epochs() == again.epochs()
    assert not same(trained(strategy, tmp_path / "other", seed=6).state(), once.state())


@pytest.mark.parametrize("strategy", IMAGES)
def test_a_seed_gives_the_same_model_of_images_twice(strategy: str, tmp_path: Path) -> None:
    once, again = (trained(strategy, tmp_path / name, kind="image") for name in ("once", "again"))
    assert same(once.state(), again.state())


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_parameter_that_ever_trains_is_in_a_group_from_the_start(strategy: str, tmp_path: Path) -> None:
    model = network(tmp_path)
    groups = STRATEGIES[strategy].parameter_groups(model, TRAINING)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    fit = Fit(new_attempt(tmp_path), text_backbone(tmp_path), strategy, TRAINING)
    before = {name: tensor.clone() for name, tensor in fit.network.state_dict().items()}
    fit.run()
    moved = {name for name in before if not torch.equal(fit.last[name], before[name])}
    assert moved <= {name for name, parameter in model.named_parameters() if id(parameter) in grouped}
    assert {"head.weight", "head.bias"} <= moved


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_finished_network_has_the_backbones_own_names(strategy: str, tmp_path: Path) -> None:
    fit = trained(strategy, tmp_path)
    STRATEGIES[strategy].finish(fit.network)
    assert list(fit.network.backbone.state_dict()) == list(text_backbone(tmp_path).module.state_dict())


@pytest.mark.parametrize("kind", ["image", "text"])
def test_freeze_leaves_every_bit_of_the_backbone_and_trains_the_head(kind: str, tmp_path: Path) -> None:
    backbone = image_backbone(tmp_path) if kind == "image" else text_backbone(tmp_path)
    fit = Fit(new_attempt(tmp_path), backbone, "freeze", TRAINING)
    before, head = backbone_sha256(fit.network.backbone), fit.network.head.weight.detach().clone()
    fit.run()
    assert backbone_sha256(fit.network.backbone) == before
    assert not torch.equal(fit.last["head.weight"], head)
    assert fit.epochs()[0]["lr"].keys() == {"head"}


def test_full_trains_every_tensor_at_its_own_rate(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"layer_decay": 1.0, "scheduler": "constant"})
    fit = Fit(new_attempt(tmp_path), text_backbone(tmp_path), "full", training)
    before = {name: tensor.clone() for name, tensor in fit.network.state_dict().items()}
    fit.run()
    still = [name for name in before if torch.equal(fit.last[name], before[name])]
    assert [name for name in still if "position" not in name and "token_type" not in name] == []
    assert fit.epochs()[0]["lr"] == pytest.approx({"backbone": 1e-3, "head": 1e-2})


def test_full_with_layer_decay_shows_a_rate_a_layer(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"layer_decay": 0.5, "scheduler": "constant"})
    fit = Fit(new_attempt(tmp_path), text_backbone(tmp_path), "full", training).run()
    expected = {"backbone.0": 2.5e-4, "backbone.1": 5e-4, "backbone.2": 1e-3, "head": 1e-2}
    assert fit.epochs()[0]["lr"] == pytest.approx(expected)


def network(folder: Path) -> Network:
    backbone = text_backbone(folder)
    return Network(backbone.module, backbone.architecture, CLASSES)
