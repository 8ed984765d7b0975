"""Models of Hugging Face that transformers knows without code of their own: texts and images."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import nn

from models_store.backbones import huggingface_text, huggingface_vision
from models_store.backbones.family import (
    DEFAULT,
    IMAGES,
    TEXTS,
    Architecture,
    Backbone,
    Batch,
    LocalWeights,
    unknown_weights,
)
from models_store.backbones.huggingface_files import find_folder, import_folder
from models_store.backbones.huggingface_modules import task_of_folder
from models_store.errors import InvalidError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_MAIN = "main"


class HuggingFace:
    """``AutoModel`` in float32 under the library's own names, with its own tokenizer or image processor.

    Which of its two tasks a model is for, its ``config.json`` says. Options: see ``huggingface_text.load`` and
    ``huggingface_vision.load``.
    """

    tasks = frozenset({IMAGES, TEXTS})

    def names(self) -> list[str]:
        """None: any model of the hub may be named."""
        return []

    def weights(self, name: str) -> list[str]:  # noqa: ARG002
        """The revision ``main`` alone."""
        return [_MAIN]

    def resolve(self, name: str, weights: str) -> str:  # noqa: ARG002
        """``DEFAULT`` is ``main``."""
        return _MAIN if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``; whether the hub has such a model shows only when it is loaded."""
        if not _NAME.fullmatch(name) or ".." in name or "--" in name:
            message = f"hf/{name} is no name of a model. Write hf/ORGANISATION/NAME, as on the hub."
            raise InvalidError("unknown_backbone", message, param="backbone")
        if weights not in (None, DEFAULT, _MAIN):
            raise unknown_weights(f"hf/{name}", str(weights), [DEFAULT, _MAIN])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:
        """See ``Family.load``. Random weights, too, need the model's configuration and tokenizer or processor."""
        self.check(name, weights)
        return _load(find_folder(name, mirror), name, weights and _MAIN, options)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``."""
        return _KINDS[architecture.task].build(architecture)

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """Pooled output of the module [N, width]."""
        return _KINDS[architecture.task].extract(module, batch, architecture)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:
        """See ``Family.convert``; ``source`` is a folder or a zip of one, which must load as a whole."""
        import_folder(source, destination)
        _load(destination, name, weights, {})
        return "by name"


class Kind(Protocol):
    """A module for one task."""

    def load(self, folder: Path, name: str, weights: str | None, options: Mapping[str, Any]) -> Backbone:
        """The model in ``folder``; ``weights`` is their concrete name, ``None`` for random ones."""
        ...

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``."""
        ...

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """See ``Family.extract``."""
        ...


_KINDS: Final[dict[str, Kind]] = {TEXTS: huggingface_text, IMAGES: huggingface_vision}


def _load(folder: Path, name: str, weights: str | None, options: Mapping[str, Any]) -> Backbone:
    """A kind that transformers does not list is tried as a text model, which tells what is wrong with it."""
    return _KINDS[task_of_folder(folder) or TEXTS].load(folder, name, weights, options)
