"""Channels-last: convolutions whose images and weights lie in memory pixel by pixel, as their kernels read them.

The same numbers under the same names, only their order in memory differs. A training step of a convolutional network
takes 0.5 to 0.9 of the time, most with bfloat16 (Intel and PyTorch, "Accelerating PyTorch vision models with
channels-last on CPU", 2022; GPUs' tensor cores want it, too). The weights alone need be laid out: a convolution answers
in the layout of its weights, and what follows keeps it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from models_store.network import Network
from models_store.spec import Training
from worker.training import hardware
from worker.training.data import ItemRows
from worker.training.strategies import full
from worker.training.trial import Trial, lay_out

_TRIED = 2
"""Items, as batch normalisation may refuse a single one."""


@contextmanager
def channels_last(network: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Inside, the network lies in this layout if it is wanted; at the end as it is saved."""
    if wanted:
        lay_out(network, torch.channels_last)
    try:
        yield
    finally:
        lay_out(network, torch.contiguous_format)


def suits(network: Network, training: Training, items: ItemRows) -> bool:
    """Whether it has convolutions, and trains in this layout: code that takes tensors apart by hand may not.

    One step on a copy tells; the network and the random generators stay as they are.
    """
    if not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return False
    with Trial(network, full, training, hardware.device(training)) as trial:
        trial.step(items(np.arange(min(_TRIED, len(items)))))
    return trial.channels_last
