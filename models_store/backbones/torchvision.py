"""Every classification model that torchvision lists."""

import warnings
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from models_store.backbones import tracing
from models_store.backbones.checkpoints import Checkpoint, read_checkpoint
from models_store.backbones.downloads import DownloadError, download, hub_cache
from models_store.backbones.family import (
    DEFAULT,
    IMAGES,
    Architecture,
    Backbone,
    Batch,
    LocalWeights,
    unknown_backbone,
    unknown_weights,
    weights_unavailable,
)
from models_store.backbones.mapping import fill, fit, fit_whole
from models_store.preprocessing.image import PIXELS, ImagePreprocessing

WEIGHTS_FILE = "model.safetensors"


class Torchvision:
    """torchvision's own modules; the last classification layer is found by running them, and replaced by identity.

    Auxiliary heads are off, and inputs are transformed as with pretrained weights.
    """

    tasks = frozenset({IMAGES})

    def names(self) -> list[str]:
        """All classification models, without the quantized ones."""
        return list(models.list_models(module=models))

    def weights(self, name: str) -> list[str]:
        """Weights that reach up to the classifier (one of VGG-16's holds convolutions alone)."""
        return [weights.name for weights in models.get_model_weights(name) if weights.meta["categories"]]

    def resolve(self, name: str, weights: str) -> str:
        """``DEFAULT`` is the library's best, under its own name."""
        default: str = models.get_model_weights(name).DEFAULT.name
        return default if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``."""
        known = self.names()
        if name not in known:
            raise unknown_backbone("torchvision", name, known)
        if weights is not None and weights not in (DEFAULT, *self.weights(name)):
            raise unknown_weights(f"torchvision/{name}", weights, [DEFAULT, *self.weights(name)])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:  # noqa: ARG002
        """See ``Family.load``. No options. Random weights get the preprocessing of the default ones."""
        self.check(name, weights)
        preset = models.get_model_weights(name)[self.resolve(name, weights or DEFAULT)]
        architecture, module = _trunk(name, preset)
        if weights is not None:
            arguments = architecture.config["arguments"]
            fill(module, fit(_fetch(name, preset, mirror), module, lambda: _whole(name, arguments)).tensors)
        return Backbone(architecture, module, preprocessing_for(preset), weights and preset.name)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``."""
        module = _whole(architecture.name, architecture.config["arguments"])
        return _decapitated(module, architecture.config["classifier"])

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:  # noqa: ARG002
        """Output of the module, flattened [N, width]."""
        features: torch.Tensor = module(batch[PIXELS])
        return features.flatten(1)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:
        """See ``Family.convert``; ``source`` is a file, for the whole model or for its trunk."""
        preset = models.get_model_weights(name)[self.resolve(name, weights)]
        architecture, module = _trunk(name, preset)
        mapped = fit_whole(read_checkpoint(source), module, lambda: _whole(name, architecture.config["arguments"]))
        save_file(mapped.tensors, destination / WEIGHTS_FILE)
        return mapped.how


def _trunk(name: str, preset: models.WeightsEnum) -> tuple[Architecture, nn.Module]:
    size = preset.transforms().crop_size[0]
    arguments: dict[str, Any] = {}
    module = _whole(name, arguments)
    if getattr(module, "image_size", size) != size:  # a vision transformer's positions are for one size
        arguments = {"image_size": size}
        module = _whole(name, arguments)
    shape = (2, 3, size, size)
    classifier = tracing.find_classifier(module, shape, len(preset.meta["categories"]))
    module = _decapitated(module, classifier)
    width = prod(tracing.output_shape(module, shape)[1:])
    config = {"arguments": arguments, "classifier": classifier}
    return Architecture("torchvision", name, IMAGES, width, config), module


def _whole(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The library's own model as its checkpoints are, auxiliary heads included, in eval mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # googlenet and inception_v3 announce a new initialisation
        module: nn.Module = models.get_model(name, weights=None, **arguments)
    return module.eval()


def _decapitated(module: Any, classifier: str) -> nn.Module:
    """``module`` without classifier and auxiliary heads, set as the library sets it for pretrained weights."""
    tracing.replace(module, classifier, nn.Identity())
    if hasattr(module, "transform_input"):
        module.transform_input = True
    if hasattr(module, "aux_logits"):
        module.aux_logits = False
        for name in [name for name, _ in module.named_children() if name.lower().startswith("aux")]:
            setattr(module, name, None)
    trunk: nn.Module = module
    return trunk.eval()


def preprocessing_for(preset: models.WeightsEnum) -> ImagePreprocessing:
    """What the ``transforms()`` of these weights do."""
    transforms = preset.transforms()
    crop = transforms.crop_size[0]
    return ImagePreprocessing(
        resize=transforms.resize_size[0],
        crop=(crop, crop),
        crop_mode="center",
        interpolation=transforms.interpolation.value,
        antialias=transforms.antialias,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _fetch(name: str, preset: models.WeightsEnum, mirror: LocalWeights) -> Checkpoint:
    """From the mirror, torch.hub's cache, or the hub, in this order."""
    mirrored = mirror.path(f"torchvision/{name}", preset.name)
    if mirrored is not None:
        return read_checkpoint(mirrored / WEIGHTS_FILE)
    cached = hub_cache(preset.url)
    try:
        return read_checkpoint(cached if cached.is_file() else download(preset.url))
    except DownloadError as error:
        looked = ["the mirror", str(cached), f"{preset.url} ({error})"]
        raise weights_unavailable(f"torchvision/{name}", preset.name, looked) from error
