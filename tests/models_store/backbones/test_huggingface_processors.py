"""An image processor of transformers becomes the product's own preprocessing only where both give the same pixels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from models_store.backbones.huggingface_processors import load_processor
from models_store.errors import InvalidError
from models_store.preprocessing.image import ImagePreprocessing
from models_store.preprocessing.loading import load_preprocessing
from tests.models_store.samples import encoded, noise
from tests.models_store.tiny_models import edit_json, save_processor

SIZES = [(301, 200), (33, 47), (640, 427), (250, 251), (1, 90)]
SQUARE = {"height": 224, "width": 224}
EXPRESSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("ViTImageProcessor", {}),
    ("ViTImageProcessor", {"size": {"height": 384, "width": 320}, "resample": 3}),
    ("ViTImageProcessor", {"do_normalize": False}),
    ("ViTImageProcessor", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.9, 0.8, 0.7]}),
    ("ViTImageProcessor", {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}),
    ("ViTImageProcessor", {"do_rescale": False, "image_mean": [120, 110, 100], "image_std": [60, 61, 62]}),
    ("DeiTImageProcessor", {}),
    ("BeitImageProcessor", {}),
    ("BitImageProcessor", {}),
    ("BitImageProcessor", {"size": {"shortest_edge": 257}, "crop_size": SQUARE}),
    ("BitImageProcessor", {"size": {"shortest_edge": 100}, "crop_size": {"height": 151, "width": 120}}),
    ("BitImageProcessor", {"do_resize": False, "crop_size": {"height": 61, "width": 40}}),
    ("BitImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}, "resample": 0}),
    ("CLIPImageProcessor", {"resample": 1}),
    ("ConvNextImageProcessor", {}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 256}, "crop_pct": 0.95}),
    ("PoolFormerImageProcessor", {}),
    ("MobileNetV2ImageProcessor", {}),
    ("PvtImageProcessor", {}),
    ("SegformerImageProcessor", {}),
    ("SiglipImageProcessor", {}),
]
INEXPRESSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("BitImageProcessor", {"do_center_crop": False}),  # images of many sizes
    ("MobileViTImageProcessor", {}),  # blue before red
    ("EfficientNetImageProcessor", {"rescale_offset": True}),
    ("TextNetImageProcessor", {}),
]


def library(folder: Path, image: Image.Image, **options: Any) -> torch.Tensor:
    untyped: Any = AutoImageProcessor
    pixels: torch.Tensor = untyped.from_pretrained(folder, **options)(image, return_tensors="pt")["pixel_values"][0]
    return pixels


def named(name: str, folder: Path, **values: Any) -> ImagePreprocessing:
    save_processor(folder, name, **values)
    return load_processor(folder)[0]


@pytest.mark.parametrize(("name", "values"), EXPRESSIBLE)
def test_pixels_equal_those_of_the_librarys_processor(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    preprocessing = named(name, tmp_path, **values)
    for size in SIZES:
        image = noise(*size)
        assert torch.allclose(
            preprocessing.transform(image), library(tmp_path, image, backend="pil"), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize(("name", "values"), INEXPRESSIBLE)
def test_a_processor_that_does_something_else_is_refused(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as caught:
        named(name, tmp_path, **values)
    assert caught.value.code == "unsupported_backbone"
    assert name in caught.value.message


def test_the_librarys_default_for_torchvision_is_a_level_of_grey_away(tmp_path: Path) -> None:
    """Why the form for Pillow is named: both are the model's own by name, and they are not equal."""
    preprocessing = named("ViTImageProcessor", tmp_path)
    image = noise(301, 200)
    distance = (preprocessing.transform(image) - library(tmp_path, image)).abs().max().item() * 0.5 * 255
    assert 0.5 < distance < 1.5


def test_names_of_before_image_processors_were_called_so_still_load(tmp_path: Path) -> None:
    save_processor(tmp_path, "ViTImageProcessor")
    edit_json(
        tmp_path / "preprocessor_config.json", image_processor_type=None, feature_extractor_type="ViTFeatureExtractor"
    )
    assert load_processor(tmp_path)[0].crop == (224, 224)


def test_an_odd_crop_survives_being_stored(tmp_path: Path) -> None:
    preprocessing = named("BitImageProcessor", tmp_path, size={"shortest_edge": 257}, crop_size=SQUARE)
    again = load_preprocessing(preprocessing.card(), tmp_path)
    assert again == preprocessing
    (item,) = again.prepare([encoded(noise(301, 200))])
    assert not isinstance(item, Exception)
    assert torch.equal(item.tensors["pixels"], preprocessing.transform(noise(301, 200)))


def test_a_file_that_is_no_processor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "NoSuchImageProcessor"}')
    with pytest.raises(InvalidError) as caught:
        load_processor(tmp_path)
    assert caught.value.code == "unsupported_backbone"
