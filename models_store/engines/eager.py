"""PyTorch as it is: the engine that runs every model, and to which the others are compared."""

import torch

from models_store.backbones.family import Batch
from models_store.bundle import Bundle


class TorchEngine:
    """The bundle's backbone under ``inference_mode``."""

    def __init__(self, bundle: Bundle) -> None:
        self._network = bundle.network
        self._device = bundle.network.head.weight.device

    def features(self, batch: Batch) -> torch.Tensor:
        """See ``Engine.features``."""
        with torch.inference_mode():
            placed = {name: tensor.to(self._device) for name, tensor in batch.items()}
            return self._network.features(placed).float().cpu()
