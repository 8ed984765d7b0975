"""One pass of a frozen backbone over a split. Its output never changes, so every epoch reads it from a file."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models_store.network import Network
from worker.training.data import FeatureRows, ItemRows, Loader
from worker.training.hardware import preparing_threads

PASS_BATCH = 32


def compute(
    network: Network, rows: ItemRows, path: str, device: torch.device, on_batch: Callable[[int], None]
) -> FeatureRows:
    """Write float32 features [N, width] of all rows to a memory-mapped file.

    Items of like size go together, so that a batch of texts is hardly padded.

    Args:
        on_batch: called with the number of rows done after each batch; may raise to stop.
    """
    shape = (len(rows), network.head.in_features)
    features = torch.from_numpy(np.memmap(path, dtype=np.float32, mode="w+", shape=shape))
    order = rows.by_size()
    done = 0
    for batch in Loader(len(rows), lambda places: rows(order[places]), PASS_BATCH, threads=preparing_threads()):
        chosen = order[done : done + len(batch.pop("label"))]
        features[torch.from_numpy(chosen)] = _forward(network, batch, device)
        done += len(chosen)
        on_batch(done)
    return FeatureRows(features, rows.labels)


@torch.inference_mode()
def _forward(network: Network, batch: dict[str, Tensor], device: torch.device) -> Tensor:
    return network.features({name: tensor.to(device) for name, tensor in batch.items()}).float().cpu()
