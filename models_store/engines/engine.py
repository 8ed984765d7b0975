"""What every engine offers: a frozen trunk's features, by whatever runs fastest."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import torch

from models_store.backbones.family import Batch

Precision = Literal["f32", "bf16"]
"""What an engine computes in; what it is given and what it gives is float32."""


class Engine(Protocol):
    """Runs one trunk in eval mode without gradients; safe to call from several threads.

    The head is no business of an engine: models that stand on one trunk share an engine, and what is known of the
    features (how far they are from those of the training) is asked before they become logits.
    """

    @property
    def nbytes(self) -> int:
        """About how much memory it holds."""

    @property
    def parallel(self) -> int:
        """Batches that it computes at once in less time than one after the other; 1 if each takes the whole device."""

    def features(self, batch: Batch) -> torch.Tensor:
        """Features [N, width], float32, on the CPU."""


Opener = Callable[[Path, str, Precision], Engine]
"""An engine for the trunk of this name in this store.

Raises:
    EngineUnavailableError: this engine does not run this trunk, here or at all.
    UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
"""


class EngineUnavailableError(Exception):
    """This engine does not run the trunk; another one may."""
