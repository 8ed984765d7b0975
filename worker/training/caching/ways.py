"""Ways of computing features: what is opened for a pass, and under which name the result is kept."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openvino
import torch
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.engines import ENGINES
from models_store.network import Network

Forward = Callable[[Batch], Tensor]
"""A prepared batch on the CPU → float32 features [N, width] on the CPU."""


@dataclass(frozen=True)
class Way:
    """One way of computing features.

    Args:
        computed_by: names engine, precision, device and the engine's version (torch's is added): features are shared
            between jobs under this name.
        start: opened for a pass, and only where there is something to compute.
        by_torch: PyTorch computes them, in float32: they need no comparison with it.
    """

    computed_by: str
    start: Callable[[], AbstractContextManager[Forward]]
    by_torch: bool = True


def torch_way(network: Network, device: torch.device) -> Way:
    """The network itself, in eval mode, on ``device`` for the length of a pass, and on the CPU after it."""

    @torch.no_grad()
    def forward(batch: Batch) -> Tensor:
        # No inference mode: what a backbone keeps of it, such as tables of positions, could not be trained with later.
        return network.features({name: one.to(device) for name, one in batch.items()}).float().cpu()

    @contextmanager
    def start() -> Iterator[Forward]:
        was_training = network.training
        network.to(device).eval()
        try:
            yield forward
        finally:
            network.to("cpu").train(was_training)

    return Way("torch-f32" if device.type == "cpu" else f"torch-f32-{device.type}", start)


def openvino_way(store_dir: Path, trunk: str) -> Way:
    """The graph of a stored trunk that was converted; a fraction of PyTorch's time on a CPU, in float32 too."""

    @contextmanager
    def start() -> Iterator[Forward]:
        yield ENGINES["openvino"](store_dir, trunk, "f32").features

    return Way(f"openvino-{openvino.__version__}-f32", start, by_torch=False)
