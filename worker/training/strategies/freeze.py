"""Feature extraction: the backbone is frozen and in eval; only the head trains."""

import pytorch_lightning as pl

from models_store.network import Network
from models_store.spec import Training
from worker.training.strategies.layers import Group, named_groups

CACHES_FEATURES = True


def parameter_groups(network: Network, training: Training) -> list[Group]:
    """Freeze the backbone; ``head`` at ``head_lr``."""
    network.freeze_backbone()
    return named_groups("head", list(network.head.parameters()), training.head_lr)


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """None."""
    return []


def finish(network: Network) -> None:
    """Nothing was added."""
