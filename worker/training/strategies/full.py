"""Differential rates: everything trains, the pretrained part slowly, the new head fast."""

import pytorch_lightning as pl

from models_store.network import Network
from models_store.spec import Training
from worker.training.strategies.layers import Group, layer_groups, named_groups

CACHES_FEATURES = False


def parameter_groups(network: Network, training: Training) -> list[Group]:
    """``backbone`` at ``backbone_lr`` and ``head`` at ``head_lr``; with ``layer_decay`` below 1 a group a layer."""
    network.requires_grad_(True)
    head = named_groups("head", list(network.head.parameters()), training.head_lr)
    if training.layer_decay < 1:
        return [*layer_groups(network.backbone, training), *head]
    return [*named_groups("backbone", list(network.backbone.parameters()), training.backbone_lr), *head]


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """None."""
    return []


def finish(network: Network) -> None:
    """Nothing was added."""
