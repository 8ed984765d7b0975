"""Means over an epoch that are taken without waiting for the device."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """A weighted mean.

    torchmetrics' own looks for NaN in every update, for which a GPU has to be waited for, and leaves it out of the
    mean; here a NaN makes the mean one, by which a training that diverges is known. Kept in float64, and summed over
    the processes of a distributed training.
    """

    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: int | Tensor) -> None:
        """Add a value, or several [N] with a weight each."""
        values = values.double()
        self.total += (values * weights).sum()
        self.weight += weights.sum() if isinstance(weights, Tensor) else weights

    def compute(self) -> Tensor:
        """The mean so far; NaN where there is none."""
        mean: Tensor = self.total / self.weight
        return mean
