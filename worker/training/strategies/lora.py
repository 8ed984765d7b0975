"""Low-rank adapters (LoRA, Hu et al. 2021) on every linear layer of a text backbone, merged into it at the end.

The backbone itself is frozen and in eval, as in ``freeze``; the adapters and the head train. Adapters sit on all linear
layers, not on attention alone, which is what reaches full fine-tuning (QLoRA, Dettmers et al. 2023), and asks for no
list of names. They learn at ``head_lr``: like the head they are new and start from nothing, and in practice want rates
of 1e-4 … 1e-3, while ``backbone_lr`` is a rate for weights that know something already.
"""

from typing import cast

import pytorch_lightning as pl
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from models_store.backbones.family import TEXTS
from models_store.errors import InvalidError
from models_store.network import Network
from models_store.spec import Lora, Training
from worker.training.strategies.layers import Group, named_groups

CACHES_FEATURES = False


def parameter_groups(network: Network, training: Training) -> list[Group]:
    """Put adapters in; ``adapters`` and ``head``, both at ``head_lr``.

    Raises:
        InvalidError: ``lora_needs_text``.
    """
    if network.architecture.task != TEXTS:
        raise InvalidError(
            "lora_needs_text",
            "The strategy lora is for text backbones, and this one is for images. Choose freeze, full or gradual.",
            param="strategy",
        )
    network.backbone = _adapted(network.backbone, training.lora or Lora())
    adapters = _adapters(network.backbone)
    network.freeze_backbone(spare=adapters)
    trained = [parameter for adapter in adapters for parameter in adapter.parameters()]
    head = named_groups("head", list(network.head.parameters()), training.head_lr)
    return [*named_groups("adapters", trained, training.head_lr), *head]


def callbacks(network: Network, training: Training) -> list[pl.Callback]:  # noqa: ARG001 - as all strategies
    """None."""
    return []


def finish(network: Network) -> None:
    """Add the adapters' products to the weights that they stand on, and take the adapters out."""
    network.backbone = cast(PeftModel, network.backbone).merge_and_unload(safe_merge=True)


def _adapted(backbone: nn.Module, lora: Lora) -> nn.Module:
    transposed = any(isinstance(module, Conv1D) for module in backbone.modules())  # GPT-2's linear layers
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by r: any number will do
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        fan_in_fan_out=transposed,
    )
    return get_peft_model(backbone, config)


def _adapters(backbone: nn.Module) -> list[nn.Module]:
    """The modules that were put in: matrices, and the dropout on their input."""
    layers = [module for module in backbone.modules() if isinstance(module, LoraLayer)]
    return [part for layer in layers for part in (layer.lora_A, layer.lora_B, layer.lora_dropout)]
