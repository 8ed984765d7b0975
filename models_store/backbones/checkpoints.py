"""Tensors that came from elsewhere, as families take them."""

from dataclasses import dataclass
from pathlib import Path

import torch

from models_store.quarantine import content


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name. ``ordered``: they come in the order of the module that was saved (safetensors sorts by name)."""

    tensors: dict[str, torch.Tensor]
    ordered: bool


def read_checkpoint(path: Path) -> Checkpoint:
    """What a safetensors file holds, or what ``torch.save`` wrote.

    This opens the file in the current process: for what users send, see :mod:`models_store.quarantine.opening`.

    Raises:
        InvalidError: ``unsafe_weights`` when the file holds anything but tensors and plain values (nothing of it was
            executed), ``unreadable_weights`` when it cannot be read or holds no tensors.
    """
    tensors, ordered = content.read(path)
    return Checkpoint(tensors, ordered)
