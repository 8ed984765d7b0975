"""What the trained network makes of items, in float32: cached features where there are, else one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models_store.itemset import Item, ItemSet
from models_store.network import Network
from models_store.preprocessing.protocol import Preprocessing
from models_store.reporting.report import Scored
from worker.training.data import ItemRows, Loader
from worker.training.hardware import preparing_threads

PASS_BATCH: Final = 32
_ROWS: Final = 8192


@dataclass(frozen=True)
class Split:
    """Items of a set as they are served: prepared without augmentation."""

    items: Sequence[Item]
    rows: ItemRows

    @classmethod
    def of(cls, itemset: ItemSet, name: str, labels: Sequence[str], prepare: Preprocessing) -> "Split":
        """One split of a set, in the manifest's order."""
        items = list(itemset.items(name))
        return cls(items, ItemRows(itemset, items, labels, prepare))

    def all(self) -> Tensor:
        """Every row."""
        return torch.arange(len(self.items))


class Scorer:
    """Runs a network that is not trained any more over items.

    Args:
        folder: for memory-mapped files; features and logits of large sets do not fit into memory.
        on_batch: called with the number of items of each batch; may raise to stop.
    """

    def __init__(self, network: Network, device: torch.device, folder: Path, on_batch: Callable[[int], None]) -> None:
        self._network, self._device, self._folder, self._on_batch = network, device, folder, on_batch

    def features(self, split: Split, chosen: Tensor, name: str) -> Tensor:
        """Float32 [len(chosen), width] of some of the rows, given ascending.

        Items of like size go together, so that a batch of texts is hardly padded.
        """
        values = self._file(f"scored-{name}", len(chosen), self._network.head.in_features)
        by_size = split.rows.by_size()
        order = by_size[np.isin(by_size, chosen.numpy())]
        places = torch.searchsorted(chosen, torch.from_numpy(order))
        done = 0
        threads = preparing_threads()
        for batch in Loader(len(order), lambda rows: split.rows(order[rows]), PASS_BATCH, threads=threads):
            count = len(batch.pop("label"))
            values[places[done : done + count]] = self._forward(batch)
            done += count
            self._on_batch(count)
        return values

    def scored(self, split: Split, features: Tensor, name: str) -> Scored:
        """The head's logits of features [N, width]."""
        head = self._network.head
        weight, bias = head.weight.detach().cpu(), head.bias.detach().cpu()
        logits = self._file(f"logits-{name}", len(features), head.out_features)
        for start in range(0, len(features), _ROWS):
            part = slice(start, start + _ROWS)
            logits[part] = torch.nn.functional.linear(features[part], weight, bias)
        return Scored(split.items, logits, split.rows.labels)

    @torch.inference_mode()
    def _forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self._network.features({name: one.to(self._device) for name, one in batch.items()}).float().cpu()

    def _file(self, name: str, rows: int, columns: int) -> Tensor:
        path = self._folder / name
        return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="w+", shape=(rows, columns)))
