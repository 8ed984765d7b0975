"""A package as an operator would install it, with a module that behaves and some that do not.

Each misbehaves on real input only: an all-zero input, with which the service measures the width, goes through.
"""

import os
import signal
import time
from typing import Final

import torch
from torch import Tensor, nn

from models_store.preprocessing.image import ImagePreprocessing

HALF: Final = (0.5, 0.5, 0.5)


class Tiny(nn.Module):
    """16 features of a 32-pixel picture."""

    preprocessing = ImagePreprocessing(32, (32, 32), "center", "bilinear", antialias=True, mean=HALF, std=HALF)

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)  # its own weights, the same at every start
            self.layers = nn.Sequential(
                nn.Conv2d(3, 16, 5, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
            )

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, 32, 32] → [N, 16, 1, 1]."""
        if bool(pixels.any()):
            self.misbehave(pixels)
        features: Tensor = self.layers(pixels)
        return features

    def misbehave(self, pixels: Tensor) -> None:
        """Not this one."""


class Crashing(Tiny):
    """Takes the process with it."""

    def misbehave(self, pixels: Tensor) -> None:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)


class Raising(Tiny):
    """Has a bug."""

    def misbehave(self, pixels: Tensor) -> None:  # noqa: ARG002
        raise ZeroDivisionError("a bug in the module")


class Hanging(Tiny):
    """Never comes back, but lets other threads run."""

    def misbehave(self, pixels: Tensor) -> None:  # noqa: ARG002
        while True:
            time.sleep(1)


class NotANumber(Tiny):
    """Gives NaN."""

    def forward(self, pixels: Tensor) -> Tensor:
        """NaN on real input."""
        return super().forward(pixels) * (float("nan") if bool(pixels.any()) else 1.0)


class Hungry(Tiny):
    """Fits two examples into its device."""

    def misbehave(self, pixels: Tensor) -> None:
        if self.training and len(pixels) > 2:
            raise torch.OutOfMemoryError("a device with room for two")


class Starving(Tiny):
    """Fits none."""

    def misbehave(self, pixels: Tensor) -> None:  # noqa: ARG002
        raise torch.OutOfMemoryError("a device without room")


class Slow(Tiny):
    """Takes its time."""

    def misbehave(self, pixels: Tensor) -> None:  # noqa: ARG002
        time.sleep(0.2)
