"""Image models of Hugging Face: the features that the library's own classifier reads, from the library's own pixels."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CONFIG_MAPPING, AutoImageProcessor, AutoModelForImageClassification

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from tests.models_store.backbones.finetuning import assert_fine_tunes, collated
from tests.models_store.samples import parameters_equal, photos
from tests.models_store.tiny_models import IMAGE_KINDS, PROCESSORS, edit_json, image_model, save_processor

FAMILY = FAMILIES["hf"]


def load(folder: Path, store: Path, **options: Any) -> Backbone:
    mirror = Mirror(store)
    mirror.add("hf/some/model", "DEFAULT", folder)
    return FAMILY.load("some/model", "DEFAULT", mirror, options)


def refusal(folder: Path, store: Path, **options: Any) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        load(folder, store, **options)
    return caught.value


def features(backbone: Backbone) -> torch.Tensor:
    with torch.no_grad():
        batch = collated(backbone.preprocessing, list(photos().values()))
        return FAMILY.extract(backbone.module, batch, backbone.architecture)


def classifier(folder: Path, kind: str) -> Any:
    """A model as its authors publish it: with a classifier on it, and without what that does not read."""
    values: dict[str, Any] = {**IMAGE_KINDS[kind], "num_labels": 5, "architectures": []}
    config = CONFIG_MAPPING[kind](**values)
    untyped: Any = AutoModelForImageClassification
    whole = untyped.from_config(config).eval()
    whole.save_pretrained(folder)
    save_processor(folder, PROCESSORS[kind][0], **PROCESSORS[kind][1])
    return whole


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_every_kind_of_image_model_trains_is_stored_and_predicts(kind: str, tmp_path: Path) -> None:
    backbone = load(image_model(tmp_path / "tiny", kind), tmp_path)
    assert backbone.architecture.task == "image-classification"
    assert_fine_tunes(backbone, list(photos().values()), tmp_path)


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_features_are_what_the_librarys_own_classifier_reads(kind: str, tmp_path: Path) -> None:
    whole = classifier(tmp_path / "tiny", kind)
    backbone = load(tmp_path / "tiny", tmp_path)
    read: list[torch.Tensor] = []
    linear = [layer for layer in whole.modules() if isinstance(layer, nn.Linear) and layer.out_features == 5][-1]
    linear.register_forward_hook(lambda _layer, inputs, _output: read.append(inputs[0]))
    with torch.no_grad():
        whole(pixel_values=collated(backbone.preprocessing, list(photos().values()))["pixels"])
    assert torch.allclose(features(backbone), read[-1], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "pooling", "width"),
    [("vit", "cls", 16), ("dinov2", "cls+mean", 32), ("beit", "pooler", 16), ("convnext", "pooler", 16)],
)
def test_the_pooling_is_told_by_name(kind: str, pooling: str, width: int, tmp_path: Path) -> None:
    architecture = load(image_model(tmp_path / "tiny", kind), tmp_path).architecture
    assert (architecture.config["pooling"], architecture.width) == (pooling, width)


@pytest.mark.parametrize(("kind", "pooling"), [("vit", "mean"), ("beit", "cls"), ("dinov2", "cls"), ("swin", "mean")])
def test_the_job_may_choose_the_pooling(kind: str, pooling: str, tmp_path: Path) -> None:
    backbone = load(image_model(tmp_path / "tiny", kind), tmp_path, pooling=pooling)
    pixels = collated(backbone.preprocessing, list(photos().values()))["pixels"]
    with torch.no_grad():
        states = backbone.module(pixel_values=pixels).last_hidden_state
    expected = states[:, 0] if pooling == "cls" else states.mean(dim=1)
    assert torch.allclose(features(backbone), expected, atol=1e-6)
    assert not any("pooler" in name for name in backbone.module.state_dict())


def test_the_mean_of_a_map_is_over_its_places(tmp_path: Path) -> None:
    backbone = load(image_model(tmp_path / "tiny", "resnet"), tmp_path, pooling="mean")
    assert features(backbone).shape == (2, 16)


@pytest.mark.parametrize(("kind", "pooling"), [("convnext", "cls"), ("swin", "cls"), ("vit", "last"), ("vit", "max")])
def test_a_pooling_that_the_model_cannot_have_is_refused(kind: str, pooling: str, tmp_path: Path) -> None:
    error = refusal(image_model(tmp_path / "tiny", kind), tmp_path, pooling=pooling)
    assert error.code == "unknown_pooling"
    assert error.param == "preprocessing.pooling"


def test_random_weights_need_the_folder_and_take_nothing_of_its_weights(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.add("hf/some/model", "DEFAULT", image_model(tmp_path / "tiny", "vit"))
    one, other = (FAMILY.load("some/model", weights, mirror, {}) for weights in ("DEFAULT", None))
    assert other.weights is None
    assert other.architecture == one.architecture
    assert not parameters_equal(one.module, other.module)


def test_a_vit_without_its_pooler_is_complete(tmp_path: Path) -> None:
    classifier(tmp_path / "tiny", "vit")
    assert not any("pooler" in name for name in load_file(tmp_path / "tiny" / "model.safetensors"))
    assert load(tmp_path / "tiny", tmp_path).architecture.width == 16


def test_what_the_features_need_must_be_among_the_weights(tmp_path: Path) -> None:
    folder = image_model(tmp_path / "tiny", "beit")
    tensors = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert refusal(folder, tmp_path).code == "weights_mismatch"


def test_a_model_for_images_without_an_image_processor_is_refused(tmp_path: Path) -> None:
    folder = image_model(tmp_path / "tiny", "vit")
    (folder / "preprocessor_config.json").unlink()
    assert refusal(folder, tmp_path).code == "unsupported_backbone"


def test_a_processor_of_another_size_than_the_model_takes_is_refused(tmp_path: Path) -> None:
    folder = image_model(tmp_path / "tiny", "vit", {"size": {"height": 48, "width": 48}})
    assert refusal(folder, tmp_path).code == "unsupported_backbone"


def test_a_model_for_texts_and_images_at_once_is_refused(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vision = {**small, "image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config={**small, "vocab_size": 20}, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(tmp_path / "clip")
    sides = {"height": 32, "width": 32}
    save_processor(tmp_path / "clip", "CLIPImageProcessor", size={"shortest_edge": 32}, crop_size=sides)
    assert refusal(tmp_path / "clip", tmp_path).code == "unsupported_backbone"


def test_a_processor_that_names_code_is_refused(tmp_path: Path) -> None:
    folder = image_model(tmp_path / "tiny", "vit")
    edit_json(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "processing.Evil"})
    assert refusal(folder, tmp_path).code == "unsafe_weights"


def test_the_processors_settings_are_kept_for_those_who_use_the_library_alone(tmp_path: Path) -> None:
    backbone = load(image_model(tmp_path / "tiny", "dinov2"), tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "preprocessor_config.json").write_text("{}")
    edit_json(alone / "preprocessor_config.json", **backbone.architecture.config["processor"])
    untyped: Any = AutoImageProcessor
    again, first = (untyped.from_pretrained(folder, backend="pil") for folder in (alone, tmp_path / "tiny"))
    assert again.to_dict() == first.to_dict()
