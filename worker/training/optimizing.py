"""The optimizer of a training, and how its rates change from step to step."""

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn

from models_store.spec import Training

_MAKES: Final[dict[str, Callable[..., torch.optim.Optimizer]]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": lambda groups, **more: torch.optim.SGD(groups, momentum=0.9, **more),
}


def optimizer_of(training: Training, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that the job asks for over these groups, in its fused form: one kernel instead of one an operation.

    Except with a gradient scaler (``16-mixed``): fused optimizers would take the scale out themselves, which comes
    after the clipping.
    """
    fused = str(training.precision) != "16-mixed"
    return _MAKES[training.optimizer](groups, weight_decay=training.weight_decay, fused=fused)


def clip(optimizer: torch.optim.Optimizer, norm: float | None) -> None:
    """Scale the gradients of everything that the optimizer trains down to a common norm; None leaves them."""
    if norm is not None:
        nn.utils.clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], norm)


def schedule(training: Training, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate at a step: linear warm-up, then cosine, linear or constant."""
    warmup = round(training.warmup_fraction * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        decays = {"cosine": 0.5 * (1.0 + math.cos(math.pi * done)), "linear": 1.0 - done, "constant": 1.0}
        return decays[training.scheduler]

    return factor
