"""Which backbones there are, and which of their weights can be loaded here without a hub."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import timm
from huggingface_hub import constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg
from torchvision import models

from models_store.backbones import FAMILIES, only_task, split_name
from models_store.backbones.downloads import hub_cache
from models_store.backbones.family import LocalWeights
from models_store.backbones.huggingface_files import local_config
from models_store.backbones.huggingface_modules import task_of_config, task_of_folder

_READERS: Final = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
_WEIGHTS_FILES: Final = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Listed:
    """A backbone by its full name, its task, and the concrete names of its weights."""

    backbone: str
    task: str | None
    weights: tuple[str, ...]


@cache
def listed() -> tuple[Listed, ...]:
    """Every backbone of the families whose names can be listed, by name; the libraries' lists never change."""
    return tuple(
        Listed(f"{family}/{name}", only_task(f"{family}/{name}"), tuple(FAMILIES[family].weights(name)))
        for family in sorted(FAMILIES)
        for name in sorted(FAMILIES[family].names())
    )


def task(backbone: str, mirror: LocalWeights) -> str | None:
    """What a backbone is for: as its family tells, or, of a family of several tasks, as the model's own files tell."""
    known = only_task(backbone)
    family, name = split_name(backbone)
    if known is not None or family != "hf":
        return known
    config = local_config(name, mirror)
    return None if config is None else task_of_config(config)


def cached() -> set[tuple[str, str]]:
    """(backbone, weights) that the libraries' own caches hold now. Looks at names of files only."""
    checkpoints = hub_cache("http://host/file").parent
    files = {path.name for path in checkpoints.iterdir()} if checkpoints.is_dir() else set()
    return {*_torchvision(files), *_timm(files), *_hugging_face()}


def _torchvision(files: set[str]) -> Iterator[tuple[str, str]]:
    for name in FAMILIES["torchvision"].names():
        for preset in models.get_model_weights(name):
            if hub_cache(preset.url).name in files:
                yield f"torchvision/{name}", preset.name


def _timm(files: set[str]) -> Iterator[tuple[str, str]]:
    for tagged in timm.list_pretrained():
        source: Any = get_pretrained_cfg(tagged)
        name, _, tag = tagged.partition(".")
        by_url = source.url and hub_cache(source.url).name in files
        if by_url or (source.hf_hub_id and _has(source.hf_hub_id, (source.hf_hub_filename or "", *_WEIGHTS_FILES))):
            yield f"timm/{name}", tag


def _hugging_face() -> Iterator[tuple[str, str]]:
    for folder in Path(constants.HF_HUB_CACHE).glob("models--*"):
        name = folder.name.removeprefix("models--").replace("--", "/")
        config = try_to_load_from_cache(name, "config.json")
        known = isinstance(config, str) and task_of_folder(Path(config).parent) is not None
        if known and _has(name, ("model.safetensors",)) and _has(name, _READERS):
            yield f"hf/{name}", "main"


def _has(repository: str, names: tuple[str, ...]) -> bool:
    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names if name)
