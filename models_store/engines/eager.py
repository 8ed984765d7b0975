"""PyTorch as it is."""

from pathlib import Path

import torch
from torch import nn

from models_store import trunks
from models_store.backbones import FAMILIES
from models_store.backbones.family import Architecture, Batch
from models_store.engines.engine import EngineUnavailableError, Precision


class TorchEngine:
    """A backbone under ``inference_mode``, where its tensors are: on the CPU, or on a GPU."""

    parallel = 1

    def __init__(self, module: nn.Module, architecture: Architecture) -> None:
        self._module, self._architecture = module.eval().requires_grad_(requires_grad=False), architecture
        tensors = [*module.parameters(), *module.buffers()]
        self._device = tensors[0].device if tensors else torch.device("cpu")
        self._family = FAMILIES[architecture.family]
        self.nbytes = sum(tensor.nbytes for tensor in tensors)

    def features(self, batch: Batch) -> torch.Tensor:
        """See ``Engine.features``."""
        with torch.inference_mode():
            placed = {name: tensor.to(self._device) for name, tensor in batch.items()}
            return self._family.extract(self._module, placed, self._architecture).float().cpu()


def open_trunk(store_dir: Path, trunk: str, precision: Precision) -> TorchEngine:
    """See ``Opener``; on a GPU where there is one."""
    if precision != "f32":
        raise EngineUnavailableError("in float32 only")
    module, architecture = trunks.load(store_dir, trunk)
    return TorchEngine(module.to("cuda" if torch.cuda.is_available() else "cpu"), architecture)
