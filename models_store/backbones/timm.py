"""Every model of timm, each pretrained tag with its own data configuration."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import timm.data
import torch
from safetensors.torch import save_file
from timm.models import get_pretrained_cfg
from torch import nn

from models_store.backbones import tracing
from models_store.backbones.checkpoints import Checkpoint, read_checkpoint
from models_store.backbones.downloads import DownloadError, download, from_hugging_face, hub_cache
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
from models_store.backbones.mapping import fill, fit, fit_whole, pick
from models_store.preprocessing.image import PIXELS, CropMode, ImagePreprocessing

WEIGHTS_FILE = "model.safetensors"
_CROP_MODES: dict[str, CropMode] = {"squash": "squash", "border": "border"}


class Timm:
    """timm's own modules with pooling and without classifier; a weights name is a pretrained tag, such as ``in1k``."""

    tasks = frozenset({IMAGES})

    def names(self) -> list[str]:
        """All architectures, without tags."""
        return list(timm.list_models())

    def weights(self, name: str) -> list[str]:
        """Pretrained tags of this architecture."""
        return [tagged.removeprefix(f"{name}.") for tagged in timm.list_pretrained(f"{name}.*")]

    def resolve(self, name: str, weights: str) -> str:
        """``DEFAULT`` is the library's default tag."""
        return str(_pretrained(name).tag) if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``."""
        known = self.names()
        if name not in known:
            raise unknown_backbone("timm", name, known)
        if weights is not None and self.resolve(name, weights) not in self.weights(name):
            raise unknown_weights(f"timm/{name}", weights, [DEFAULT, *self.weights(name)])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:  # noqa: ARG002
        """See ``Family.load``. No options. Random weights get the preprocessing of the default ones."""
        self.check(name, weights)
        tag = self.resolve(name, weights or DEFAULT)
        architecture, module = _trunk(name, tag)
        if weights is not None:
            checkpoint = _in_own_names(_fetch(name, tag, mirror), module)
            fill(module, fit(checkpoint, module, lambda: _create(architecture)).tensors)
        return Backbone(architecture, module, preprocessing_for(_data_config(module)), weights and tag)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``."""
        return _settled(architecture)

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:  # noqa: ARG002
        """Pooled output of the module [N, width]."""
        features: torch.Tensor = module(batch[PIXELS])
        return features.flatten(1)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:
        """See ``Family.convert``; ``source`` is a file, for the whole model or for its trunk."""
        architecture, module = _trunk(name, self.resolve(name, weights))
        checkpoint = _in_own_names(read_checkpoint(source), module)
        mapped = fit_whole(checkpoint, module, lambda: _create(architecture))
        save_file(mapped.tensors, destination / WEIGHTS_FILE)
        return mapped.how


def _trunk(name: str, tag: str) -> tuple[Architecture, nn.Module]:
    known = tag in Timm().weights(name)
    draft = Architecture("timm", name, IMAGES, 0, {"model": f"{name}.{tag}" if known else name})
    module = _settled(draft)
    width = math.prod(tracing.output_shape(module, _pair(module))[1:])
    return Architecture(draft.family, name, draft.task, width, draft.config), module


def _settled(architecture: Architecture) -> nn.Module:
    """The trunk, whose buffers no forward pass changes any more."""
    module = _create(architecture, num_classes=0)
    tracing.settle(module, _pair(module))
    return module


def _pair(module: nn.Module) -> tuple[int, ...]:
    """Shape of two images."""
    return (2, *_data_config(module)["input_size"])


def _create(architecture: Architecture, num_classes: int | None = None) -> nn.Module:
    """``num_classes``: those of its weights by default; 0 for the trunk."""
    module: nn.Module = timm.create_model(architecture.config["model"], pretrained=False, num_classes=num_classes)
    return module.eval()


def _data_config(module: nn.Module) -> dict[str, Any]:
    untyped: Any = timm.data
    config: dict[str, Any] = untyped.resolve_data_config(pretrained_cfg=module.pretrained_cfg)
    return config


def _pretrained(tagged: str) -> Any:
    """timm's record of these weights; every model that it lists has one."""
    return get_pretrained_cfg(tagged)


def preprocessing_for(config: Mapping[str, Any]) -> ImagePreprocessing:
    """What ``timm.data.create_transform`` does for evaluation, given the same data configuration."""
    height, width = config["input_size"][1:]
    covered = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    crop_mode = _CROP_MODES.get(config["crop_mode"], "center")
    shorter_side = crop_mode == "center" and covered[0] == covered[1]
    return ImagePreprocessing(
        resize=covered[0] if shorter_side else covered,
        crop=(height, width),
        crop_mode=crop_mode,
        interpolation=config["interpolation"],
        antialias=True,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _in_own_names(checkpoint: Checkpoint, module: nn.Module) -> Checkpoint:
    """Checkpoints of a model's authors, renamed by the filter that timm keeps beside the model, where it has one."""
    rename = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    if rename is None or pick(checkpoint, module.state_dict()) is not None:
        return checkpoint
    try:
        return Checkpoint(dict(rename(dict(checkpoint.tensors), module)), checkpoint.ordered)
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError):
        return checkpoint  # not of those authors: the mapping tells what does not fit


def _fetch(name: str, tag: str, mirror: LocalWeights) -> Checkpoint:
    """From the mirror, the caches, or the hub, in this order."""
    mirrored = mirror.path(f"timm/{name}", tag)
    if mirrored is not None:
        return read_checkpoint(mirrored / WEIGHTS_FILE)
    source = _pretrained(f"{name}.{tag}")
    looked = ["the mirror"]
    for online in (False, True):
        try:
            return read_checkpoint(_from_library(source, online=online))
        except DownloadError as error:
            looked.append(f"{'the hub' if online else 'the caches'} ({error})")
    raise weights_unavailable(f"timm/{name}", tag, looked)


def _from_library(source: Any, *, online: bool) -> Path:
    """The file that timm would take: Hugging Face's where there is one, else by URL."""
    if source.url and hub_cache(source.url).is_file():
        return hub_cache(source.url)
    if source.hf_hub_id:
        own = [source.hf_hub_filename] if source.hf_hub_filename else [WEIGHTS_FILE, "pytorch_model.bin"]
        return from_hugging_face(source.hf_hub_id, own, online=online)
    if not online:
        raise DownloadError("not cached")
    return download(source.url)
