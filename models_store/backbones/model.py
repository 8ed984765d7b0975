"""Models that were trained here, as the start of the next ones."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import nn

from models_store import registry, trunk_files
from models_store.backbones.family import (
    DEFAULT,
    IMAGES,
    TEXTS,
    Architecture,
    Backbone,
    Batch,
    Family,
    Head,
    LocalWeights,
    unknown_backbone,
    unknown_weights,
)
from models_store.backbones.mapping import fill
from models_store.errors import InvalidError
from models_store.preprocessing.loading import load_preprocessing

_ID: Final = re.compile(r"mdl_[0-9a-z]{26}")


class EarlierModel:
    """``model/ID``: its trunk and preprocessing, and its head for the labels that a new data set shares with it.

    No options: tokens, pooling and pixels stay what the trunk was trained with. Random weights are those of its
    architecture, without a head.
    """

    tasks = frozenset({IMAGES, TEXTS})

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families

    def names(self) -> list[str]:
        """None: they have owners."""
        return []

    def weights(self, name: str) -> list[str]:
        """One, under its own name."""
        return [name]

    def resolve(self, name: str, weights: str) -> str:
        """``DEFAULT`` is the model's own."""
        return name if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``; whether there is such a model shows only when it is loaded."""
        if not _ID.fullmatch(name):
            raise unknown_backbone("model", name, [])
        if weights not in {None, DEFAULT, name}:
            raise unknown_weights(f"model/{name}", str(weights), [DEFAULT, name])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:  # noqa: ARG002
        """See ``Family.load``.

        Raises:
            NotFoundError: ``model_not_found``, it was deleted.
            UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
        """
        self.check(name, weights)
        folder = registry.directory(mirror.store_dir, name)
        try:
            card = json.loads((folder / "card.json").read_bytes())
            head = Head(card["labels"], **load_file(folder / "head.safetensors"))
            preprocessing = load_preprocessing(card["preprocessing"], folder)
        except FileNotFoundError as error:
            raise registry.unknown(name) from error
        tensors, architecture = trunk_files.locate(mirror.store_dir, card["trunk"])
        backbone = Backbone(architecture, self.build(architecture), preprocessing, None)
        if weights is None:
            return backbone
        fill(backbone.module, load_file(tensors))
        return replace(backbone, weights=name, head=head)

    def build(self, architecture: Architecture) -> nn.Module:
        """As the family of its architecture does."""
        return self._families[architecture.family].build(architecture)

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """As the family of its architecture does."""
        return self._families[architecture.family].extract(module, batch, architecture)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:  # noqa: ARG002
        """Not for the mirror."""
        raise InvalidError(
            "not_mirrored",
            "The mirror holds weights of backbones that have a name everywhere. A model is in the store already.",
            param="backbone",
        )
