"""A frozen backbone sees an item once: not again in a later job, and not again after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from finetuned_test_plugins import Tiny, Words

from models_store import leases
from tests.worker.training.trainable import Trainable, trainable
from worker.attempt import Attempt, StoppedPolitelyError
from worker.training.data import FeatureRows


class Counting(Tiny):
    """Counts the pictures that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def misbehave(self, pixels: torch.Tensor) -> None:
        self.seen += len(pixels)


def equal(one: dict[str, FeatureRows], other: dict[str, FeatureRows]) -> bool:
    """To the bit."""
    return all(torch.equal(rows.features, other[split].features) for split, rows in one.items())


def in_folder(job: Trainable, folder: str, module: torch.nn.Module) -> Trainable:
    """The same work by another process that has a folder of its own."""
    old = job.attempt
    directory = old.directory.parent / folder
    directory.mkdir(parents=True)
    attempt = Attempt(old.database, old.settings, old.claim, directory)
    return replace(job, attempt=attempt).again(module)


def next_job(job: Trainable, module: torch.nn.Module) -> Trainable:
    """Another job on the same data: its folder is not among those of this job's attempts."""
    return in_folder(job, "another-job/fence-1", module)


def next_attempt(job: Trainable, module: torch.nn.Module) -> Trainable:
    """The next attempt at this job."""
    return in_folder(job, "fence-2", module)


def test_the_second_job_on_the_same_data_and_trunk_runs_no_backbone(tmp_path: Path) -> None:
    first = trainable(tmp_path, module=Counting())
    features = first.extraction.all(0.5)
    module = Counting()
    second = next_job(first, module)
    assert equal(second.extraction.all(0.5), features)
    assert module.seen == 0
    assert second.log()[-1] == (
        "features of training and validation items: 36 from the cache, 0 computed; the backbone was not run"
    )


def test_a_backbone_with_other_weights_shares_no_features(tmp_path: Path) -> None:
    first = trainable(tmp_path, module=Counting())
    first.extraction.all(0.5)
    module = Counting()
    with torch.no_grad():
        next(module.parameters())[0] += 1
    next_job(first, module).extraction.all(0.5)
    assert module.seen == 36


def test_a_job_without_a_cache_says_so_and_computes(tmp_path: Path) -> None:
    first = trainable(tmp_path, module=Counting(), settings={"feature_cache_bytes": 0})
    first.extraction.all(0.5)
    module = Counting()
    second = next_job(first, module)
    second.extraction.all(0.5)
    assert module.seen == 36
    assert second.log()[-1] == "features of training and validation items: 36 computed; the cache is switched off"


def test_an_attempt_that_follows_goes_on_with_the_very_bits_whatever_became_of_the_cache(tmp_path: Path) -> None:
    first = trainable(tmp_path, module=Counting(), settings={"feature_cache_bytes": 0})
    features = next_attempt(first, Counting()).extraction.all(0.5)
    module = Counting()
    third = in_folder(first, "fence-3", module)
    assert equal(third.extraction.all(0.5), features)
    assert module.seen == 0
    assert third.log()[-1] == "features of train and validation items: taken from an earlier attempt"


def test_a_damaged_file_of_an_earlier_attempt_is_not_taken(tmp_path: Path) -> None:
    first = trainable(tmp_path, module=Counting(), settings={"feature_cache_bytes": 0})
    second = next_attempt(first, Counting())
    features = second.extraction.all(0.5)["train"].features.clone()
    with (second.attempt.directory / "features-train").open("r+b") as file:
        file.write(b"damage")
    module = Counting()
    found = in_folder(first, "fence-3", module).extraction.all(0.5)
    assert module.seen == 24
    assert torch.equal(found["train"].features, features)


class Stopping(Words):
    """Asks for a polite stop at its second batch."""

    job: Trainable
    batches = 0

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """As without it."""
        self.batches += 1
        self.job.attempt.stop_requested = self.batches == 2
        return super().forward(input_ids, attention_mask)


def test_an_attempt_that_was_cut_off_in_its_pass_is_gone_on_with_to_the_same_bits(tmp_path: Path) -> None:
    """Texts: their features depend on what else is in the batch, in the last bits."""
    module = Stopping()
    whole = trainable(tmp_path / "whole", module=module, per_class=(60, 50), validation=10)
    module.job = whole
    module.batches = 2
    expected = whole.extraction.all(0.5)
    cut = trainable(tmp_path / "cut", module=module, per_class=(60, 50), validation=10)
    module.job, module.batches = cut, 0
    with pytest.raises(StoppedPolitelyError):
        cut.extraction.all(0.5)
    again = next_attempt(cut, module)
    assert equal(again.extraction.all(0.5), expected)
    assert again.log()[-1] == "features of training and validation items: 64 from the cache, 66 computed"


def test_the_probe_of_a_later_job_runs_no_backbone(tmp_path: Path) -> None:
    settings = {"freeze_below": 10, "full_from": 1_000}
    first = trainable(tmp_path, module=Counting(), settings=settings)
    _, decision = first.settle()
    leases.write(first.attempt.database, first.attempt.claim, decision=None)
    module = Counting()
    second = next_job(first, module)
    assert second.settle()[1] == decision
    assert module.seen == 0


def test_augmented_items_are_not_cached(tmp_path: Path) -> None:
    job = trainable(tmp_path, module=Counting(), training={"augmentation": "light"})
    job.settle()
    assert not list(job.attempt.settings.store_dir.rglob("*.rows"))
