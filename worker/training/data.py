"""Batches for the Trainer: sized, sharded, and resumable at any batch.

A loader's order is a function of (seed, epoch) alone, and its state is (epoch, batches taken), so a resumed job sees
exactly the batches that an uninterrupted one would have seen.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.database.tables import DatasetRow
from models_store.errors import FinetunedError, InvalidError
from models_store.itemset import Item, ItemSet
from models_store.preprocessing.protocol import Preprocessing

Rows = np.ndarray[Any, np.dtype[np.int64]]
Fetch = Callable[[Rows], Batch]
"""Row numbers → a batch that holds ``label`` beside the inputs."""
AHEAD = 2


class Loader:
    """Iterates over rows ``0 … size-1`` in batches of at most ``batch_size`` over all processes.

    Args:
        size: number of rows.
        fetch: gives the batch of some rows; called in ``threads`` threads, or in the caller's own where 0.
        batch_size: rows a step, all processes together.
        seed: shuffles anew every epoch; None keeps the order.
    """

    def __init__(self, size: int, fetch: Fetch, batch_size: int, *, seed: int | None = None, threads: int = 0) -> None:
        self._size, self._fetch, self._seed, self._threads = size, fetch, seed, threads
        self.batch_size = batch_size
        self.epoch = 0
        self._taken = 0

    def __len__(self) -> int:
        return -(-self._size // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self._taken >= len(self):
            self.begin(self.epoch + 1)
        for batch in self._fetched(self._batches()[self._taken :]):
            self._taken += 1
            yield batch

    def begin(self, epoch: int) -> None:
        """Start an epoch from its first batch."""
        self.epoch, self._taken = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the iteration stands."""
        return {"epoch": self.epoch, "taken": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from there at the next ``iter()``."""
        self.epoch, self._taken = state["epoch"], state["taken"]

    def _batches(self) -> list[Rows]:
        order = np.arange(self._size)
        if self._seed is not None:
            order = np.random.default_rng((self._seed, self.epoch)).permutation(self._size)
        rank, world = _process()
        starts = range(0, self._size, self.batch_size)
        return [order[start : start + self.batch_size][rank::world] for start in starts]

    def _fetched(self, batches: list[Rows]) -> Iterator[Batch]:
        if not self._threads:
            yield from map(self._fetch, batches)
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="prepare") as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for rows in batches:
                    waiting.append(pool.submit(self._fetch, rows))
                    if len(waiting) > self._threads + AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


class ItemRows:
    """Rows of an item set as prepared batches; ``[i]`` is the i-th item of the split."""

    def __init__(self, itemset: ItemSet, items: Sequence[Item], labels: Sequence[str], prepare: Preprocessing) -> None:
        self._itemset, self._items, self._prepare = itemset, items, prepare
        index = {label: number for number, label in enumerate(labels)}
        self.labels = torch.tensor([index[item.label] for item in items], dtype=torch.long)

    def __len__(self) -> int:
        return len(self._items)

    def by_size(self) -> Rows:
        """Row numbers, small items first."""
        return np.argsort([item.length for item in self._items], kind="stable")

    def contents(self, count: int) -> list[bytes]:
        """The raw bytes of the first ``count`` items."""
        return [self._itemset.content(item) for item in self._items[:count]]

    def __call__(self, rows: Rows) -> Batch:
        """Read, prepare and collate; int64 labels [N] come along as ``label``."""
        chosen = [self._items[row] for row in rows]
        prepared = self._prepare.prepare([self._itemset.content(item) for item in chosen])
        good = []
        for item, one in zip(chosen, prepared, strict=True):
            if isinstance(one, FinetunedError):
                raise InvalidError(
                    "dataset_damaged",
                    f"Item {item.name!r} was imported but cannot be read now: {one.message} Upload the data set anew.",
                )
            good.append(one)
        return {**self._prepare.collate(good), "label": self.labels[torch.from_numpy(rows)]}


@dataclass(frozen=True)
class Data:
    """The data set of a job, with one rows object a split."""

    row: DatasetRow
    labels: list[str]
    train: ItemRows
    validation: ItemRows


class FeatureRows:
    """Rows of features that were computed before, float32 [N, width]."""

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        self._features, self.labels = features, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, rows: Rows) -> Batch:
        """A batch with ``features`` and ``label``."""
        chosen = torch.from_numpy(rows)
        return {"features": self._features[chosen], "label": self.labels[chosen]}


def _process() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
