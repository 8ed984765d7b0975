"""Modules that an operator's own packages register under the entry point group ``finetuned.backbones``.

The entry point names a class, or a function without arguments, that gives an ``nn.Module`` with its own weights in it:
from pixels [N, 3, H, W] to features [N, ...]. Where the module has an attribute ``preprocessing``, an
:class:`~models_store.preprocessing.image.ImagePreprocessing`, its input is made by that; else as ImageNet's 224 preset.
A :class:`~models_store.preprocessing.text.TextPreprocessing` makes it a module for texts: then it is called with that
preprocessing's tensors by name (``input_ids``, ``attention_mask``, …). See docs/plugin.md.
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
    TEXTS,
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
from models_store.preprocessing.protocol import Prepared, Preprocessing
from models_store.preprocessing.text import TextPreprocessing

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
    """What is installed beside the service; the only family whose names are found by scanning.

    Option: ``submodule``, the dotted name of the part of the module that is the extractor.
    """

    tasks = frozenset({IMAGES, TEXTS})

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

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:
        """See ``Family.load``; weights that are not in the mirror are those that the module comes with."""
        self.check(name, weights)
        whole = make(name)
        mirrored = mirror.path(f"plugin/{name}", OWN) if weights is not None else None
        if mirrored is not None:
            fill(whole, read_checkpoint(mirrored / WEIGHTS_FILE).tensors)
        submodule = options.get("submodule")
        module = extractor(name, whole, submodule)
        preprocessing = _preprocessing(module, whole)
        task = TEXTS if isinstance(preprocessing, TextPreprocessing) else IMAGES
        draft = Architecture("plugin", name, task, 0, {"submodule": submodule} if submodule else {})
        width = self._width(module, preprocessing, draft)
        architecture = Architecture("plugin", name, task, width, draft.config)
        return Backbone(architecture, module, preprocessing, None if weights is None else OWN)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``: the package must still be installed."""
        return extractor(architecture.name, make(architecture.name), architecture.config.get("submodule"))

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """What the module gives, flattened."""
        features: torch.Tensor = module(**batch) if architecture.task == TEXTS else module(batch[PIXELS])
        return features.flatten(1)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:  # noqa: ARG002
        """See ``Family.convert``."""
        module = make(name)
        mapped = fit(read_checkpoint(source), module, lambda: module)
        save_file(mapped.tensors, destination / WEIGHTS_FILE)
        return mapped.how

    def _width(self, module: nn.Module, preprocessing: Preprocessing, draft: Architecture) -> int:
        """Read by running the module on nothing, or on a word."""
        try:
            with torch.no_grad():  # no inference mode: what the module keeps of it could not be trained with later
                return self.extract(module, _sample(preprocessing), draft).shape[1]
        except Exception as error:  # whatever a module of others may raise
            inputs = "a text" if draft.task == TEXTS else "pixels [N, 3, H, W]"
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise _broken(draft, f"gives no features for {inputs} ({reason})") from error


def make(name: str) -> nn.Module:
    """The registered module as a whole, in eval mode.

    Raises:
        InvalidError: ``unknown_backbone``, ``plugin_broken``.
    """
    found = _registered().get(name)
    if found is None:
        raise unknown_backbone("plugin", name, sorted(_registered()))
    module = found.load()()
    if not isinstance(module, nn.Module):
        raise InvalidError(
            "plugin_broken", f"plugin/{name} does not give an nn.Module. Mend the package it comes from."
        )
    return module.eval()


def extractor(name: str, whole: nn.Module, submodule: str | None) -> nn.Module:
    """The part of a plugin's module that gives the features; all of it where none is named.

    Raises:
        InvalidError: ``unknown_submodule``.
    """
    try:
        return whole.get_submodule(submodule or "")
    except AttributeError as error:
        parts = ", ".join(child for child, _ in whole.named_children()) or "none"
        message = f"plugin/{name} has no part {submodule}; its parts are {parts}. Name one of them."
        raise InvalidError("unknown_submodule", message, param="submodule") from error


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _preprocessing(module: nn.Module, whole: nn.Module) -> Preprocessing:
    for owner in (module, whole):
        found = getattr(owner, "preprocessing", None)
        if isinstance(found, ImagePreprocessing | TextPreprocessing):
            return found
    return IMAGENET


def _sample(preprocessing: Preprocessing) -> Batch:
    if isinstance(preprocessing, ImagePreprocessing):
        return {PIXELS: torch.zeros(1, 3, *preprocessing.crop)}
    return preprocessing.collate([item for item in preprocessing.prepare([b"word"]) if isinstance(item, Prepared)])


def _broken(architecture: Architecture, what: str) -> InvalidError:
    part = architecture.config.get("submodule")
    name = f"The part {part} of plugin/{architecture.name}" if part else f"plugin/{architecture.name}"
    return InvalidError("plugin_broken", f"{name} {what}. Mend the package it comes from, or name another part.")
