"""The pixels that a network sees are, to the bit, those of the library that its weights come from."""

from typing import Any

import pytest
import timm.data
import torch
from PIL import Image
from timm.models import get_pretrained_cfg
from torchvision import models

from models_store.backbones import timm as timm_family
from models_store.backbones import torchvision as torchvision_family
from models_store.errors import InvalidError
from models_store.preprocessing.decoding import open_image
from models_store.preprocessing.image import ImagePreprocessing
from models_store.preprocessing.loading import load_preprocessing
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import encoded, noise, photos

SIZES = [(301, 200), (33, 47), pytest.param((640, 427), marks=pytest.mark.slow)]
timm_data: Any = timm.data


def distinct_presets() -> list[Any]:
    presets = [weights for name in models.list_models(module=models) for weights in models.get_model_weights(name)]
    return list({repr(preset.transforms()): preset for preset in presets}.values())


def distinct_data_configs() -> list[dict[str, Any]]:
    pretrained: Any = [get_pretrained_cfg(tagged) for tagged in timm.list_pretrained()]
    configs = [timm_data.resolve_data_config(pretrained_cfg=config.to_dict()) for config in pretrained]
    return list({repr(config): config for config in configs}.values())


def prepared(preprocessing: ImagePreprocessing, image: Image.Image) -> Prepared:
    (item,) = preprocessing.prepare([encoded(image)])
    assert isinstance(item, Prepared)
    return item


@pytest.mark.parametrize("size", SIZES)
def test_every_torchvision_preset_is_met_to_the_bit(size: tuple[int, int]) -> None:
    image = noise(*size)
    for preset in distinct_presets():
        ours = prepared(torchvision_family.preprocessing_for(preset), image).tensors["pixels"]
        assert torch.equal(ours, preset.transforms()(image)), preset


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_a_photo_is_what_the_own_transforms_of_any_torchvision_weights_make_of_it(name: str) -> None:
    content = photos()["flower"]
    image = open_image(content).image
    for weights in models.get_model_weights(name):
        (item,) = torchvision_family.preprocessing_for(weights).prepare([content])
        assert isinstance(item, Prepared)
        assert torch.equal(item.tensors["pixels"], weights.transforms()(image)), weights


@pytest.mark.parametrize("size", SIZES)
def test_every_timm_data_configuration_is_met_to_the_bit(size: tuple[int, int]) -> None:
    image = noise(*size)
    configs = distinct_data_configs()
    assert {config["crop_mode"] for config in configs} == {"center", "squash", "border"}
    for config in configs:
        ours = prepared(timm_family.preprocessing_for(config), image).tensors["pixels"]
        assert torch.equal(ours, timm_data.create_transform(**config)(image)), config


def some() -> ImagePreprocessing:
    return ImagePreprocessing(32, (24, 28), "center", "bicubic", True, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


def test_upscaling_is_told() -> None:
    assert prepared(some(), noise(31, 40)).diagnostics["upscaled"] is True
    assert prepared(some(), noise(32, 40)).diagnostics["upscaled"] is False


def test_what_the_decoder_did_is_told() -> None:
    diagnostics = prepared(some(), noise(40, 50).convert("RGBA")).diagnostics
    assert diagnostics == {"exif_applied": False, "alpha_dropped": True, "width": 40, "height": 50, "upscaled": False}


def test_a_bad_image_fails_alone() -> None:
    good = encoded(noise())
    first, bad, last = some().prepare([good, b"no image", good])
    assert isinstance(bad, InvalidError)
    assert bad.code == "unreadable_image"
    assert isinstance(first, Prepared)
    assert isinstance(last, Prepared)
    assert torch.equal(first.tensors["pixels"], last.tensors["pixels"])


@pytest.mark.parametrize("crop_mode", ["center", "border"])
def test_an_image_too_narrow_to_resize_is_refused(crop_mode: Any) -> None:
    resize = 256 if crop_mode == "center" else (256, 256)
    preprocessing = ImagePreprocessing(resize, (224, 224), crop_mode, "bilinear", True, (0, 0, 0), (1, 1, 1))
    (result,) = preprocessing.prepare([encoded(Image.new("RGB", (1, 60_000)))])
    assert isinstance(result, InvalidError)
    assert result.code == "image_too_large"


def test_a_batch_stacks_its_images() -> None:
    items = [prepared(some(), noise(seed=seed)) for seed in range(3)]
    batch = some().collate(items)
    assert batch["pixels"].shape == (3, 3, 24, 28)
    assert torch.equal(batch["pixels"][2], items[2].tensors["pixels"])


@pytest.mark.parametrize("resize", [32, (40, 36), None])
def test_the_card_brings_back_an_equal_preprocessing(resize: int | tuple[int, int] | None, tmp_path: Any) -> None:
    preprocessing = ImagePreprocessing(resize, (24, 28), "squash", "bilinear", True, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    again = load_preprocessing(preprocessing.card(), tmp_path)
    assert again == preprocessing
    assert again.sha256() == preprocessing.sha256()


def test_the_hash_tells_preprocessings_apart() -> None:
    other = ImagePreprocessing(32, (24, 28), "center", "bicubic", True, (0.1, 0.2, 0.3), (0.5, 0.6, 0.8))
    assert other.sha256() != some().sha256()
