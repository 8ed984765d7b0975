"""The optimizer of a training, and how its rates change from step to step."""

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from models_store.spec import Training

_MAKES: Final[dict[str, Callable[..., torch.optim.Optimizer]]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": lambda groups, **more: torch.optim.SGD(groups, momentum=0.9, **more),
}


def optimizer_of(training: Training, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that the job asks for over these groups, in its fused form: one kernel instead of one an operation.

    Except with a gradient scaler (``16-mixed``): fused optimizers would take the scale out themselves, which comes
    after the clipping. Except for SGD, whose fused form fails where a parameter gets its first gradient later than
    others. And except where a parameter has holes in memory, into which fused forms would write.
    """
    dense = all(_is_dense(one) for group in groups for one in group["params"])
    fused = str(training.precision) != "16-mixed" and training.optimizer != "sgd" and dense
    return _MAKES[training.optimizer](groups, weight_decay=training.weight_decay, fused=fused)


def lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer's state the layout in memory of its parameters: fused forms read both side by side.

    A checkpoint may come from an attempt in another layout; see :mod:`worker.training.layout`.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _is_dense(tensor: Tensor) -> bool:
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.numel() == 0 or 1 + sum((size - 1) * stride for size, stride in steps) == tensor.numel()


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
