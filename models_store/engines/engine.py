"""What every engine offers: a frozen trunk's features, by whatever runs fastest."""

from typing import Protocol

import torch

from models_store.backbones.family import Batch


class Engine(Protocol):
    """Runs the trunk of one bundle in eval mode without gradients; safe to call from several threads.

    The head is no business of an engine: models that stand on one trunk may share an engine, and what is known of the
    features (how far they are from those of the training) is asked before they become logits.
    """

    def features(self, batch: Batch) -> torch.Tensor:
        """Features [N, width], float32, on the CPU."""
