"""What every engine offers: a frozen model's logits, by whatever runs fastest."""

from typing import Protocol

import torch

from models_store.backbones.family import Batch


class Engine(Protocol):
    """Runs one bundle in eval mode without gradients; safe to call from several threads."""

    def logits(self, batch: Batch) -> torch.Tensor:
        """Logits [N, classes], float32, on the CPU."""
