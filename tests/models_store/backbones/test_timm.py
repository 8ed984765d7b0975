"""timm's models come with their own data configuration, and with the weights of other ports of them."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file
from torchvision.models import ResNet18_Weights

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.mirror import Mirror
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import efficientnet_lite0, photos

FAMILY = FAMILIES["timm"]
LITE0 = "timm/tf_efficientnet_lite0"
IMAGENET: list[str] = ResNet18_Weights.DEFAULT.meta["categories"]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    mirror = Mirror(tmp_path_factory.mktemp("store"))
    mirror.add(LITE0, "DEFAULT", efficientnet_lite0())
    return mirror


@pytest.fixture(scope="module")
def lite0(mirror: Mirror) -> Backbone:
    return FAMILY.load("tf_efficientnet_lite0", "DEFAULT", mirror, {})


def pixels(backbone: Backbone, content: bytes) -> torch.Tensor:
    (item,) = backbone.preprocessing.prepare([content])
    assert isinstance(item, Prepared)
    return item.tensors["pixels"][None]


def test_efficientnet_lite_has_its_own_statistics_interpolation_and_crop(lite0: Backbone) -> None:
    card = lite0.preprocessing.card()
    assert (card["mean"], card["std"]) == ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    assert card["interpolation"] == "bicubic"
    assert (card["resize"], card["crop"]) == (256, [224, 224])


@pytest.mark.parametrize(("photo", "plausible"), [("china", {"palace", "monastery"}), ("flower", {"daisy"})])
def test_weights_of_another_port_classify_photos_after_mapping(
    photo: str, plausible: set[str], mirror: Mirror, lite0: Backbone
) -> None:
    stored = mirror.path(LITE0, "in1k")
    assert stored is not None
    whole = timm.create_model("tf_efficientnet_lite0.in1k", pretrained=False).eval()
    whole.load_state_dict(load_file(stored / "model.safetensors"))
    with torch.no_grad():
        best = whole(pixels(lite0, photos()[photo])).topk(5).indices[0].tolist()
    assert plausible <= {IMAGENET[index] for index in best}


def test_the_way_of_the_mapping_is_recorded(mirror: Mirror) -> None:
    entry = mirror.get(LITE0, "DEFAULT")
    assert entry is not None
    assert entry.mapped == "by order, shape and last part of the name"


def test_features_are_what_the_librarys_classifier_is_given(mirror: Mirror, lite0: Backbone) -> None:
    stored = mirror.path(LITE0, "in1k")
    assert stored is not None
    whole: Any = timm.create_model("tf_efficientnet_lite0.in1k", pretrained=False).eval()
    whole.load_state_dict(load_file(stored / "model.safetensors"))
    batch = {"pixels": pixels(lite0, photos()["flower"])}
    with torch.no_grad():
        expected = whole.forward_head(whole.forward_features(batch["pixels"]), pre_logits=True)
        features = FAMILY.extract(lite0.module, batch, lite0.architecture)
    assert lite0.architecture.width == 1280
    assert torch.allclose(features, expected, atol=1e-6)


def test_a_weights_name_is_a_pretrained_tag() -> None:
    assert FAMILY.weights("tf_efficientnet_lite0") == ["in1k"]
    assert FAMILY.resolve("tf_efficientnet_lite0", "DEFAULT") == "in1k"


def test_each_tag_has_its_own_preprocessing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    crops = {}
    for tag in ("a1_in1k", "tv_in1k"):
        torch.save(timm.create_model(f"resnet18.{tag}", pretrained=False).state_dict(), path)
        mirror = Mirror(tmp_path / tag)
        mirror.add("timm/resnet18", tag, path)
        crops[tag] = FAMILY.load("resnet18", tag, mirror, {}).preprocessing.card()["interpolation"]
    assert crops == {"a1_in1k": "bicubic", "tv_in1k": "bilinear"}
