"""Differential rates: everything trains, the pretrained part slowly, the new head fast."""

from typing import Any

import pytorch_lightning as pl

from models_store.network import Network
from models_store.spec import Training

CACHES_FEATURES = False


def parameter_groups(network: Network, training: Training) -> list[dict[str, Any]]:
    """Two groups: the backbone at ``backbone_lr``, the head at ``head_lr``."""
    network.requires_grad_(True)
    return [
        {"name": "backbone", "params": list(network.backbone.parameters()), "lr": training.backbone_lr},
        {"name": "head", "params": list(network.head.parameters()), "lr": training.head_lr},
    ]


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """None."""
    return []


def finish(network: Network) -> None:
    """Nothing was added."""
