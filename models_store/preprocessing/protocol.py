"""What turns the bytes of an item into tensors: the same object in training, validation, parity check and serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from models_store.errors import FinetunedError


@dataclass(frozen=True)
class Prepared:
    """One item as tensors without a batch dimension, and what its sender should know about it."""

    tensors: dict[str, torch.Tensor]
    diagnostics: dict[str, Any]


class Preprocessing(Protocol):
    """Immutable after construction, and so safe to share between threads."""

    def prepare(self, contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        """One result an item, in order; a bad item gives its own error and harms no other."""

    def collate(self, items: Sequence[Prepared]) -> dict[str, torch.Tensor]:
        """One batch [N, ...] of at least one item."""

    def card(self) -> dict[str, Any]:
        """Plain JSON with a ``kind``, from which ``load_preprocessing`` builds it again."""

    def save(self, directory: Path) -> None:
        """Write the files, if any, that the card alone does not hold."""

    def sha256(self) -> str:
        """Hash over everything that decides its output; the key of what is cached behind it."""
