"""The output of a frozen backbone. It never changes: every epoch, and the probe behind ``auto``, read one pass."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models_store import leases, spans
from worker.attempt import Attempt
from worker.training.caching.files import new_rows, seal, sealed_rows
from worker.training.caching.filling import Part
from worker.training.caching.source import PASS_BATCH, FeatureSource
from worker.training.data import Data, FeatureRows, ItemRows
from worker.training.sampling import Rows, stratified

__all__ = ["PASS_BATCH", "PROBED", "Extraction"]

PROBED: Final = {"train": 2_000, "validation": 1_000}
"""Items that a probe fits on and is judged by: enough to tell accuracies a few points apart, and seconds of work."""


class SplitFeatures:
    """Float32 features [N, width] of one split in a memory-mapped file.

    The rows that a probe needs are computed first, whether there is a probe or not, and in batches of their own: so the
    features of a row are the same to the bit however a job comes to them. Once all are there the file is sealed, and a
    later attempt at the job goes on with these very bits, whatever has become of the cache.
    """

    def __init__(self, rows: ItemRows, sampled: Rows, path: Path, width: int) -> None:
        self._rows, self._path, self._width = rows, path, width
        self.sampled = sampled
        by_size = rows.by_size()  # items of like size go together, so that a batch of texts is hardly padded
        first = np.isin(by_size, sampled)
        self._waiting = [by_size[first], by_size[~first]]
        self._values: Tensor | None = None
        self._made = False

    def wanted(self, *, everything: bool) -> list[Part]:
        """What is still to be filled; filling it makes it so."""
        orders = self._waiting if everything else self._waiting[: len(self._waiting) - 1]
        return [Part(self._rows, order, order, self._file()) for order in orders]

    def filled(self, *, everything: bool) -> None:
        """What was wanted is there."""
        self._waiting = [] if everything else self._waiting[-1:]

    def inherit(self, folders: list[Path], what: str) -> bool:
        """Take what an earlier attempt has sealed, and tell whether there is such a file."""
        for folder in folders:
            values = sealed_rows(folder / self._path.name, self._sealed_as(what), len(self._rows), self._width)
            if values is not None:
                self._values, self._waiting = values, []
                return True
        return False

    def seal(self, what: str) -> None:
        """Every row is there, and stays as it is; what was inherited is sealed already."""
        if self._made:
            seal(self._path, self._sealed_as(what))

    def all(self) -> FeatureRows:
        """Every row; they must have been filled."""
        return FeatureRows(self._file(), self._rows.labels)

    def sample(self) -> FeatureRows:
        """The sampled rows, in the order of the sample."""
        places = torch.from_numpy(self.sampled)
        return FeatureRows(self._file()[places], self._rows.labels[places])

    def _sealed_as(self, what: str) -> str:
        return f"{self._path.name} of {what}"

    def _file(self) -> Tensor:
        if self._values is None:
            self._values = new_rows(self._path, len(self._rows), self._width)
            self._made = len(self._rows) > 0
        return self._values


class Extraction:
    """The features of a job's training and validation items.

    Args:
        source: of the job's backbone as it is before the training.
        seed: chooses the items of a probe.
    """

    def __init__(self, attempt: Attempt, data: Data, source: FeatureSource, width: int, *, seed: int) -> None:
        self._attempt, self.source = attempt, source
        self._what = f"{data.row.fingerprint} by {source.name}"
        self._splits = {
            split: SplitFeatures(
                rows, stratified(rows.labels, PROBED[split], seed), attempt.directory / f"features-{split}", width
            )
            for split, rows in (("train", data.train), ("validation", data.validation))
        }
        self._begun = False

    def sample(self, end: float) -> dict[str, FeatureRows]:
        """Those of a probe's items; ``end`` is the fraction of the whole job that is done then."""
        self._fill(end, everything=False)
        return {split: one.sample() for split, one in self._splits.items()}

    def all(self, end: float) -> dict[str, FeatureRows]:
        """Those of every item."""
        self._fill(end, everything=True)
        return {split: one.all() for split, one in self._splits.items()}

    @spans.parted("features")
    def _fill(self, end: float, *, everything: bool) -> None:
        def on_batch(done: int, total: int) -> None:
            self._attempt.check_stop()
            self._attempt.progress("features", end * done / total)

        if not self._begun:
            self._inherit()
        splits = self._splits.values()
        parts = [part for one in splits for part in one.wanted(everything=everything)]
        what = "training and validation items" if everything else "the items of the probe"
        self.source.fill(parts, what, on_batch)
        for one in splits:
            one.filled(everything=everything)
        if everything and parts:
            for one in splits:
                one.seal(self._what)

    def _inherit(self) -> None:
        """Go on with what an earlier attempt, or this one in larger batches, has finished."""
        self._begun = True
        own = self._attempt.directory
        folders = [own, *sorted(own.parent.glob("fence-*"), reverse=True)]
        taken = [split for split, one in self._splits.items() if one.inherit(folders, self._what)]
        if taken:
            message = f"features of {' and '.join(taken)} items: taken from an earlier attempt"
            self._attempt.persist(lambda: leases.log(self._attempt.database, self._attempt.claim, message))
