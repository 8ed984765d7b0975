"""A few real training steps on a copy of the network, for measuring; the network itself is not touched."""

import copy
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Self

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import nn

from models_store.backbones.family import Batch
from models_store.network import Network
from models_store.spec import Training
from worker.training.checkpointing import random_state, set_random_state
from worker.training.optimizing import clip, optimizer_of
from worker.training.strategies import Strategy

HALVES: Final = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def lay_out(network: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay the weights of convolutions out; what else has four dimensions, or five, stays as it is."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=memory_format)


class Trial:
    """Steps of one training; as a context manager it leaves the random generators as they were.

    Convolutions are laid out as in the training (:mod:`worker.training.layout`); ``channels_last`` tells, after a step,
    whether the network could.

    Args:
        training: with its accelerator resolved; its precision, while that is not, counts as 32.
    """

    def __init__(self, network: Network, strategy: Strategy, training: Training, device: torch.device) -> None:
        self._random = random_state()
        self._network = copy.deepcopy(network).to(device).train()
        self.channels_last = any(isinstance(module, nn.Conv2d) for module in network.modules())
        if self.channels_last:
            lay_out(self._network, torch.channels_last)
        groups = strategy.parameter_groups(self._network, training)
        self._optimizer = optimizer_of(training, groups)
        self._clip, self._device, self._precision = training.gradient_clip_val, device, str(training.precision)

    def __enter__(self) -> Self:
        torch.manual_seed(0)
        return self

    def __exit__(self, *_: object) -> None:
        set_random_state(self._random)

    def step(self, batch: Batch) -> float:
        """Forward, backward, update; gives the loss before it.

        Raises:
            torch.OutOfMemoryError: the device does not hold this batch.
        """
        try:
            return self._step(batch)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            if not self.channels_last:
                raise
        self.channels_last = False
        lay_out(self._network, torch.contiguous_format)
        return self._step(batch)

    def _step(self, batch: Batch) -> float:
        inputs = {name: tensor.to(self._device) for name, tensor in batch.items()}
        labels = inputs.pop("label")
        with self._autocast():
            loss = F.cross_entropy(self._network(inputs), labels)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip(self._optimizer, self._clip)
        self._optimizer.step()
        return float(loss.detach())

    def _autocast(self) -> AbstractContextManager[object]:
        half = HALVES.get(self._precision)
        return torch.autocast(self._device.type, dtype=half) if half else nullcontext()
