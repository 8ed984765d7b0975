"""Modules that an operator's own packages register under the entry point group ``finetuned.backbones``.

The entry point names a class, or a function without arguments, that gives an ``nn.Module`` from pixels [N, 3, H, W] to
features [N, ...] with its own weights in it. Where the module has an attribute ``preprocessing``, an
:class:`~models_store.preprocessing.image.ImagePreprocessing`, its input is made by that; else as ImageNet's 224 preset.
"""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import nn

from models_store.backbones.checkpoints import read_checkpoint
from models_store.backbones.family import (
    DEFAULT,
    IMAGES,
    Architecture,
    Backbone,
    Batch,
    LocalWeights,
    unknown_backbone,
    unknown_weights,
)
from models_store.backbones.mapping import fill, fit
from models_store.errors import InvalidError
from models_store.preprocessing.image import PIXELS, ImagePreprocessing

GROUP: Final = "finetuned.backbones"
OWN: Final = "own"
WEIGHTS_FILE: Final = "model.safetensors"
IMAGENET: Final = ImagePreprocessing(
    resize=256,
    crop=(224, 224),
    crop_mode="center",
    interpolation="bilinear",
    antialias=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


class Plugin:
    """What is installed beside the service; the only family whose names are found by scanning."""

    tasks = frozenset({IMAGES})

    def names(self) -> list[str]:
        """Names of the registered entry points."""
        return sorted(_registered())

    def weights(self, name: str) -> list[str]:  # noqa: ARG002
        """The module brings its own."""
        return [OWN]

    def resolve(self, name: str, weights: str) -> str:  # noqa: ARG002
        """``DEFAULT`` is the module's own."""
        return OWN if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``."""
        known = self.names()
        if name not in known:
            raise unknown_backbone("plugin", name, known)
        if weights not in {None, DEFAULT, OWN}:
            raise unknown_weights(f"plugin/{name}", str(weights), [DEFAULT, OWN])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:  # noqa: ARG002
        """See ``Family.load``. No options; weights that are not in the mirror are those that the module comes with."""
        self.check(name, weights)
        module = _make(name)
        mirrored = mirror.path(f"plugin/{name}", OWN) if weights is not None else None
        if mirrored is not None:
            fill(module, read_checkpoint(mirrored / WEIGHTS_FILE).tensors)
        preprocessing = getattr(module, "preprocessing", None)
        if not isinstance(preprocessing, ImagePreprocessing):
            preprocessing = IMAGENET
        with torch.inference_mode():
            features = module(torch.zeros(1, 3, *preprocessing.crop)).flatten(1).shape[1]
        architecture = Architecture("plugin", name, IMAGES, features, {})
        return Backbone(architecture, module, preprocessing, None if weights is None else OWN)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``: the package must still be installed."""
        return _make(architecture.name)

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:  # noqa: ARG002
        """What the module gives, flattened."""
        features: torch.Tensor = module(batch[PIXELS])
        return features.flatten(1)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:  # noqa: ARG002
        """See ``Family.convert``."""
        module = _make(name)
        mapped = fit(read_checkpoint(source), module, lambda: module)
        save_file(mapped.tensors, destination / WEIGHTS_FILE)
        return mapped.how


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _make(name: str) -> nn.Module:
    found = _registered().get(name)
    if found is None:
        raise unknown_backbone("plugin", name, sorted(_registered()))
    module = found.load()()
    if not isinstance(module, nn.Module):
        raise InvalidError(
            "plugin_broken", f"plugin/{name} does not give an nn.Module. Mend the package it comes from."
        )
    return module.eval()
