"""torchvision's models keep their own names and numbers; only the classifier goes."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from models_store.backbones import FAMILIES
from models_store.backbones.downloads import hub_cache
from models_store.backbones.family import Backbone
from models_store.errors import UnavailableError
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.preprocessing.image import ImagePreprocessing
from tests.models_store.backbones.finetuning import assert_fine_tunes
from tests.models_store.samples import parameters_equal, photos

FAMILY = FAMILIES["torchvision"]
WIDTHS = {
    "squeezenet1_1": 512,
    "resnet18": 512,
    "densenet121": 1024,
    "mobilenet_v3_small": 1024,
    "efficientnet_b0": 1280,
    "convnext_tiny": 768,
    "swin_t": 768,
    "vit_b_32": 768,
    "maxvit_t": 512,
    "shufflenet_v2_x0_5": 1024,
    "inception_v3": 2048,
    "googlenet": 1024,
}
NUMBER_OF_MODELS = 80
ODD = ("squeezenet1_1", "inception_v3", "googlenet", "mnasnet0_5", "shufflenet_v2_x1_0", "densenet121", "swin_t")
"""A convolution as classifier, auxiliary heads, 299 pixels, no last norm, windows: cheap enough for every run."""
LARGE = 100_000_000


def random_backbone(name: str, folder: Path) -> Backbone:
    return FAMILY.load(name, None, Mirror(folder), {})


def pixels(name: str) -> torch.Tensor:
    size = models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def library_model(backbone: Backbone) -> Any:
    """The library's own model with the weights of ``backbone``, classifier and auxiliary heads at random."""
    arguments = backbone.architecture.config["arguments"]
    inputs = {"transform_input": True} if hasattr(backbone.module, "transform_input") else {}
    whole = models.get_model(backbone.architecture.name, weights=None, **arguments, **inputs).eval()
    told = whole.load_state_dict(backbone.module.state_dict(), strict=False)
    assert not told.unexpected_keys
    left_out = {name.rpartition(".")[0] for name in told.missing_keys if not re.match("aux", name, re.IGNORECASE)}
    assert left_out == {backbone.architecture.config["classifier"]}
    return whole


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", WIDTHS)
def test_features_are_what_the_librarys_classifier_is_given(name: str, tmp_path: Path) -> None:
    backbone = random_backbone(name, tmp_path)
    whole = library_model(backbone)
    classifier = whole.get_submodule(backbone.architecture.config["classifier"])
    given: list[torch.Tensor] = []
    classifier.register_forward_hook(lambda _layer, inputs, _output: given.append(inputs[0]))
    with torch.no_grad():
        whole(pixels(name))
        features = FAMILY.extract(backbone.module, {"pixels": pixels(name)}, backbone.architecture)
    expected = given[-1] if given[-1].ndim == 2 else nn.functional.adaptive_avg_pool2d(given[-1], 1).flatten(1)
    assert features.shape == (2, WIDTHS[name])
    assert torch.allclose(features, expected, atol=1e-6)


def photos_for(backbone: Backbone) -> list[bytes]:
    """Two, or one where two would take more memory in a full step than a small machine has."""
    parameters = sum(parameter.numel() for parameter in backbone.module.parameters())
    preprocessing = backbone.preprocessing
    assert isinstance(preprocessing, ImagePreprocessing)
    return list(photos().values())[: 1 if parameters > LARGE or preprocessing.crop[0] > 400 else 2]


def lives(name: str) -> None:
    """Its files, which may be gigabytes, are gone at the end."""
    with TemporaryDirectory() as temporary:
        backbone = random_backbone(name, Path(temporary))
        assert_fine_tunes(backbone, photos_for(backbone), Path(temporary))


@pytest.mark.parametrize("name", ODD)
def test_an_oddly_built_model_trains_is_stored_and_predicts(name: str) -> None:
    lives(name)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(set(FAMILY.names()) - set(ODD)))
def test_every_model_that_the_library_lists_trains_is_stored_and_predicts(name: str) -> None:
    """At the full size of its default weights, also the largest (7 GiB: vit_h_14 at 518 pixels)."""
    lives(name)


def test_every_classification_model_is_listed() -> None:
    assert len(FAMILY.names()) >= NUMBER_OF_MODELS
    assert not any("quant" in name or "rcnn" in name or "fcn" in name for name in FAMILY.names())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_off_in_training_too(name: str, tmp_path: Path) -> None:
    backbone = random_backbone(name, tmp_path)
    assert not any("aux" in key.lower() for key in backbone.module.state_dict())
    network = Network(backbone.module, backbone.architecture, classes=3)
    assert network({"pixels": pixels(name)}).shape == (2, 3)


def test_a_vision_transformer_is_built_for_the_size_of_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(models.vit_b_16(image_size=384).state_dict(), path)
    mirror = Mirror(tmp_path / "store")
    mirror.add("torchvision/vit_b_16", "IMAGENET1K_SWAG_E2E_V1", path)
    backbone = FAMILY.load("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", mirror, {})
    assert backbone.preprocessing.card()["crop"] == [384, 384]
    assert backbone.architecture.config["arguments"] == {"image_size": 384}


def test_weights_without_a_classifier_are_not_offered() -> None:
    assert "IMAGENET1K_FEATURES" not in FAMILY.weights("vgg16")


def cached(name: str, state: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put ``state`` where torch.hub would keep the default weights of ``name``."""
    monkeypatch.setenv("TORCH_HOME", str(home))
    path = hub_cache(models.get_model_weights(name).DEFAULT.url)
    assert home in path.parents
    path.parent.mkdir(parents=True)
    torch.save(state, path)


def test_the_librarys_own_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models.squeezenet1_1()
    cached("squeezenet1_1", whole.state_dict(), tmp_path / "home", monkeypatch)
    backbone = FAMILY.load("squeezenet1_1", "DEFAULT", Mirror(tmp_path), {})
    kept = backbone.module.state_dict()
    assert backbone.weights == "IMAGENET1K_V1"
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in kept.items())


def test_names_from_before_a_renaming_still_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models.densenet121()
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): tensor for name, tensor in whole.state_dict().items()}
    old = {name: tensor for name, tensor in old.items() if "num_batches" not in name}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    cached("densenet121", old, tmp_path / "home", monkeypatch)
    backbone = FAMILY.load("densenet121", "DEFAULT", Mirror(tmp_path), {})
    whole.classifier = nn.Identity()
    assert parameters_equal(backbone.module, whole)


def test_the_mirror_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored, other = models.squeezenet1_1(), models.squeezenet1_1()
    cached("squeezenet1_1", other.state_dict(), tmp_path / "home", monkeypatch)
    torch.save(mirrored.state_dict(), tmp_path / "mirrored.pth")
    mirror = Mirror(tmp_path / "store")
    mirror.add("torchvision/squeezenet1_1", "DEFAULT", tmp_path / "mirrored.pth")
    loaded = FAMILY.load("squeezenet1_1", "DEFAULT", mirror, {}).module.state_dict()
    assert torch.equal(loaded["features.0.weight"], mirrored.state_dict()["features.0.weight"])


def test_without_hub_the_error_says_what_is_missing_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens on the discard port
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(UnavailableError) as caught:
        FAMILY.load("squeezenet1_1", "DEFAULT", Mirror(tmp_path), {})
    assert caught.value.code == "weights_unavailable"
    for part in ("torchvision/squeezenet1_1", "IMAGENET1K_V1", str(tmp_path), "finetuned weights add"):
        assert part in caught.value.message
