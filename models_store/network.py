"""A backbone with a head on it: what is trained, and what is served."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Self

import torch
from torch import nn

from models_store.backbones import FAMILIES
from models_store.backbones.family import Architecture, Batch


class Network(nn.Module):
    """Features of ``backbone``, then one linear layer.

    ``backbone`` is the library's own module, so the state dict reads ``backbone.<the library's names>``,
    ``head.weight`` and ``head.bias``. A new network is in training mode, whatever mode the backbone came in: Hugging
    Face's come in eval mode, and would stay in it unnoticed.
    """

    def __init__(self, backbone: nn.Module, architecture: Architecture, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(architecture.width, classes)
        self.architecture = architecture
        self._family = FAMILIES[architecture.family]
        self._backbone_frozen = False
        self._spared: list[nn.Module] = []
        self._frozen = False
        self.train()

    def features(self, batch: Batch) -> torch.Tensor:
        """[N, width]; without gradients where the whole backbone is frozen."""
        with torch.no_grad() if self._backbone_frozen and not self._spared else nullcontext():
            return self._family.extract(self.backbone, batch, self.architecture)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logits [N, classes], float32 also under autocast."""
        logits: torch.Tensor = self.head(self.features(batch))
        return logits.float()

    def freeze_backbone(self, spare: Iterable[nn.Module] = ()) -> None:
        """Train the head, and of the backbone no more than the modules in ``spare`` (layers, or adapters in them).

        The rest has no gradients, and an eval mode that outlasts every ``train()`` (batch norm, dropout). Each call
        says anew what is spared.
        """
        self._backbone_frozen, self._spared = True, [*spare]
        self.backbone.requires_grad_(requires_grad=False)
        for part in self._spared:
            part.requires_grad_()
        self._set_backbone_mode()

    def unfreeze_backbone(self) -> None:
        """Undo ``freeze_backbone``; the backbone takes the mode of the network."""
        self._backbone_frozen, self._spared = False, []
        self.backbone.requires_grad_().train(self.training)

    def freeze(self) -> Self:
        """For serving: no gradients anywhere, eval mode for good."""
        self.freeze_backbone()
        self._frozen = True
        self.requires_grad_(requires_grad=False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """As ``nn.Module.train``, but what is frozen stays in eval mode."""
        super().train(mode and not self._frozen)
        if self._backbone_frozen:
            self._set_backbone_mode()
        return self

    def _set_backbone_mode(self) -> None:
        self.backbone.eval()
        for part in self._spared:
            part.train(self.training)
