"""The output of a frozen backbone. It never changes, so every epoch, and the probe behind ``auto``, read one pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.network import Network
from worker.attempt import Attempt
from worker.training.data import Data, FeatureRows, ItemRows, Loader
from worker.training.hardware import preparing_threads
from worker.training.sampling import Rows, stratified

PASS_BATCH: Final = 32
PROBED: Final = {"train": 2_000, "validation": 1_000}
"""Items that a probe fits on and is judged by: enough to tell accuracies a few points apart, and seconds of work."""


class SplitFeatures:
    """Float32 features [N, width] of one split in a memory-mapped file.

    The rows that a probe needs are computed first, whether there is a probe or not, and in batches of their own: so the
    features of a row are the same to the bit however a job comes to them.
    """

    def __init__(self, rows: ItemRows, sampled: Rows, path: Path, width: int, batch_size: int) -> None:
        self._rows, self._path, self._width, self._batch_size = rows, path, width, batch_size
        self.sampled = sampled
        by_size = rows.by_size()  # items of like size go together, so that a batch of texts is hardly padded
        first = np.isin(by_size, sampled)
        self._waiting = [by_size[first], by_size[~first]]
        self._values: Tensor | None = None

    def missing(self, *, everything: bool) -> int:
        """How many rows are still to be computed."""
        return sum(map(len, self._wanted(everything)))

    def compute(self, forward: Callable[[Batch], Tensor], on_batch: Callable[[int], None], *, everything: bool) -> None:
        """Compute what is missing; ``on_batch`` is told the number of rows of each batch, and may raise to stop."""
        for order in self._wanted(everything):
            self._compute(order, forward, on_batch)
            self._waiting = self._waiting[1:]

    def all(self) -> FeatureRows:
        """Every row; they must have been computed."""
        return FeatureRows(self._file(), self._rows.labels)

    def sample(self) -> FeatureRows:
        """The sampled rows, in the order of the sample."""
        places = torch.from_numpy(self.sampled)
        return FeatureRows(self._file()[places], self._rows.labels[places])

    def _wanted(self, everything: bool) -> list[Rows]:
        return self._waiting if everything else self._waiting[: len(self._waiting) - 1]

    def _compute(self, order: Rows, forward: Callable[[Batch], Tensor], on_batch: Callable[[int], None]) -> None:
        values, done = self._file(), 0
        loader = Loader(
            len(order), lambda places: self._rows(order[places]), self._batch_size, threads=preparing_threads()
        )
        for batch in loader:
            chosen = order[done : done + len(batch.pop("label"))]
            values[torch.from_numpy(chosen)] = forward(batch)
            done += len(chosen)
            on_batch(len(chosen))

    def _file(self) -> Tensor:
        if self._values is None:
            shape = (len(self._rows), self._width)
            self._values = torch.from_numpy(np.memmap(self._path, dtype=np.float32, mode="w+", shape=shape))
        return self._values


class Extraction:
    """The features of a job's training and validation items.

    Args:
        seed: chooses the items of a probe.
        batch_size: items a pass through the backbone.
    """

    def __init__(
        self,
        attempt: Attempt,
        data: Data,
        network: Network,
        device: torch.device,
        *,
        seed: int,
        batch_size: int = PASS_BATCH,
    ) -> None:
        self._attempt, self._network, self._device = attempt, network, device
        width = network.head.in_features
        self._splits = {
            split: SplitFeatures(
                rows,
                stratified(rows.labels, PROBED[split], seed),
                attempt.directory / f"features-{split}",
                width,
                batch_size,
            )
            for split, rows in (("train", data.train), ("validation", data.validation))
        }

    def sample(self, end: float) -> dict[str, FeatureRows]:
        """Those of a probe's items; ``end`` is the fraction of the whole job that is done then."""
        self._compute(end, everything=False)
        return {split: one.sample() for split, one in self._splits.items()}

    def all(self, end: float) -> dict[str, FeatureRows]:
        """Those of every item."""
        self._compute(end, everything=True)
        return {split: one.all() for split, one in self._splits.items()}

    def _compute(self, end: float, *, everything: bool) -> None:
        total = sum(one.missing(everything=everything) for one in self._splits.values())
        done = 0

        def on_batch(count: int) -> None:
            nonlocal done
            done += count
            self._attempt.check_stop()
            self._attempt.progress("features", end * done / total)

        was_training = self._network.training
        self._network.to(self._device).eval()
        for one in self._splits.values():
            one.compute(self._forward, on_batch, everything=everything)
        self._network.to("cpu").train(was_training)

    @torch.no_grad()
    def _forward(self, batch: Batch) -> Tensor:
        # No inference mode: what a backbone keeps of it, such as tables of positions, could not be trained with later.
        return self._network.features({name: one.to(self._device) for name, one in batch.items()}).float().cpu()
