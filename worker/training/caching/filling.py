"""Bring features to their rows: each content is looked up once, and computed once where it was not found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.errors import InvalidError
from models_store.feature_cache.segments import Features, Items, items_of
from models_store.feature_cache.shelf import Keeper, Shelf
from worker.training.caching.ways import Forward
from worker.training.data import ItemRows, Loader
from worker.training.hardware import preparing_threads
from worker.training.sampling import Rows

_COPIED: Final = 4096


@dataclass(frozen=True)
class Part:
    """Rows that are computed in batches of their own: row ``order[i]`` goes to ``values[places[i]]``."""

    rows: ItemRows
    order: Rows
    places: Rows
    values: Tensor

    def put(self, chosen: Rows, features: Tensor) -> None:
        """Store the features of ``order[chosen]``."""
        self.values[torch.from_numpy(self.places[chosen])] = features

    def get(self, chosen: Rows) -> Tensor:
        """The features of ``order[chosen]``."""
        return self.values[torch.from_numpy(self.places[chosen])]

    def batches(self, chosen: Rows, batch_size: int) -> Iterator[Batch]:
        """``order[chosen]`` read and prepared in threads, while the caller works on the batch before."""
        order = self.order[chosen]
        threads = preparing_threads()
        return iter(Loader(len(order), lambda at: _checked(self.rows, order[at]), batch_size, threads=threads))


class Filling:
    """What is to be done for some parts. A row is named by its number in all of them together."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part.order) for part in parts])
        self._items: Items = items_of([hash_ for part in parts for hash_ in part.rows.hashes(part.order)])
        _, first, content = np.unique(self._items, return_index=True, return_inverse=True)
        self._source = first[content]  # the row in which each row's content comes first
        self._missing: Rows = np.sort(first)

    @property
    def missing(self) -> int:
        """How many contents have no features yet."""
        return len(self._missing)

    def recall(self, shelf: Shelf, look: Callable[[], None]) -> int:
        """Take what the cache has, and give how many contents that were; ``look`` may raise to stop."""
        wanted = self._missing

        def take(places: Rows, features: Features) -> None:
            values = torch.from_numpy(features)
            for part, chosen, here in self._by_part(wanted[places]):
                part.put(chosen, values[torch.from_numpy(here)])

        found = shelf.recall(self._items[wanted], take, look)
        self._missing = wanted[~found]
        return int(found.sum())

    def compute(self, forward: Forward, keeper: Keeper, batch_size: int, on_batch: Callable[[int], None]) -> None:
        """Compute the rest; ``on_batch`` is told the number of items of each batch, and may raise to stop."""
        for part, chosen, here in self._by_part(self._missing):
            items, done = self._items[self._missing[here]], 0
            for batch in part.batches(chosen, batch_size):
                these = slice(done, done + len(batch.pop("label")))
                features = forward(batch)
                part.put(chosen[these], features)
                keeper.add(items[these], features.numpy())
                on_batch(these.stop - done)
                done = these.stop

    def copy(self) -> None:
        """Give the rows of equal content the features of the first of them."""
        copies = np.flatnonzero(self._source != np.arange(len(self._source)))
        for start in range(0, len(copies), _COPIED):
            rows = copies[start : start + _COPIED]
            sources = self._source[rows]
            values = torch.empty(len(rows), self._parts[0].values.shape[1])
            for part, chosen, here in self._by_part(sources):
                values[torch.from_numpy(here)] = part.get(chosen)
            for part, chosen, here in self._by_part(rows):
                part.put(chosen, values[torch.from_numpy(here)])

    def _by_part(self, rows: Rows) -> Iterator[tuple[Part, Rows, Rows]]:
        """Each part that has some of these rows, with their numbers in it, and their places among ``rows``."""
        owners = np.searchsorted(self._ends, rows, side="right")
        for owner in np.unique(owners):
            here = np.flatnonzero(owners == owner)
            part = self._parts[owner]
            yield part, rows[here] - (self._ends[owner] - len(part.order)), here


def _checked(rows: ItemRows, chosen: Rows) -> Batch:
    """The prepared batch. Features are kept under the hash of a content: they must come from that content."""
    for row, expected in zip(chosen, rows.hashes(chosen), strict=True):
        if sha256(rows.content(row)).hexdigest() != expected:
            message = "The stored files of this data set are not those that were imported. Upload the data set anew."
            raise InvalidError("dataset_damaged", message)
    return rows(chosen)
