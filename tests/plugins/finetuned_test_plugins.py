"""A package as an operator would install it, with a module that behaves and some that do not.

Each misbehaves on real input only: an all-zero input, with which the service measures the width, goes through.
"""

import os
import signal
import time
from typing import Final

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor, nn

from models_store.preprocessing.image import ImagePreprocessing
from models_store.preprocessing.text import TextPreprocessing

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


class Autoencoder(nn.Module):
    """What an operator registers for autoencoders of 16-pixel pictures that people train with Lightning.

    The encoder gives 100 features. It has a batch norm, whose statistics a frozen job must not move.
    """

    preprocessing = ImagePreprocessing(16, (16, 16), "center", "bilinear", antialias=True, mean=HALF, std=HALF)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(768, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 100)
        )
        self.decoder = nn.Sequential(nn.Linear(100, 128), nn.ReLU(), nn.Linear(128, 768), nn.Unflatten(1, (3, 16, 16)))

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, 16, 16] → the same."""
        pictures: Tensor = self.decoder(self.encoder(pixels))
        return pictures


class Words(nn.Module):
    """The mean of a text's words, of which it knows a few."""

    def __init__(self) -> None:
        super().__init__()
        words = ("[PAD]", "[UNK]", "good", "bad", "film", "좋은", "나쁜", "영화", "word")
        tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        files = {"tokenizer.json": tokenizer.to_str().encode()}
        inputs = ["input_ids", "attention_mask"]
        self.preprocessing = TextPreprocessing(files, max_length=16, inputs=inputs, pad_id=0)
        self.embedding = nn.Embedding(len(words), 8)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, tokens] → [N, 8]."""
        weights = attention_mask.unsqueeze(-1).float()
        features: Tensor = (self.embedding(input_ids) * weights).sum(dim=1) / weights.sum(dim=1)
        return features
