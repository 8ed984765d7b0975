"""Every row gets the features of its content, from the cache or by computing each content once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from finetuned_test_plugins import Tiny
from torch import Tensor

from models_store.backbones.family import Batch
from models_store.errors import InvalidError
from models_store.feature_cache.shelf import Key, Shelf
from models_store.itemset import ItemSet, ItemSetWriter
from tests.worker.training.trainable import LABELS, Trainable, picture, trainable
from worker.training.caching.filling import Part
from worker.training.caching.source import FeatureSource
from worker.training.caching.ways import Forward, Way
from worker.training.data import ItemRows
from worker.training.sampling import Rows

KEY = Key("trunk", "preprocessing", "code", "means")


@dataclass
class Means:
    """Features [N, 3] that can be told from the picture: the mean of each colour."""

    seen: int = 0
    starts: int = 0
    open: bool = field(default=False, init=False)

    @contextmanager
    def start(self) -> Iterator[Forward]:
        self.starts += 1
        self.open = True
        yield self
        self.open = False

    def __call__(self, batch: Batch) -> Tensor:
        self.seen += len(batch["pixels"])
        return batch["pixels"].mean(dim=(2, 3))


@dataclass
class Desk:
    """A claimed job, and pictures of its own."""

    job: Trainable
    rows: ItemRows
    folder: Path

    def source(self, means: Means, *, data_set: str = "sha256:a", shelf: bool = True) -> FeatureSource:
        """As one job has it."""
        kept = Shelf(self.job.attempt.settings.store_dir, KEY, 3, data_set, 10**9)
        return FeatureSource(self.job.attempt, Way("means", means.start), kept if shelf else None, 4)

    def part(self, order: Rows) -> Part:
        """These rows, in this order, into an empty file."""
        return Part(self.rows, order, np.arange(len(order)), torch.zeros(len(order), 3))

    def expected(self, order: Rows) -> Tensor:
        return self.rows(order)["pixels"].mean(dim=(2, 3))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    job = trainable(tmp_path / "job", per_class=(2, 2), validation=1)
    folder = tmp_path / "items"
    folder.mkdir()
    with ItemSetWriter(folder) as writer:
        for number in range(20):  # the last five are the first five once more
            writer.add(f"{number:02}", "dark", "train", picture("dark", number % 15))
        writer.finish()
    itemset = ItemSet(folder)
    return Desk(job, ItemRows(itemset, list(itemset.items()), LABELS, Tiny.preprocessing), folder)


def ignored(_done: int, _total: int) -> None:
    """Progress of which nothing is to be seen."""


def test_rows_in_any_order_get_the_features_of_their_items(desk: Desk) -> None:
    order = np.array([7, 3, 14, 0, 9, 2])
    first, again = desk.part(order), desk.part(order[::-1].copy())
    desk.source(Means()).fill([first], "items", ignored)
    desk.source(Means()).fill([again], "items", ignored)
    assert torch.allclose(first.values, desk.expected(order), atol=1e-5)
    assert torch.equal(again.values, first.values.flip(0))


def test_nothing_is_started_where_the_cache_has_everything_and_the_history_says_so(desk: Desk) -> None:
    desk.source(Means()).fill([desk.part(np.arange(15))], "items", ignored)
    means = Means()
    desk.source(means).fill([desk.part(np.arange(3, 9))], "some items", ignored)
    assert (means.starts, means.seen) == (0, 0)
    assert desk.job.log() == [
        "features of items: 0 from the cache, 15 computed",
        "features of some items: 6 from the cache, 0 computed; the backbone was not run",
    ]


def test_of_another_data_set_only_what_is_new_is_computed(desk: Desk) -> None:
    desk.source(Means(), data_set="sha256:a").fill([desk.part(np.arange(10))], "items", ignored)
    means, part = Means(), desk.part(np.arange(5, 15))
    desk.source(means, data_set="sha256:b").fill([part], "items", ignored)
    assert means.seen == 5
    assert torch.allclose(part.values, desk.expected(np.arange(5, 15)), atol=1e-5)


def test_copies_are_computed_once_and_have_the_same_features_to_the_bit(desk: Desk) -> None:
    means, parts = Means(), [desk.part(np.array([3, 18, 1, 3])), desk.part(np.array([16, 2, 17]))]
    desk.source(means, shelf=False).fill(parts, "items", ignored)
    assert means.seen == 3
    assert torch.equal(parts[0].values[0], parts[0].values[3])
    assert torch.equal(parts[0].values[0], parts[0].values[1])
    assert torch.equal(parts[0].values[2], parts[1].values[0])
    assert torch.equal(parts[1].values[1], parts[1].values[2])
    assert torch.allclose(parts[1].values, desk.expected(np.array([16, 2, 17])), atol=1e-5)


def test_parts_share_no_batch_and_one_start(desk: Desk) -> None:
    sizes: list[int] = []
    means = Means()
    parts = [desk.part(np.arange(6)), desk.part(np.arange(6, 9))]
    desk.source(means).fill(parts, "items", lambda done, total: sizes.append(done * 100 + total))
    assert sizes == [409, 609, 909]
    assert (means.starts, means.open) == (1, False)


def test_what_nobody_else_can_use_is_neither_kept_nor_told(desk: Desk) -> None:
    desk.source(Means(), shelf=False).fill([desk.part(np.arange(15))], "items", ignored)
    assert desk.job.log() == []
    assert not list(desk.job.attempt.settings.store_dir.rglob("*.rows"))


def test_no_feature_of_a_damaged_item_is_kept(desk: Desk) -> None:
    content = desk.folder / "content.bin"
    data = bytearray(content.read_bytes())
    data[-200] ^= 1
    content.write_bytes(data)
    with pytest.raises(InvalidError, match="Upload the data set anew") as failure:
        desk.source(Means()).fill([desk.part(np.arange(19, 20))], "items", ignored)
    assert failure.value.code == "dataset_damaged"
    assert not list(desk.job.attempt.settings.store_dir.rglob("*.rows"))
