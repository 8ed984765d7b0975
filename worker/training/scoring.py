"""What the trained network makes of items, in float32: cached features where there are, else one pass."""

from collections.abc import Mapping, Sequence
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
from worker.training.caching.files import new_rows
from worker.training.caching.filling import Part
from worker.training.caching.source import FeatureSource, OnBatch
from worker.training.data import ItemRows

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
        source: gives the features that its backbone makes.
        folder: for memory-mapped files; features and logits of large sets do not fit into memory.
    """

    def __init__(self, network: Network, source: FeatureSource, folder: Path) -> None:
        self._network, self._source, self._folder = network, source, folder

    def features(self, wanted: Mapping[str, tuple[Split, Tensor]], on_batch: OnBatch) -> dict[str, Tensor]:
        """Float32 [rows, width] under each name, for some rows of a split, given ascending.

        Items of like size go together, so that a batch of texts is hardly padded.
        """
        parts = {name: self._part(name, split, chosen) for name, (split, chosen) in wanted.items()}
        self._source.fill(list(parts.values()), f"the report ({', '.join(wanted)})", on_batch)
        return {name: part.values for name, part in parts.items()}

    def scored(self, split: Split, features: Tensor, name: str) -> Scored:
        """The head's logits of features [N, width]."""
        head = self._network.head
        weight, bias = head.weight.detach().cpu(), head.bias.detach().cpu()
        logits = new_rows(self._folder / f"logits-{name}", len(features), head.out_features)
        for start in range(0, len(features), _ROWS):
            part = slice(start, start + _ROWS)
            logits[part] = torch.nn.functional.linear(features[part], weight, bias)
        return Scored(split.items, logits, split.rows.labels)

    def _part(self, name: str, split: Split, chosen: Tensor) -> Part:
        by_size = split.rows.by_size()
        order = by_size[np.isin(by_size, chosen.numpy())]
        values = new_rows(self._folder / f"scored-{name}", len(chosen), self._network.head.in_features)
        return Part(split.rows, order, np.searchsorted(chosen.numpy(), order), values)
