"""Batch normalisation over the whole batch, wherever its items are.

Statistics of each process's own part would make a training in two processes another one than in one. torch's
``SyncBatchNorm`` is for GPUs alone, and its converter replaces modules: timm's batch norms have an activation of their
own, which is gone then. Here modules stay as they are, and the function that all of them call is another.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor
from torch.overrides import TorchFunctionMode

from worker.training.devices import group


class WholeBatch(TorchFunctionMode):
    """Inside, ``F.batch_norm`` that is to use a batch's statistics takes those of all processes' batches together.

    Args:
        counts: 1 where this process's items are part of the batch; 0 where it only takes part in the step.
    """

    def __init__(self, counts: Tensor) -> None:
        super().__init__()
        self._counts = counts

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Every call of a function of torch comes by here."""
        del types
        if func is F.batch_norm and _training(*args, **kwargs or {}):
            return self._normalised(*args, **kwargs or {})
        return func(*args, **kwargs or {})

    def _normalised(
        self,
        inputs: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """As ``F.batch_norm``; computes in float32, as it does."""
        del training
        output, mean, variance, count = _Normalised.apply(inputs.float(), weight, bias, self._counts, eps)
        with torch.no_grad():
            if running_mean is not None and running_var is not None:
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
        normalised: Tensor = output.to(inputs.dtype)
        return normalised


def _training(
    _inputs: Tensor,
    _running_mean: Tensor | None,
    _running_var: Tensor | None,
    _weight: Tensor | None = None,
    _bias: Tensor | None = None,
    training: bool = False,
    *_: float,
    **__: Any,
) -> bool:
    return training


class _Normalised(torch.autograd.Function):
    """Normalised inputs, and the mean, the (biased) variance and the number of what they were normalised by.

    Means and variances of the parts are put together as Chan, Golub and LeVeque (1983) do, which cancels nothing.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, counts: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One word of 2 × channels + 1 numbers between the processes."""
        variance, mean = torch.var_mean(inputs, _but_channels(inputs), correction=0)
        items = (counts * (inputs.numel() // inputs.shape[1])).to(mean).reshape(1)
        parts = group.everyones(torch.cat([items, mean, variance]))
        shares, means, variances = parts[:, :1], *parts[:, 1:].chunk(2, dim=1)
        count = shares.sum()
        mean = (shares * means).sum(dim=0) / count
        variance = (shares * (variances + (means - mean) ** 2)).sum(dim=0) / count
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(inputs, weight, counts, mean, scale, count)
        output = (inputs - _spread(mean, inputs)) * _spread(scale if weight is None else scale * weight, inputs)
        ctx.mark_non_differentiable(mean, variance, count)
        return output if bias is None else output + _spread(bias, inputs), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """One more; the gradients of weight and bias are of this part, as DDP expects them."""
        inputs, weight, counts, mean, scale, count = ctx.saved_tensors
        slope, others = slopes[0], _but_channels(inputs)
        normal = (inputs - _spread(mean, inputs)) * _spread(scale, inputs)
        own = torch.stack([slope.sum(dim=others), (slope * normal).sum(dim=others)])
        by_mean, by_scale = counts * group.summed(own) / count
        through = slope - _spread(by_mean, inputs) - normal * _spread(by_scale, inputs)
        through = through * _spread(scale if weight is None else scale * weight, inputs)
        bias_slope, weight_slope = own
        needs = ctx.needs_input_grad
        return through, weight_slope if needs[1] else None, bias_slope if needs[2] else None, None, None


def _but_channels(inputs: Tensor) -> list[int]:
    return [0, *range(2, inputs.dim())]


def _spread(values: Tensor, inputs: Tensor) -> Tensor:
    """One value a channel, in the shape in which it meets the inputs."""
    return values.reshape(1, -1, *[1] * (inputs.dim() - 2))
