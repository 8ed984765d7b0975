"""What families share whose backbones were made here: an id names each, and the code of another family runs it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from models_store.backbones.family import (
    DEFAULT,
    IMAGES,
    TEXTS,
    Architecture,
    Batch,
    Family,
    unknown_backbone,
    unknown_weights,
)
from models_store.errors import InvalidError


class Owned:
    """All but loading."""

    tasks = frozenset({IMAGES, TEXTS})
    kind: ClassVar[str]
    """The name of the family."""
    id_pattern: ClassVar[re.Pattern[str]]
    instead_of_mirroring: ClassVar[str]
    """What to do for whom wants it in the mirror."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families

    def names(self) -> list[str]:
        """None: they have owners."""
        return []

    def weights(self, name: str) -> list[str]:
        """One, under its own name."""
        return [name]

    def resolve(self, name: str, weights: str) -> str:
        """``DEFAULT`` is its own."""
        return name if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``; whether it is there shows only when it is loaded."""
        if not self.id_pattern.fullmatch(name):
            raise unknown_backbone(self.kind, name, [])
        if weights not in {None, DEFAULT, name}:
            raise unknown_weights(f"{self.kind}/{name}", str(weights), [DEFAULT, name])

    def build(self, architecture: Architecture) -> nn.Module:
        """As the family of its architecture does."""
        return self._families[architecture.family].build(architecture)

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """As the family of its architecture does."""
        return self._families[architecture.family].extract(module, batch, architecture)

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:  # noqa: ARG002
        """Not for the mirror."""
        message = f"The mirror holds weights of backbones that have a name everywhere. {self.instead_of_mirroring}"
        raise InvalidError("not_mirrored", message, param="backbone")
