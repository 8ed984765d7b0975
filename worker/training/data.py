"""Batches for the Trainer: sized, sharded, and resumable at any batch.

A loader's order is a function of (seed, epoch) alone, and its state is (epoch, batches taken), so a resumed job sees
exactly the batches that an uninterrupted one would have seen. Rows that change from epoch to epoch (augmented ones) are
a function of (seed, epoch, place in the epoch): no thread draws from a generator that others draw from.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.database.tables import DatasetRow
from models_store.errors import FinetunedError, InvalidError
from models_store.itemset import Item, ItemSet
from models_store.preprocessing.protocol import Prepared, Preprocessing
from worker.training.devices import group
from worker.training.sampling import Order, Rows, shuffled

Fetch = Callable[[Rows], Batch]
"""Row numbers → a batch that holds ``label`` beside the inputs."""
AHEAD = 2
IGNORED: Final = -100
"""The label of an item that takes part in a step and does not count in it, as cross-entropy has it."""


@runtime_checkable
class ChangingRows(Protocol):
    """Rows that look different in every epoch."""

    def drawn(self, rows: Rows, epoch: int, places: Rows) -> Batch:
        """The batch of these rows, each at its place of the epoch; equal arguments give equal batches."""


class Loader:
    """Iterates over rows ``0 … size-1`` in batches of at most ``batch_size`` over all processes.

    Each process has its part of every batch, and every row is in one part. Where a batch has fewer rows than there are
    processes, those without one get its first row as ``IGNORED`` if they are to take a step on it, else no batch.

    Args:
        size: number of rows.
        fetch: gives the batch of some rows; called in ``threads`` threads, or in the caller's own where 0.
        batch_size: rows a step, all processes together.
        seed: draws an order anew every epoch; None keeps the order of the rows.
        order: how it is drawn; ``size`` row numbers. Every row once if omitted.
        pin: into memory from which a GPU copies while the computation goes on, as Lightning then has it do.
    """

    def __init__(
        self,
        size: int,
        fetch: Fetch | ChangingRows,
        batch_size: int,
        *,
        seed: int | None = None,
        threads: int = 0,
        order: Order | None = None,
        pin: bool = False,
    ) -> None:
        self._size, self._fetch, self._seed, self._threads, self._pin = size, fetch, seed, threads, pin
        self._draw = order or shuffled(size)
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
        self._taken = len(self)  # also where this process had no part of the last

    def begin(self, epoch: int) -> None:
        """Start an epoch from its first batch."""
        self.epoch, self._taken = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the iteration stands."""
        return {"epoch": self.epoch, "taken": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from there at the next ``iter()``."""
        self.epoch, self._taken = state["epoch"], state["taken"]

    def _order(self) -> Rows:
        if self._seed is None:
            return np.arange(self._size)
        return self._draw(np.random.default_rng((self._seed, self.epoch)))

    def _batches(self) -> list[Callable[[], Batch]]:
        """The epoch's batches of this process, each still to be fetched."""
        order, places, epoch, fetch = self._order(), np.arange(self._size), self.epoch, self._fetch
        number, processes = group.place()

        def batch(start: int) -> Batch:
            whole = places[start : start + self.batch_size]
            mine = whole[number::processes] if number < len(whole) else whole[:1]
            rows = order[mine]
            fetched = fetch.drawn(rows, epoch, mine) if isinstance(fetch, ChangingRows) else fetch(rows)
            if number >= len(whole):
                fetched = {**fetched, "label": torch.full_like(fetched["label"], IGNORED)}
            return {name: one.pin_memory() for name, one in fetched.items()} if self._pin else fetched

        starts = range(0, self._size, self.batch_size)
        steps = self._seed is not None
        return [partial(batch, start) for start in starts if steps or number < min(self.batch_size, self._size - start)]

    def _fetched(self, batches: list[Callable[[], Batch]]) -> Iterator[Batch]:
        if not self._threads:
            yield from (fetch() for fetch in batches)
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="prepare") as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for fetch in batches:
                    waiting.append(pool.submit(fetch))
                    if len(waiting) > self._threads + AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


class Runs:
    """The batches of a loader in lists of at most ``together``: what the Trainer is handed in one go."""

    def __init__(self, loader: Loader, together: int) -> None:
        self._loader, self._together = loader, together

    def __len__(self) -> int:
        return -(-len(self._loader) // self._together)

    def __iter__(self) -> Iterator[list[Batch]]:
        batches = iter(self._loader)
        while run := list(islice(batches, self._together)):
            yield run

    def begin(self, epoch: int) -> None:
        """As ``Loader.begin``."""
        self._loader.begin(epoch)

    def state_dict(self) -> dict[str, int]:
        """As ``Loader.state_dict``; whole runs are taken."""
        return self._loader.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """As ``Loader.load_state_dict``."""
        self._loader.load_state_dict(state)


Batches = Loader | Runs


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

    def hashes(self, rows: Rows) -> list[str]:
        """SHA-256 of the contents of some rows, as the import found them, hexadecimal."""
        return [self._items[row].sha256 for row in rows]

    def contents(self, count: int) -> list[bytes]:
        """The raw bytes of the first ``count`` items."""
        return [self._itemset.content(item) for item in self._items[:count]]

    def __call__(self, rows: Rows) -> Batch:
        """Read, prepare and collate; int64 labels [N] come along as ``label``."""
        return self.batch(rows, self._prepare.prepare([self.content(row) for row in rows]))

    def content(self, row: int) -> bytes:
        """The raw bytes of one item."""
        return self._itemset.content(self._items[row])

    def batch(self, rows: Rows, prepared: Sequence[Prepared | FinetunedError]) -> Batch:
        """What was prepared of these rows, collated with their labels.

        Raises:
            InvalidError: ``dataset_damaged``, one of them could not be.
        """
        good = []
        for row, one in zip(rows, prepared, strict=True):
            if isinstance(one, FinetunedError):
                raise InvalidError(
                    "dataset_damaged",
                    f"Item {self._items[row].name!r} was imported but cannot be read now: {one.message} "
                    "Upload the data set anew.",
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
        self.features, self.labels = features, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, rows: Rows) -> Batch:
        """A batch with ``features`` and ``label``."""
        chosen = torch.from_numpy(rows)
        return {"features": self.features.index_select(0, chosen), "label": self.labels.index_select(0, chosen)}
