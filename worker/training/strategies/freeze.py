"""Feature extraction: the backbone is frozen and in eval; only the head trains."""

from typing import Any

import pytorch_lightning as pl

from models_store.network import Network
from models_store.spec import Training

CACHES_FEATURES = True


def parameter_groups(network: Network, training: Training) -> list[dict[str, Any]]:
    """Freeze the backbone; one group, the head at ``head_lr``."""
    network.freeze_backbone()
    return [{"name": "head", "params": list(network.head.parameters()), "lr": training.head_lr}]


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """None."""
    return []


def finish(network: Network) -> None:
    """Nothing was added."""
